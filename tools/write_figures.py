"""``python -m tools.write_figures``: carry the figures that targets printed into the documents.

``docs/security.md`` and ``docs/reliability.md`` have a stretch between two comments that is written
whole. In ``docs/measured.md`` the numbers of each row of ``make bench`` are exchanged: the first
cell that has as many numbers as the row names figures holds them, in that order, with as many
decimals as stand there. A figure that misses its bar is marked. README rounds them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.__main__ import SHORT
from benchmarks._command import read_bars, verdict
from tools.last_figures import Printed, kept

ROOT = Path(__file__).resolve().parents[1]
BENCH = "bench"
ROW = re.compile(
    r"^\|(?P<what>[^|\n]*)\|(?P<cells>[^\n]*)\| `benchmarks (?P<name>\w+)` \| "
    r"(?P<keys>`\w+`(?:, `\w+`)*) \|$",
    re.MULTILINE,
)
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?: missed)?")
SECURITY = """\
| | bar | figure |
|---|---|---|
| requests to all routes without a login, as each role, from another site, malformed, by numbers \
that no row has; answered wrongly | 0 | {security_route_answers_wrong:,.0f} of \
{security_route_requests:,.0f} |
| [schemathesis](https://schemathesis.readthedocs.io) requests per role, at least; answers outside \
the description | 2,000; 0 | {security_api_requests_a_role:,.0f}; {security_api_deviations:,.0f} |
| damaged inputs to the parsers; parsers that fail; slowest input | 1,000,000; 0; 1 s | \
{security_damaged_inputs:,.0f}; {security_parsers_that_fail:,.0f}; \
{security_damaged_inputs_slowest_ms:,.0f} ms |
| crowd: slowest `/healthz`; another user's login | 1,000 ms; 5 s | \
{crowd_health_slowest_ms:,.0f} ms; {crowd_other_login_s:.1f} s |
| crowd: failed requests of the operator | 0 | {crowd_operator_failures:,.0f} of \
{crowd_operator_writes:,.0f} |
| crowd: additional memory; log | 140 MiB; 1 MB | {crowd_memory_more_mib:,.0f} MiB; \
{crowd_log_kb:,.0f} kB |"""
FAULTS = {
    "power": "the process ends; each piece written since the last `fsync` is kept, torn or "
    "dropped at random",
    "kill": "`kill -9`, and a restart",
    "disk": "full (ENOSPC), failing (EIO) or read-only (EROFS) for some seconds",
    "clock": "steps by an hour, a day or 400 days, and is set again",
    "flipped": "64 bytes in any kind of page",
    "moved": "the database is deleted, moved away or emptied",
    "broker": "under `affect-edge run`: the line is cut, delayed, half closed or swallows data; "
    "mosquitto is killed",
    "camera": "under `affect-edge run`: it stalls, repeats one picture, floods, answers nonsense, "
    "or refuses",
    "flipped, whole agent": "64 bytes in any kind of page, under `affect-edge run`",
    "clock, whole agent": "`affect-edge run` and `maintenance` a day or a year off, or in 1999",
}
"""Kind of fault → what it does."""
README = {"Load of one core": ("agent_cpu_percent", "without_dot_agent_cpu_percent")}
"""How a row of the README begins → the figures whose roundings it holds."""


def slug(kind: str) -> str:
    """Return the name of a kind of fault in the name of a figure."""
    return re.sub(r"\W+", "_", kind)


def security(printed: Printed) -> str:
    """Return the stretch of ``docs/security.md``."""
    return f"Measured {printed.described()}.\n\n{SECURITY.format_map(printed.figures)}"


def reliability(printed: Printed) -> str:
    """Return the stretch of ``docs/reliability.md``."""
    figures = printed.figures
    rows = []
    for kind, what in FAULTS.items():
        name = f"faults_{slug(kind)}"
        if figures.get(f"{name}_trials"):
            rows.append(
                f"| {kind} | {what} | {figures[f'{name}_trials']:,.0f} "
                f"| {figures[f'{name}_rows_expected']:,.0f} | {figures[f'{name}_s_median']:.1f} "
                f"| {figures[f'{name}_s_worst']:.1f} |"
            )
    told = (
        "{faults_all_trials:,.0f} trials lost {faults_all_rows_lost:,.0f} expected rows and "
        "{faults_all_copies_lost:,.0f} copies, wrote {faults_all_duplicates:,.0f} rows twice, and "
        "left {faults_all_unexplained:,.0f} stretches without rows unexplained. Of the "
        "{faults_all_check_finds:,.0f} damaged databases that `integrity_check` finds the doctor "
        "found {faults_all_doctor_finds:,.0f}; neither finds bytes that hit values only."
    ).format_map(figures)
    head = ["| kind | fault | trials | rows expected | s median | s worst |", "|---|" + "---|" * 5]
    return "\n".join([f"Measured {printed.described()}: {told}\n", *head, *rows])


def with_stretch(text: str, target: str, written: str) -> str:
    """Return a document with the stretch that a target writes.

    Raises:
        ValueError: the document has no such stretch.
    """
    begin, end = f"<!-- written by make {target} -->\n", "<!-- end of it -->"
    before, opened, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise ValueError(f"there is no stretch between {begin.strip()} and {end.strip()}")
    return f"{before}{begin}{written}\n{end}{after}"


def with_numbers(text: str, printed: Printed) -> str:
    """Return ``docs/measured.md`` with the numbers of the benchmarks that ``make bench`` runs."""
    bars = read_bars(int8_dot=printed.int8_dot)

    def changed(row: re.Match[str]) -> str:
        keys = re.findall(r"\w+", row["keys"])
        if row["name"] not in SHORT or not set(keys) <= set(printed.figures):
            return row[0]
        cells = row["cells"].split("|")
        at = place_of_numbers(cells, len(keys))
        left = iter(keys)

        def written(old: re.Match[str]) -> str:
            key = next(left)
            value = printed.figures[key]
            missed = verdict(value, bars.get(key)).endswith("MISSED")
            return _written(old[0], value) + (" missed" if missed else "")

        cells[at] = NUMBER.sub(written, cells[at])
        return f"|{row['what']}|{'|'.join(cells)}| `benchmarks {row['name']}` | {row['keys']} |"

    return ROW.sub(changed, text)


def place_of_numbers(cells: Sequence[str], count: int) -> int:
    """Return which cell of a row holds as many numbers as the row names figures.

    Raises:
        ValueError: none does.
    """
    for at, cell in enumerate(cells):
        if len(NUMBER.findall(cell)) == count:
            return at
    raise ValueError(f"no cell of {cells} holds {count} numbers, one for each figure of the row")


def _written(old: str, value: float) -> str:
    """Return a value with as many decimals as the number has in whose place it comes."""
    digits = len(old.removesuffix(" missed").partition(".")[2])
    return f"{value:,.{digits}f}"


def with_rounded(text: str, figures: Mapping[str, float]) -> str:
    """Return the README with the figures that it rounds."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        for begin, keys in README.items():
            if line.startswith(f"| {begin}") and set(keys) <= set(figures):
                what, cell = line.removesuffix(" |").rsplit(" | ", 1)
                for old, key in zip(NUMBER.findall(cell), keys, strict=True):
                    cell = cell.replace(old, _written(old, figures[key]), 1)
                lines[number] = f"{what} | {cell} |"
    return "\n".join(lines)


def documents() -> Iterator[tuple[Path, str]]:
    """Yield each document and its text with the figures that are kept."""
    figures = kept()
    for target, page, write in (
        ("security", "docs/security.md", security),
        ("faults", "docs/reliability.md", reliability),
    ):
        if target in figures:
            path = ROOT / page
            text = path.read_text(encoding="utf-8")
            yield path, with_stretch(text, target, write(figures[target]))
    bench = figures.get(BENCH)
    # the other column of the page is of processors without them, and was measured on others
    if bench is not None and bench.int8_dot:
        path = ROOT / "docs/measured.md"
        text = with_numbers(path.read_text(encoding="utf-8"), bench)
        sentence = f"The rows of `make bench` were measured {bench.described()}."
        yield path, with_stretch(text, BENCH, sentence)
        path = ROOT / "README.md"
        yield path, with_rounded(path.read_text(encoding="utf-8"), bench.figures)


def main() -> None:
    """Write the documents."""
    for path, text in documents():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

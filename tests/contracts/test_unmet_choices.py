"""Each choice whose values are those of the data is reported where it met nothing."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from starlette.testclient import TestClient

from affect_edge import cli
from affect_edge.options import LateCommand
from dashboard.analysis.unmet import fields as fields_by_data
from dashboard.questions.entry import Question, Way
from dashboard.questions.register import QUESTIONS
from edge_agent.core.clock import iso_utc
from tests.support.commands import Done, affect_edge
from tests.support.dashboard import client_of, set_up
from tests.support.exports.full_study import full_study
from tests.support.laboratory.xdf import laboratory
from tests.support.timeline import START_MS, query, session_row, timeline

FIELDS = fields_by_data()
CONSENT = ("--consent", "1", "--consent-on", "2026-01-05T08:00:00Z", "--purpose", "research")
XDF = "needs pyxdf"
ZONE = "Asia/Tokyo"
REFUSED = {
    "--session": "no session",
    "--map": "is no target",
    "--column": "is not there",
    "--face": "has no face",
    "--family": "is not tested",
    "--device": "--source",
}
"""Options of which a value that is not there is an error, and words of it."""
NO_CHOICE = {
    "--field": "describes a person anew",
    "--participant": "names a person anew; their number is checked",
    "--host": "names where a service listens",
}
"""Options that may be repeated, and that choose nothing of the data."""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    every: dict[str, click.Command] = {}
    for name, one in group.commands.items():
        command = one.loaded() if isinstance(one, LateCommand) else one
        if isinstance(command, click.Group):
            every |= commands(command, (*path, name))
        else:
            every[" ".join((*path, name))] = command
    return every


def choices_of(command: click.Command) -> list[str]:
    """Return the options that may be repeated, or are those of a question, with any text."""
    fields = {f"--{name.replace('_', '-')}" for name in FIELDS}
    return [
        one.opts[0]
        for one in command.params
        if isinstance(one, click.Option)
        and not isinstance(one.type, click.Choice)
        and (one.multiple or (one.opts[0] in fields and one.type is click.STRING))
    ]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return full_study(tmp_path_factory.mktemp("there")).parent


def readings(folder: Path) -> Path:
    path = folder / "hr.csv"
    path.write_text("time,hr\n2026-01-05T08:00:00Z,61\n")
    return path


def recording(folder: Path) -> Path:
    pytest.importorskip("pyxdf", reason=XDF)
    path = folder / "sub-P01_lab.xdf"
    path.write_bytes(laboratory().content)
    return path


def study(folder: Path) -> Path:
    row = "1,Q77,research,home,2026-02-01T08:00:00Z,2026-02-01T08:10:00Z"
    tables = {
        "session": f"session,participant,purpose,setting,start_at,end_at\n{row}\n",
        "participant": "participant,consent_version,consent_given_at\nQ77,3,2026-01-01T00:00Z\n",
    }
    folder /= "study"
    folder.mkdir()
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def markers(folder: Path, at: str = "") -> Path:
    timeline(folder / "data", session=[session_row(0, 600)])
    path = folder / "markers.csv"
    path.write_text(f"at,kind,label\n{at or iso_utc(START_MS + 5000)},note,cough\n")
    return path


def faces(folder: Path) -> Path:
    timeline(folder / "data", session=[session_row(0, 600)])
    return Path("tests/support/face_tables/openface.csv").resolve()


def wide(folder: Path) -> Path:
    path = folder / "wide.csv"
    path.write_text("id,hr_neutral,hr_anger\nP1,60,70\nP2,61,72\n")
    return path


Words = Callable[[Path], tuple[object, ...]]
GIVEN: dict[tuple[str, str], tuple[str, Words]] = {
    ("import-study", "--leave-out"): ("P99", lambda to: (wide(to), "--wide", *CONSENT)),
    ("import-study", "--marker"): (
        "zzz=stimulus_start/anger",
        lambda to: (recording(to), *CONSENT),
    ),
    ("import-study", "--unit"): ("systolic=kPa", lambda to: (recording(to), *CONSENT)),
    ("import-study", "--consent"): (
        "9",
        lambda to: (study(to), "--consent-on", "2026-01-05T08:00:00Z"),
    ),
    ("import-study", "--consent-attributes"): ("here", lambda to: (study(to),)),
    ("import-study", "--purpose"): ("personal", lambda to: (study(to),)),
    ("import-study", "--setting"): ("clinic", lambda to: (study(to),)),
    ("import-study", "--join-recorded"): ("", lambda to: (study(to),)),
    ("import-study", "--timezone"): (ZONE, lambda to: (study(to),)),
    ("import-vitals", "--unit"): ("nosuch=mg", lambda to: (readings(to), "--map", "guess")),
    ("import-vitals", "--timezone"): (ZONE, lambda to: (readings(to), "--map", "guess")),
    ("import-vitals", "--dates"): ("mdy", lambda to: (readings(to), "--map", "guess")),
    ("import-vitals", "--day"): ("2026-01-05", lambda to: (readings(to), "--map", "guess")),
    ("import-markers", "--kind"): ("baseline", lambda to: (markers(to),)),
    ("import-markers", "--dates"): ("dmy", lambda to: (markers(to),)),
    ("import-markers", "--timezone"): (ZONE, lambda to: (markers(to),)),
    ("import-markers", "--unit"): (
        "ms",
        lambda to: (markers(to, "0:05"), "--start", iso_utc(START_MS)),
    ),
    ("import-faces", "--timezone"): (
        ZONE,
        lambda to: (faces(to), "--start", iso_utc(START_MS), "--into-session", 1),
    ),
    ("sql", "--value"): ("nosuch=1", lambda _: ("SELECT 1",)),
}
"""A value that is not there, and the words beside it; of a question: none."""
BESIDE = {"--states": ("--states", "anger"), "--against": ("--event", "anger")}


def run(name: str, option: str, there: Path, folder: Path, *more: str) -> tuple[str, Done]:
    text, words = GIVEN.get((name, option), ("nosuch", lambda _: BESIDE.get(option, ())))
    data = folder / "data" if name.startswith("import") else there
    given = (*words(folder), option, *filter(None, [text]), *more, "--data", data)
    done = affect_edge(*name.split(), *given)
    value = text.partition("=")[0]
    return f"{value}, given with {option}, met nothing" if text else f"{option} met nothing", done


NUMBERS = "is a number of the method, which no data have"
NAMED = "its values are named, whatever the data"
WHERE = "says where, not which"
HOW = "says how the answer is given"
BOUND = "is a bound: what lies outside is counted"
REASONS: Mapping[str, str] = {
    **dict.fromkeys(("--data", "--config", "--out", "--source", "--database"), WHERE),
    **dict.fromkeys(("--json", "--format", "--dry-run", "--print-question", "--full"), HOW),
    **dict.fromkeys(("--passphrase", "--passphrase-file", "--print-tables", "--print-flow"), HOW),
    **dict.fromkeys(("--from", "--to", "--range", "--confidence", "--seconds", "--seed"), BOUND),
    "--all-devices": "names none",
    "--multiverse": "was removed, which is an error",
    "--print-multiverse": "was removed, which is an error",
    "--question": "its choices are those of its question",
    "export --participant": "somebody without sessions is an error",
    "--participant": "names a person of a new session; their number is checked",
    "--into-session": "a session that is not there is an error",
    "--purpose": "beside a session that is there it is an error; a new one has it",
    "--setting": "beside a session that is there it is an error; a new one has it",
    "--markers": "a file of its own; what it lacks is an error",
    "--fps": "beside a table with times it is an error",
    "--start": "is the time 0 of all times, or an error where they name days",
    "--prefix": "goes before every code",
    "--consent-on": "goes with --consent",
    "--starting": "where times are told it is an error",
    "--wide": "a table of another form is an error",
    "import-study --participant": "as many as sessions, and none that contradicts the name",
    "--again": "a video that was not read yet is read, too",
    "--rotate": "turns every frame",
    "--pulse": "looks for it, and counts what was found",
    "analyse-video --timezone": "is the option of the other commands, with its report",
}
"""Option, or command and option → why nothing is to be met."""


def is_about_data(name: str, command: click.Command) -> bool:
    """Tell whether a command is handed a file of data, or chooses among the data."""
    own = {option for one in command.params for option in one.opts}
    return (
        name.startswith("import-")
        or name == "analyse-video"
        or bool(own & {"--session", "--value"})
    )


REPORTED = [
    *(
        (name, option)
        for name, command in commands(cli).items()
        for option in choices_of(command)
        if option not in {*REFUSED, *NO_CHOICE} and (name, option) not in GIVEN
    ),
    *GIVEN,
]


def is_met_or_named(name: str, option: click.Option) -> bool:
    """Tell whether it is known what a value of an option does that meets nothing."""
    first = option.opts[0]
    if (name, first) in REPORTED or {first, f"{name} {first}"} & {*REASONS, *NO_CHOICE, *REFUSED}:
        return True
    is_named = isinstance(option.type, click.Choice) or option.is_flag
    is_number = isinstance(option.type, click.types.FloatParamType | click.types.IntParamType)
    # Of a file only the command says what of it needs a choice.
    return (is_named or is_number) and not name.startswith(("import-", "analyse-video"))


def test_every_option_is_reported_or_says_why_not() -> None:
    open_ones = [
        f"{name} {option.opts[0]}"
        for name, command in commands(cli).items()
        if is_about_data(name, command)
        for option in command.params
        if isinstance(option, click.Option) and not is_met_or_named(name, option)
    ]
    assert not open_ones, "test what they say where they meet nothing, or give the reason"


@pytest.mark.parametrize(("name", "option"), REPORTED)
def test_option_that_meets_nothing_is_named_with_its_value(
    there: Path, tmp_path: Path, name: str, option: str
) -> None:
    words, done = run(name, option, there, tmp_path)
    assert done.code == 0, done.err
    assert words in done.err
    assert "met nothing" not in done.out


@pytest.mark.parametrize(("name", "option"), REPORTED)
def test_option_that_meets_nothing_is_named_beside_json(
    there: Path, tmp_path: Path, name: str, option: str
) -> None:
    more = ("--format", "json") if name == "sql" else ("--json",)
    words, done = run(name, option, there, tmp_path, *more)
    assert done.code == 0, done.err
    assert words in done.err + done.out


@pytest.mark.parametrize(("option", "words"), REFUSED.items())
def test_option_that_is_refused_names_its_value(
    there: Path, tmp_path: Path, option: str, words: str
) -> None:
    faces = Path("tests/support/face_tables/openface.csv").resolve()
    start = ("--start", "2026-01-05T08:00:00Z", "--into-session", "1")
    given: dict[str, tuple[Any, ...]] = {
        "--session": ("analyse", option, "99"),
        "--map": ("import-vitals", readings(tmp_path), option, "nosuch=hr"),
        "--column": ("import-study", wide(tmp_path), "--wide", option, "nosuch=a:hr", *CONSENT),
        "--face": ("import-faces", faces, *start, option, "99"),
        "--family": ("analyse", option, "nosuch"),
        "--device": ("analyse", option, "nosuch"),
    }
    done = affect_edge(*given[option], "--data", there)
    assert done.code != 0
    assert words in done.err
    assert ("99" if option in {"--session", "--face"} else "nosuch") in done.err


def test_leave_out_of_a_code_in_other_letters_is_met(there: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    assert affect_edge("export", "--out", bundle, "--data", there).code == 0
    done = affect_edge("import-study", bundle, "--leave-out", "p02", "--data", tmp_path / "data")
    assert (done.code, "met nothing" in done.err) == (0, False), done


@pytest.mark.parametrize(
    "words",
    [
        ("analyse", "--group", "Medication"),
        ("analyse", "--states", "ANGER", "--states", "nosuch"),
        ("responses", "--event", "Anger"),
        ("analyse", "--prefer-source", "strap"),
    ],
)
def test_choice_in_other_letters_is_met(there: Path, words: tuple[str, ...]) -> None:
    done = affect_edge(*words, "--data", there)
    assert (done.code, f"{words[2]}, given with" in done.err) == (0, False), done


@pytest.fixture(scope="module")
def client(there: Path) -> TestClient:
    return set_up(client_of(there), there)


@pytest.mark.parametrize("question", QUESTIONS, ids=[one.name for one in QUESTIONS])
def test_field_that_meets_nothing_is_named_on_page_and_by_api(
    client: TestClient, question: Question
) -> None:
    for name in FIELDS.keys() & question.query.model_fields.keys():
        value: Any = ["nosuch", "anger"] if name == "states" else "nosuch"
        words = f"nosuch, given with {FIELDS[name].title}, met nothing"
        if question.has(Way.PAGE):
            page = client.get(f"/{question.name}", params={name: value})
            assert page.status_code == 200, page.text
            assert words in page.text
            assert "met nothing" not in client.get(f"/{question.name}").text
        if question.has(Way.API):
            answer = client.get(f"/api/v1/{question.name}", params={name: value})
            assert answer.status_code == 200, answer.text
            assert words in answer.headers["Warning"]
            assert "Warning" not in client.get(f"/api/v1/{question.name}").headers


@pytest.mark.parametrize("value", ["a\rb", "a\nSet-Cookie: b", 'a"b\\', "ä\x7f", "a\x00b"])
def test_choice_in_any_letters_leaves_the_headers_of_an_answer_whole(
    client: TestClient, value: str
) -> None:
    headers = client.get("/api/v1/analysis", params={"prefer_source": [value, "other"]}).headers

    warnings = [text for name, text in headers.multi_items() if name == "warning"]
    assert warnings or "\x00" in value  # which is refused before
    assert all(text.isascii() and text.isprintable() for text in warnings)
    assert "set-cookie" not in headers


def test_code_to_leave_out_that_nobody_has_is_named_on_the_page(client: TestClient) -> None:
    table = "id,hr_neutral,hr_anger\nP1,60,70\n"
    sent = client.post(
        "/study/import", files=[("files", ("wide.csv", table))], follow_redirects=False
    )
    stated = {"purpose": "research", "text_version": "v1", "given_at": "2026-01-01T10:00"}
    answer = client.get(sent.headers["location"], params={**stated, "leave_out": "P99"})
    assert answer.status_code == 200, (sent.headers, answer.status_code, answer.text)
    assert "P99, given with the field “Leave out”, met nothing. There is: P1." in answer.text


NEEDED = {"text_version": "9", "given_at": "2026-01-05T08:00"}


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        (NEEDED, "Consent text"),
        ({"purpose": "personal"}, "Purpose"),
        ({"setting": "clinic"}, "Setting"),
        ({"attributes": "here"}, "Age band and the like"),
        ({"join_recorded": "true"}, "Add what was recorded here"),
        ({"zone": ZONE}, "Time zone"),
    ],
)
def test_field_of_an_import_that_decides_nothing_is_named(
    client: TestClient, tmp_path: Path, fields: Mapping[str, str], label: str
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in study(tmp_path).iterdir():
            archive.write(path, path.name)
    sent = client.post(
        "/study/import", files=[("files", ("study.zip", packed.getvalue()))], follow_redirects=False
    )
    place = sent.headers["location"]
    shown = client.get(place, params=fields).text
    assert f"the field “{label}" in shown and "met nothing" in shown, shown
    assert "met nothing" not in client.get(place, params={"prefix": "A-"}).text


@pytest.mark.parametrize(
    ("content", "more"),
    [
        ("time,hr\n05.01.2026 08:00,61\n", ("--dates", "dmy", "--timezone", "Europe/Berlin")),
        (
            "time,hr\n08:00:00,61\n08:00:01,61\n",
            ("--day", "05.01.2026", "--dates", "dmy", "--timezone", "UTC"),
        ),
        ("time,sys\n2026-01-05T08:00:00Z,120\n", ("--unit", "systolic=mmHg")),
        ("time,sys (mmHg)\n2026-01-05T08:00:00Z,120\n", ("--unit", "systolic=mm[Hg]")),
        ("time,hr\n2026-01-05T08:00:00Z,61\n", ("--from", "2026-01-05T07:00", "--timezone", "UTC")),
    ],
)
def test_choice_that_decides_is_not_reported(
    tmp_path: Path, content: str, more: tuple[str, ...]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    done = affect_edge("import-vitals", path, "--map", "guess", *more, "--data", tmp_path / "data")
    assert done.code == 0, done.err
    assert "met nothing" not in done.err and "is used" not in done.err.replace("day of", "")


@pytest.mark.parametrize(
    ("header", "row", "more", "value", "words"),
    [
        ("time,sys,u", "16,kPa", (), 120.0, ""),
        ("time,sys,u", "16,kPa", ("--unit", "systolic=mmHg"), 16.0, "column u has the unit kPa"),
        ("time,sys [mmHg]", "16", ("--unit", "systolic=kPa"), 120.0, "has the unit mmHg, and kPa"),
        ("time,sys,sex", "120,F", (), 120.0, ""),
        ("time,sys,unit", "120,Ward 3", (), 120.0, ""),
    ],
)
def test_unit_that_the_table_states_is_used_or_contradicted_aloud(
    tmp_path: Path, header: str, row: str, more: tuple[str, ...], value: float, words: str
) -> None:
    path, data = tmp_path / "t.csv", tmp_path / "data"
    path.write_text(f"{header}\n2026-01-05T08:00:00Z,{row}\n")
    columns = ("--map", "at=time", "--map", f"systolic={header.split(',')[1]}")
    done = affect_edge("import-vitals", path, *columns, *more, "--data", data)
    assert done.code == 0, done.err
    assert query(data / "affect-edge.db", "SELECT round(value) FROM vital") == [(value,)]
    assert (words in done.err) and ("(--unit)" in done.err) == bool(words), done.err


@pytest.mark.deep
def test_states_of_a_script_that_nobody_has_are_named(there: Path, tmp_path: Path) -> None:
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    assert affect_edge("export", "--out", tmp_path / "b.zip", "--data", there).code == 0
    shutil.unpack_archive(tmp_path / "b.zip", tmp_path / "b")
    for value, is_said in (("nosuch", True), ("ANGER", False)):
        words = ("--states", value, "--states", "neutral")
        command = [program, "--vanilla", str(tmp_path / "b" / "analysis.R"), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        assert (f"{value}, given with --states, met nothing. There is: " in done.stderr) == is_said


def test_statement_for_people_who_were_refused_is_not_called_unmet(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("id,hr_neutral,hr_anger\n=1,60,70\n")
    done = affect_edge("import-study", path, "--wide", *CONSENT, "--data", tmp_path / "here")
    assert "'=1' is no code" in done.out + done.err
    assert "met nothing" not in done.out + done.err

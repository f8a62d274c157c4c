"""Writes docs/troubleshooting.md from the sentences in the source: what doctor, log and pages say.

    python -m tools.write_troubleshooting

The problems and their cures stand where they are found, in the code; this reads them there, so that
the page cannot say anything else. Parts that are filled in at run time appear as "…".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PLACE = re.compile(r"\{[^{}]*\}")
ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/troubleshooting.md"
IT_SAYS, CURE = "it says", "cure"
DOCTOR = tuple(
    f"edge_agent/appliance/{name}.py"
    for name in ("doctor", "board_checks", "database_checks", "running_checks")
)
HEAD = """# Troubleshooting

    sudo -u affect-edge affect-edge doctor      # anywhere else: affect-edge doctor
    affect-edge doctor --deep                   # reads the whole database and its copies
    affect-edge doctor --bundle HELP.zip        # an archive for those who help
    affect-edge doctor --report REPORT.json     # what a developer should know about this device
    journalctl -u affect-edge-agent -n 50       # the agent's last messages

"…" replaces values of your machine. Refused files of readings say themselves what to change
([importing](importing.md)).
"""
TAIL = """
## What the doctor writes

Without `--deep` it reads the database for 20 seconds at most, without indexes and references. The
exit code is 2 if the configuration has a mistake.

**The archive of `--bundle`** contains the doctor's output; the configuration without passwords,
user names and sensor addresses; versions; the last health report; schema and row counts; 2,000 log
lines of each unit. Left out are readings, expressions, markers, participants' codes, session names,
notes, account names, tokens, e-mail addresses, names of this machine and its users, and the whole
log if the database cannot be read for the codes. Check the archive before you send it.

**The report of `--report`** is one JSON file: board, power and temperature, system and versions,
the configured camera, models and their speed on the demonstration, sizes, the doctor's findings,
and the numbers of the agent's health report. Left out are codes, names, notes and accounts,
everything that the configuration names, paths, network and sensor addresses, names of this machine
and its users, and the doctor's sentences if the database cannot be read for the codes. Read it
before you send it: a camera's own name is in it.

`python -m tools.write_troubleshooting` makes this page.
"""


@dataclass(frozen=True, slots=True, order=True)
class Trouble:
    """A problem and its cure, as the program says them."""

    topic: str
    problem: str
    cure: str


class Sentences:
    """Reads the text of expressions: literals, f-strings, messages, and names for them."""

    def __init__(self, function: ast.AST, module: ast.Module) -> None:
        self._scopes = [assigned(ast.walk(function)), assigned(module.body)]

    def of(self, expression: ast.expr) -> list[str]:
        """Return every text that an expression may have.

        None where it cannot be told from the source.
        """
        texts: list[str] = []
        match expression:
            case ast.Constant(value=str(text)):
                texts = [text]
            case ast.JoinedStr(values=values):
                texts = [
                    "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in values)
                ]
            case ast.Call(func=ast.Name(id="N_" | "Message" as maker), args=[text]):
                texts = [
                    _PLACE.sub("…", told) if maker == "Message" else told for told in self.of(text)
                ]
            case ast.Name(id=name):
                texts = self._of_name(name)
            case ast.IfExp(body=body, orelse=orelse):
                texts = self.of(body) + self.of(orelse)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                texts = [a + b for a in self.of(left) for b in self.of(right)]
        return texts

    def _of_name(self, name: str) -> list[str]:
        values = next((scope[name] for scope in self._scopes if name in scope), [])
        return [
            text for value in values if not isinstance(value, ast.Name) for text in self.of(value)
        ]


def assigned(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """Return what is assigned to each name."""
    values: dict[str, list[ast.expr]] = {}
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values.setdefault(name, []).append(value)
    return values


def functions(*places: str) -> Iterator[tuple[ast.AST, Sentences]]:
    """Yield every function of modules, and each module; a folder stands for all in it."""
    for place in places:
        path = ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            module = ast.parse(file.read_text(encoding="utf-8"))
            for node in ast.walk(module):
                if isinstance(node, ast.FunctionDef):
                    yield node, Sentences(node, module)


def calls(function: ast.AST, name: str, arguments: int) -> Iterator[ast.Call]:
    """Yield the calls of a class with so many positional arguments."""
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Name(id=called), args=given) if (
                called == name and len(given) == arguments
            ):
                yield node


def findings() -> set[Trouble]:
    """Return what the doctor says itself."""
    troubles = set()
    for function, sentences in functions(*DOCTOR):
        for name in ("warning", "problem"):
            for call in calls(function, name, 3):
                for check in sentences.of(call.args[0]):
                    troubles |= pairs(check, sentences, call.args[1], call.args[2])
    return troubles


def errors(name: str, *places: str) -> set[Trouble]:
    """Return what an error class with reason, problem and cure says in some rooms."""
    troubles = set()
    for function, sentences in functions(*places):
        for call in calls(function, name, 3):
            troubles |= pairs(reason_of(call.args[0]), sentences, call.args[1], call.args[2])
    return troubles


def tables_of_cures(place: str) -> set[Trouble]:
    """Return what a table `reason: (problem, cure)` says."""
    module = ast.parse((ROOT / place).read_text(encoding="utf-8"))
    troubles = set()
    for node in ast.walk(module):
        match node:
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    match key, value:
                        case ast.Attribute(), ast.Tuple(elts=[problem, cure]):
                            troubles |= pairs(
                                reason_of(key), Sentences(module, module), problem, cure
                            )
    return troubles


def reason_of(expression: ast.expr) -> str:
    """Return the member of an enumeration, as people see it."""
    named = isinstance(expression, ast.Attribute) and expression.attr.isupper()
    if named and isinstance(expression, ast.Attribute):
        return expression.attr.lower()
    return "…"


def pairs(topic: str, sentences: Sentences, problem: ast.expr, cure: ast.expr) -> set[Trouble]:
    """Return problem and cure in every combination that the source allows."""
    problems = [text.strip().replace("{address}", "…") for text in sentences.of(problem)] or ["…"]
    cures = [text.strip().replace("{address}", "…") for text in sentences.of(cure)]
    return {Trouble(topic, told, mended) for told in problems for mended in cures if mended}


def alarms() -> set[Trouble]:
    """Return the alarms of the health page; problem and cure are one text there."""
    troubles = set()
    for function, sentences in functions("edge_agent/alerts/figures.py"):
        for node in ast.walk(function):
            match node:
                case ast.Assign(
                    targets=[ast.Subscript(slice=ast.Constant(value=str(name)))], value=value
                ):
                    troubles |= {Trouble(name, text, "") for text in sentences.of(value)}
    return {trouble for trouble in troubles if trouble.problem.count(" ") > 3}


def is_useful(trouble: Trouble) -> bool:
    """Return whether a problem has words to look for, and a cure of its own."""
    words = re.search(r"\w{2}", trouble.problem)
    cured = "sentence before" not in trouble.cure and (trouble.cure or trouble.problem[-1] != "…")
    return bool(words and cured)


def rows_of(troubles: Iterable[Trouble], heads: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each row.

    Problems with one cure share a row, and so do cures of the same problems.
    """
    problems: dict[tuple[str, str], list[str]] = {}
    for trouble in troubles:
        topic = "" if heads[0] == IT_SAYS else f"`{trouble.topic}`"
        problem = trouble.problem.removeprefix("…: ")
        problems.setdefault((topic, trouble.cure), []).append(problem)
    cures: dict[tuple[str, str], list[str]] = {}
    for (topic, cure), told in problems.items():
        cures.setdefault((topic, "<br>".join(dict.fromkeys(told))), []).append(cure)
    for (topic, told_as_one), mended in cures.items():
        yield (*filter(None, [topic]), told_as_one, "<br>".join(mended))


def table(troubles: set[Trouble], *heads: str) -> str:
    """Return a table of Markdown."""
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for cells in rows_of(filter(is_useful, sorted(troubles)), heads):
        lines.append(
            "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
        )
    return "\n".join(lines)


def page() -> str:
    """Return the whole page."""
    sections: Mapping[str, str] = {
        "What the doctor looks at": table(findings(), "check", IT_SAYS, CURE),
        "Camera": table(errors("CameraError", "edge_agent/camera"), IT_SAYS, CURE),
        "Bluetooth sensors": table(
            errors("VitalsError", "edge_agent/vitals")
            | tables_of_cures("edge_agent/vitals/ble.py"),
            IT_SAYS,
            CURE,
        ),
        "Alarms of the health page": "\n".join(
            f"- `{alarm.topic}`: {' '.join(alarm.problem.split())}"
            for alarm in sorted(filter(is_useful, alarms()))
        ),
    }
    made = "".join(f"\n## {title}\n\n{text}\n" for title, text in sections.items())
    return HEAD + made + TAIL


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

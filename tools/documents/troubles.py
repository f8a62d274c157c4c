"""Sentences of doctor and alarms, for docs/troubleshooting.md.

The problems stand where they are found, in the code; this reads them there, so that the page cannot
say anything else. Parts that are filled in at run time appear as "…".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PLACE = re.compile(r"\{[^{}]*\}")
ROOT = Path(__file__).resolve().parents[2]
_CURES = 'Each is shown with its cure. "…" replaces values of your machine.'
_ENDS = re.compile(r"^…[:;,] |[:;] …$|[.]$")
"""Beginnings and ends of a problem that say nothing in a list."""
_SENTENCE = re.compile(r"(?<=[.]) (?=[A-Z])")
DOCTOR = tuple(
    f"edge_agent/appliance/{name}.py"
    for name in ("doctor", "board_checks", "database_checks", "running_checks")
)


@dataclass(frozen=True, slots=True, order=True)
class ListedTrouble:
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


def findings() -> set[ListedTrouble]:
    """Return what the doctor says itself."""
    troubles = set()
    for function, sentences in functions(*DOCTOR):
        for name in ("warning", "problem"):
            for call in calls(function, name, 3):
                for check in sentences.of(call.args[0]):
                    troubles |= pairs(check, sentences, call.args[1], call.args[2])
    return troubles


def pairs(
    topic: str, sentences: Sentences, problem: ast.expr, cure: ast.expr
) -> set[ListedTrouble]:
    """Return problem and cure in every combination that the source allows."""
    problems = [text.strip().replace("{address}", "…") for text in sentences.of(problem)] or ["…"]
    cures = [text.strip().replace("{address}", "…") for text in sentences.of(cure)]
    return {ListedTrouble(topic, told, mended) for told in problems for mended in cures if mended}


def alarms() -> set[ListedTrouble]:
    """Return the alarms of the health page; problem and cure are one text there."""
    troubles = set()
    for function, sentences in functions("edge_agent/alerts/figures.py"):
        for node in ast.walk(function):
            match node:
                case ast.Assign(
                    targets=[ast.Subscript(slice=ast.Constant(value=str(name)))], value=value
                ):
                    troubles |= {ListedTrouble(name, text, "") for text in sentences.of(value)}
    return {trouble for trouble in troubles if trouble.problem.count(" ") > 3}


def is_useful(trouble: ListedTrouble) -> bool:
    """Return whether a problem has words to look for, and a cure of its own."""
    words = re.search(r"\w{2}", trouble.problem)
    cured = "sentence before" not in trouble.cure and (trouble.cure or trouble.problem[-1] != "…")
    return bool(words and cured)


def listed(troubles: set[ListedTrouble]) -> str:
    """Return a list of Markdown: a line for each topic, with its problems."""
    problems: dict[str, list[str]] = {}
    for trouble in filter(is_useful, sorted(troubles)):
        problem = _ENDS.sub("", " ".join(trouble.problem.split()))
        problems.setdefault(trouble.topic, []).append(problem)
    return "\n".join(
        f"- `{topic}`: {'; '.join(dict.fromkeys(told))}." for topic, told in problems.items()
    )


def first_sentences(troubles: set[ListedTrouble]) -> set[ListedTrouble]:
    """Return the troubles without their cures, which stand behind the first sentence."""
    return {ListedTrouble(one.topic, _SENTENCE.split(one.problem)[0], one.cure) for one in troubles}


def what_the_doctor_says() -> str:
    """Return its checks and the problems that it names."""
    return f"{_CURES}\n\n{listed(findings())}"


def alarms_of_health() -> str:
    """Return the alarms of the health page."""
    return f"{_CURES}\n\n{listed(first_sentences(alarms()))}"

"""Borders of the registers: where the language changes, nothing is said again by hand."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from affect_edge import cli
from dashboard.analysis.query import TESTED_STATES, Sample
from dashboard.commands import answers
from dashboard.languages.names import OF_REGISTERS
from dashboard.questions.entry import Way
from dashboard.questions.register import QUESTIONS
from dashboard.web.delivery import STATIC
from edge_agent.agent.watches import Watches
from edge_agent.core.expression import NEGATIVE, RejectReason
from edge_agent.core.movements import POSE
from edge_agent.core.noted import ACTIONS as NOTED
from edge_agent.core.readings import UNUSABLE, VitalFlag
from edge_agent.core.study import QuestionKind
from edge_agent.core.texts import Worded
from edge_agent.core.vitals import SensorKind, VitalKind
from edge_agent.timeline.export.format_register import all_formats
from edge_agent.timeline.export.table_schemas import codebook_of_all
from edge_agent.vitals.health.exports import FORMATS, MAKERS, XDF
from edge_agent.vitals.recordings import FORMATS as RECORDINGS
from tests.support.dashboard import client_of, set_up
from tools.documents.reference import with_parts
from tools.write_registers import SCRIPT, WORDED, written

HERE = Path(__file__)
ROOT = HERE.resolve().parents[2]
PRODUCTS = ("edge_agent", "dashboard", "affect_edge")
PRINTED = ROOT / "edge_agent" / "timeline" / "export" / "scripts"
SCRIPTS = sorted(one for one in (STATIC / "js").glob("*.js") if one != SCRIPT)
OF_A_BUNDLE = set(Sample) - {Sample.SELECTED}
LISTED: dict[tuple[str, str], str] = {}
"""Paragraphs that list members, by file and first word, and why."""
HOME = {"analysis": ("comparison", "templates")}
OF_A_PART = {("plan.html", "responses"): "within a part that depends on it"}
SETS = (NEGATIVE, POSE, TESTED_STATES, UNUSABLE, OF_A_BUNDLE)
"""Sets of members that decide, which the script of a bundle has by itself."""
REASON = re.compile(r"listed here: \w+")
TOKENS = re.compile(
    r"(?P<comment>//[^\n]*|/\*.*?\*/|\#[^\n]*)"
    r"""|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"|(?P<template>`(?:[^`\\]|\\.)*`)|(?P<case>\bcase\b)"
    r"|(?P<name>[A-Za-z_$][\w$]*)|(?P<mark>[][(){},:=])",
    re.DOTALL,
)


@cache
def members() -> dict[str, frozenset[str]]:
    """Return the values of every register that is an enumeration of names."""
    found: dict[str, frozenset[str]] = {}
    for path in (one for product in PRODUCTS for one in sorted((ROOT / product).rglob("*.py"))):
        text = path.read_text(encoding="utf-8")
        if "Enum" not in text and "Worded" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and any(
                isinstance(base, ast.Name) and base.id in {"StrEnum", "Worded"}
                for base in node.bases
            ):
                values = frozenset(_values(node))
                if len(values) > 1:
                    found[f"{path.relative_to(ROOT)}:{node.name}"] = values
    return found


def _values(of: ast.ClassDef) -> Iterator[str]:
    for node in of.body:
        if isinstance(node, ast.Assign):
            value = node.value.elts[0] if isinstance(node.value, ast.Tuple) else node.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value


def listings(text: str, assigned: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line and names of each list, set, object and ``switch`` of a script.

    Names are the texts that stand in it by themselves, and the keys, before the sign ``assigned``.
    """
    open_: list[tuple[int, list[str]]] = []
    before, kind = "", ""
    tokens = [one for one in TOKENS.finditer(text) if one.lastgroup != "comment"]
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        word, after = token[0], following[0] if following else ""
        if token.lastgroup == "mark" and word in "([{":
            open_.append((text.count("\n", 0, token.start()) + 1, []))
        elif token.lastgroup == "mark" and word in ")]}" and open_:
            yield open_.pop()
        elif open_ and token.lastgroup in {"text", "name"}:
            is_key = after == assigned and before in {"{", ",", "("}
            is_text = before in {"[", ",", "(", "{"} and after in {",", "]", ")"}
            if is_key or (token.lastgroup == "text" and (is_text or kind == "case")):
                open_[-1][1].append(word.strip("\"'"))
        before, kind = word, str(token.lastgroup)


def by_hand(text: str, assigned: str = ":") -> list[tuple[int, str]]:
    """Return line and register of each listing of members that gives no reason."""
    lines = text.splitlines()
    found = []
    for number, names in listings(text, assigned):
        has_reason = REASON.search("\n".join(lines[max(0, number - 2) : number]))
        for register, values in () if has_reason else members().items():
            known = values & set(names)
            is_much = len(known) > 2 or 2 * len(known) > len(values)
            if is_much and 2 * len(known) >= len(names):
                found.append((number, register))
                break
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.name)
def test_script_lists_no_members_of_a_register_without_a_reason(script: Path) -> None:
    assert by_hand(script.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        'const STATES = { running: _("on"), paused: ["off", 1], "ended": f(a, [2]) };',
        'const MANY = new Set(["likert", "slider", "choice"]);',
        "const A = [\n  'time', // until\n  'left',\n  'agent',\n];",
        'switch (a) {\n case "cut_off":\n case "blurred":\n b();\n case "covered": c();\n}',
        "const LIMITS = { budget: 1, heat: 2 }; // by hand",
    ],
)
def test_script_that_lists_members_by_hand_is_found(text: str) -> None:
    assert len(by_hand(text)) == 1
    assert by_hand(f"// listed here: what is drawn\n{text}") == []


@pytest.mark.parametrize(
    "text",
    [
        'query(["width", "height", "left"]);',
        'if (a === "running") show({ time: 1, left: 2, wide: 3, high: 4, deep: 5 });',
        'const words = `${running}, ["paused", "ended", "running"]`; // ["paused", "ended"]',
    ],
)
def test_script_that_lists_something_else_is_left_alone(text: str) -> None:
    assert by_hand(text) == []


def test_printed_script_lists_whole_registers_or_a_set_that_is_compared() -> None:
    """R judges apart, and knows the names by itself: a member more in Python is red here."""
    text = (PRINTED / "analysis.R").read_text(encoding="utf-8")
    tables = re.findall(r"^[A-Z_]+ <- .*(?:\n(?:  .*|\)))*", text, re.MULTILINE)
    lists = [frozenset(names) for table in tables for _, names in listings(table, "=")]
    known = {frozenset(one) for one in (*members().values(), *SETS)}
    mirrors = {
        names
        for names in lists
        for values in members().values()
        if len(values & names) > 2 and 2 * len(values & names) >= len(names)
    }
    assert len(mirrors) > 5
    assert mirrors - known == set()


def test_scripts_are_given_what_the_registers_have() -> None:
    assert SCRIPT.read_text(encoding="utf-8") == written(), "run: python -m tools.write_registers"


def test_every_worded_register_is_given_to_scripts() -> None:
    assert set(WORDED.values()) == set(Worded.__subclasses__())


def test_member_without_words_or_bounds_is_refused_as_it_is_written() -> None:
    with pytest.raises(TypeError, match="Worded open: give its words"):
        vars(Worded)["__new_member__"](Worded, "open")
    with pytest.raises(TypeError, match="QuestionKind tapping: give the bounds"):
        vars(QuestionKind)["__new_member__"](QuestionKind, "tapping")


PROSE = sorted(
    path
    for path in (
        *(*(ROOT / "docs").glob("*.md"), ROOT / "README.md", *PRINTED.glob("*.md")),
        *(*(ROOT / "dashboard").rglob("*.html"), *(ROOT / "affect_edge").rglob("*.py")),
    )
)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_prose_lists_no_makers_or_kinds_of_questions_and_flags_whole(path: Path) -> None:
    makers = {form.name.split()[0] for form in FORMATS}
    flags = {frozenset(UNUSABLE), frozenset(VitalFlag)}
    text = re.sub(r"^\|.*$", "", text_of(path), flags=re.MULTILINE)  # rows of tables are for each
    for part in re.split(r"\n\s*\n|\.\s|\n- ", text):
        if (path.name, part.split()[0] if part.split() else "") in LISTED:
            continue
        assert sum(maker in part for maker in makers) < 5, part
        marked = set(re.findall(r"(?:`|<code>)(\w+)(?:`|</code>)", part))
        assert len(marked & set(QuestionKind)) < 3, part
        listed = frozenset(marked & set(VitalFlag))
        assert len(listed) < 4 or listed in flags, part


def test_page_and_help_name_the_makers_of_the_register(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["import-vitals", "--help"])
    shown = " ".join(done.output.split())
    assert all(form.name in shown for form in FORMATS)
    with client_of(tmp_path) as client:
        page = set_up(client, tmp_path).get("/study/import").text
    assert all(form.name in page for form in FORMATS)


def test_question_that_another_page_links_to_may_be_taken_out() -> None:
    """A link to a page of a question, outside its folder, depends on the register."""
    for path in sorted((ROOT / "dashboard").rglob("*.html")):
        for line in text_of(path).splitlines():
            for name in (one.name for one in QUESTIONS if one.has(Way.PAGE)):
                is_own = path.parent.name in {name, *HOME.get(name, ())}
                if not is_own and re.search(rf'["(]/{name}["?#]', line):
                    assert f'"{name}" in asked' in line or (path.name, name) in OF_A_PART, line


def test_command_of_a_question_taken_out_is_refused_as_unknown() -> None:
    with pytest.raises(click.UsageError, match="No such command 'taken_out'"):
        _ = answers.taken_out
    with pytest.raises(AttributeError):
        _ = answers._taken_out


_ROWS = tomllib.loads(text_of(HERE.with_name("borders.toml")))
TABLE: dict[str, dict[str, str]] = {
    name: {border: cell for border, cell in row.items() if border != "classes"}
    for name, row in _ROWS.items()
}
"""Register → border → the test that walks it, *here*, or *no, because …*."""
OF_ENTRIES = frozenset(one for row in _ROWS.values() for one in row.get("classes", ()))
"""The classes of their entries."""
BORDERS = frozenset(
    {"script", "template", "help", "docs", "codebook", "export", "import", "BIDS", "R", "fleet"}
    | {"deep"}
)
NO_ROW = {
    "Column": "the columns of one table, which the register of tables has",
    "UpgradeStep": "history, which never changes",
    "Migration": "history, which never changes",
    "SentTable": "how a fleet gets a table of the register",
    "RecordedRow": "a table of borders itself: a flag or column × each conclusion",
    "Reaction": "how the simulated person reacts",
    "RangeChoice": "buttons of one page",
    "RuleSettings": "the usual rules, which a file replaces",
    "UnitConversion": "a part of the entry of a vital",
}
"""Classes of several entries that are no register with borders, and why."""
NO_RECIPE = {
    "camera": "a value of a key; its errors have contracts of their own",
    "page": "routes are walked by contracts of their own",
    "statistic": "a formula that R computes apart",
    "caution about a result": "the heeded table walks what sets it",
    "network": "training alone",
    "model": "a file with its card, which the agent checks",
}
"""Recipes without a row, and why."""


def several_of_a_class() -> dict[str, str]:
    """Return each class of which a constant has four entries or more, and where."""
    found: dict[str, str] = {}
    for path in (one for product in PRODUCTS for one in sorted((ROOT / product).rglob("*.py"))):
        tree = ast.parse(text_of(path)).body
        classes = [part for one in tree if isinstance(one, ast.ClassDef) for part in one.body]
        for node in [*tree, *classes]:
            value = getattr(node, "value", None)
            parts = value.values if isinstance(value, ast.Dict) else getattr(value, "elts", ())
            calls = Counter(
                one.func.id
                for one in parts
                if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)
            )
            for name in (one for one, n in calls.items() if n > 3 and re.match("[A-Z][a-z]", one)):
                found[name] = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
    return found


def test_border_of_a_register_names_a_test_that_exists_or_says_why() -> None:
    for name, row in TABLE.items():
        assert row.keys() - {"recipe"} == BORDERS, name
        for border, cell in row.items():
            if border == "recipe" or cell == "here" or cell.startswith("no, because "):
                continue
            file, _, test = cell.partition("::")
            assert re.search(rf"^def {test}\(", text_of(ROOT / "tests" / file), re.M), (name, cell)


def test_register_that_is_new_has_a_row_of_borders_or_a_reason() -> None:
    found = several_of_a_class()
    assert found.keys() >= OF_ENTRIES - {"Question"}
    assert {at for name, at in found.items() if name not in OF_ENTRIES | NO_ROW.keys()} == set()
    recipes = set(re.findall(r"^## Add an? (.+)$", text_of(ROOT / "CONTRIBUTING.md"), re.M))
    assert recipes == {row["recipe"] for row in TABLE.values() if "recipe" in row} | set(NO_RECIPE)


def _named(text: str) -> Callable[[str], bool]:
    return lambda name: re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def members_here() -> dict[str, frozenset[str]]:
    """Return the registers of which borders are walked here, with their members."""
    return {
        "vital": frozenset(VitalKind),
        "flag": frozenset(VitalFlag),
        "flaw": frozenset(RejectReason),
        "answer": frozenset(QuestionKind),
        "maker": frozenset(form.name for form in FORMATS),
        "recording": frozenset(form.program for form in RECORDINGS),
        "sensor": frozenset(SensorKind),
        "format": frozenset(form.name for form in all_formats()),
        "question": frozenset(one.name for one in QUESTIONS),
        "watch": frozenset(one.source for one in Watches.KINDS if one.source),
        "noted": NOTED,
    }


def test_every_border_of_a_register_is_met_by_each_entry() -> None:
    pages = sorted((ROOT / "docs").glob("*.md"))
    documents = "\n".join(with_parts(text_of(path)) for path in pages)
    codebook = codebook_of_all()
    manual = text_of(ROOT / "affect_edge" / "shell" / "affect-edge.1").replace("\\-", "-")
    commands = {one.name: one.command_name for one in QUESTIONS}
    spoken = {"Garmin (FIT)": "Garmin", "Empatica E4": "E4", XDF: "LabRecorder"}
    met: dict[tuple[str, str], Callable[[str], bool]] = {
        ("vital", "docs"): _named(documents),
        ("vital", "codebook"): _named(codebook),
        ("flag", "script"): _named(text_of(SCRIPT)),
        ("flag", "docs"): _named(documents),
        ("flag", "codebook"): _named(codebook),
        ("flag", "template"): lambda name: name.replace("_", " ") in OF_REGISTERS,
        ("flaw", "docs"): _named(documents),
        ("flaw", "codebook"): _named(codebook),
        ("answer", "docs"): _named(documents),
        ("answer", "codebook"): _named(codebook),
        ("maker", "docs"): lambda name: _named(documents)(spoken.get(name, name)),
        ("maker", "help"): lambda name: name in MAKERS,
        ("recording", "docs"): _named(documents),
        ("sensor", "docs"): _named(documents),
        ("format", "docs"): _named(documents),
        ("format", "help"): _named(manual),
        ("question", "docs"): lambda name: _named(documents)(commands[name]),
        ("question", "help"): lambda name: _named(manual)(commands[name]),
        ("watch", "docs"): _named(documents),
        ("noted", "template"): lambda name: name.replace("_", " ") in OF_REGISTERS,
    }
    of = members_here()
    missing = [
        (register, border, name)
        for (register, border), is_met in met.items()
        for name in sorted(of[register])
        if not is_met(name)
    ]
    assert missing == []
    here = {
        (name, border) for name, row in TABLE.items() for border in row if row[border] == "here"
    }
    assert met.keys() == here

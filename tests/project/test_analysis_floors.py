"""The floors of the analysis keep to their task: the inference reads nothing and says nothing,
rendering decides nothing, and no function on the way takes a handful of loose values.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
from jinja2 import nodes

from dashboard.languages.templates import TextBlocks
from tools.rooms import ROOT, SOURCES, all_imports

MOST_PARAMETERS = 6
WAY = (
    *("dashboard.analysis", "dashboard.questions", "dashboard.charts", "dashboard.statistics"),
    *("dashboard.commands", "dashboard.computing", "dashboard.languages"),
)
DATABASES = ("edge_agent.timeline.read.reader", "edge_agent.timeline.database", "sqlite3")
RAISED = ("Message", "StatisticsError")
"""What a text of the inference may be given to: an error, or the reason that stands for one."""

DASHBOARD = ROOT / "dashboard"
DRAWING = ("dashboard.analysis.rendering", "dashboard.charts")
DECIDING = {"shows", "conclude", "conclude_without_direction"}
COMPUTING = ("statistics", "numpy", "scipy", "dashboard.statistics.")
MAY_COMPUTE = {
    # where a line of readings breaks
    "dashboard.charts.trends",
    # constants that a sentence names, or a p value is written beside
    "dashboard.analysis.rendering.numbers",
    "dashboard.analysis.rendering.words",
}
_NO_THRESHOLDS = (0, 1, 2)
"""Signs and plurals."""
_RANGES = ("gt", "gteq", "lt", "lteq")


def modules_below(*rooms: str) -> list[str]:
    return [name for name in SOURCES if any(name.startswith(f"{room}.") for room in rooms)]


def tree_of(module: str) -> ast.Module:
    return ast.parse(SOURCES[module].read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", modules_below("dashboard.analysis.inference"))
def test_inference_imports_neither_a_database_nor_a_language(module: str) -> None:
    wrong = ("dashboard.languages", "dashboard.analysis.rendering", *DATABASES)
    assert [one for one in all_imports()[module] if one.startswith(wrong)] == []


def texts_returned(module: str) -> Iterator[str]:
    """Yield the texts that a function marks for the catalogue, but for those of errors."""
    for function in ast.walk(tree_of(module)):
        if not isinstance(function, ast.FunctionDef):
            continue
        raised = {
            id(argument)
            for call in ast.walk(function)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and (call.func.id in RAISED or call.func.id.endswith("Error"))
            for argument in call.args
        }
        for call in ast.walk(function):
            match call:
                case ast.Call(func=ast.Name(id="N_")) if id(call) not in raised:
                    yield f"{module}:{call.lineno}"


def test_inference_says_nothing_but_why_there_is_no_number() -> None:
    every = modules_below("dashboard.analysis.inference")
    assert [place for module in every for place in texts_returned(module)] == []


def test_functions_on_the_way_of_an_analysis_take_six_values_at_most() -> None:
    wide = []
    for module in modules_below(*WAY):
        for function in ast.walk(tree_of(module)):
            if isinstance(function, ast.FunctionDef):
                given = function.args
                names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
                if len([one for one in names if one not in ("self", "cls")]) > MOST_PARAMETERS:
                    wide.append(f"{module}.{function.name}")
    assert wide == []


@pytest.mark.parametrize(
    "module", modules_below("dashboard.analysis.rendering", "dashboard.charts")
)
def test_rendering_computes_no_statistic_and_decides_nothing(module: str) -> None:
    computing = [one for one in all_imports()[module] if f"{one}.".startswith(COMPUTING)]
    assert not computing or module in MAY_COMPUTE, computing
    names = {node.id for node in ast.walk(tree_of(module)) if isinstance(node, ast.Name)}
    assert names & DECIDING == set()


def thresholds_in(template: Path) -> Iterator[str]:
    """Yield where a template decides, or compares a value with a number, but for how long a list
    is.
    """
    environment = jinja2.Environment(autoescape=True, extensions=[TextBlocks, "jinja2.ext.do"])
    tree = environment.parse(template.read_text(encoding="utf-8"))
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in DECIDING:
            yield f"{template.name}:{call.lineno}"
    for compared in tree.find_all(nodes.Compare):
        left = compared.expr
        for operand in compared.ops:
            sides = ((left, operand.expr), (operand.expr, left))
            for value, number in sides if operand.op in _RANGES else ():
                is_length = isinstance(value, nodes.Filter) and value.name == "length"
                if (
                    isinstance(number, nodes.Const)
                    and isinstance(number.value, int | float)
                    and number.value not in _NO_THRESHOLDS
                    and not is_length
                ):
                    yield f"{template.name}:{compared.lineno}"
            left = operand.expr


TEMPLATES = sorted([*DASHBOARD.rglob("*.jinja"), *DASHBOARD.rglob("*.html")])


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda one: one.name)
def test_template_compares_no_value_with_a_threshold(template: Path) -> None:
    assert list(thresholds_in(template)) == []

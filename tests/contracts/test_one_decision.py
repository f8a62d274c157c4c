"""One place compares a p with the level of the tests, and every result is concluded there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from dashboard.analysis.conclusions import (
    Concluded,
    Conclusion,
    Told,
    conclude,
    conclude_without_direction,
    shows,
)
from dashboard.analysis.decision import NO_RESULT
from dashboard.analysis.results import ResultModel
from dashboard.questions.register import QUESTIONS

DASHBOARD = Path(__file__).parents[2] / "dashboard"
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_IN_TEXTS = re.compile(r"[<>]=? *(ALPHA\b|0?\.05\b(?! [µ/]))|ALPHA *[<>]|\"[lg][te]\", *0?\.05")
"""Of a template: ``p < ALPHA``, ``p < 0.05`` and ``selectattr("p", "lt", 0.05)``."""


_OF_RESULT = frozenset({"ResultModel", "DecisionModel", "WithAllModel", "NeighbourModel"})


def _name_of(node: ast.expr) -> str:
    return str(getattr(node, "id", getattr(node, "attr", "")))


_PROSE = re.compile(r"{% trans.*?{% endtrans %}", re.DOTALL)


def is_level(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return node.value == 0.05
    return getattr(node, "id", getattr(node, "attr", "")) == "ALPHA"


def comparisons(path: Path) -> Iterator[str]:
    """Yield where a value is compared with the level, but in the function that does."""
    tree = ast.parse(path.read_text("utf-8"))
    allowed = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name == "shows"
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or id(node) in allowed:
            continue
        sides = (node.left, *node.comparators)
        if any(isinstance(one, _ORDER) for one in node.ops) and any(map(is_level, sides)):
            yield f"{path.relative_to(DASHBOARD)}:{node.lineno}"


def test_level_of_the_tests_is_compared_in_one_place_alone() -> None:
    # What a plan is asked for, a power, is compared with the level, too; it is no p.
    found = [
        where
        for path in sorted(DASHBOARD.rglob("*.py"))
        for where in comparisons(path)
        if not where.startswith("statistics/planning.py")
    ]
    assert not found


def test_level_of_the_tests_in_a_template_is_asked_for_not_compared() -> None:
    templates = [*DASHBOARD.rglob("*.jinja"), *DASHBOARD.rglob("*.html")]
    # The page of the statistics tells in words at which level tests decide.
    found = [
        f"{path.name}: {match[0]}"
        for path in templates
        if path.name != "_statistics.html"
        for match in _IN_TEXTS.finditer(
            re.sub(r"{% trans.*?{% endtrans %}", "", path.read_text("utf-8"), flags=re.S)
        )
    ]
    assert templates
    assert not found


def test_result_of_two_states_is_made_by_the_decision_alone() -> None:
    # A choice, a setting or a subset of the readings has a result only as it is decided.
    made = {
        (str(path.relative_to(DASHBOARD)), inside.name)
        for path in sorted(DASHBOARD.rglob("*.py"))
        for inside in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(inside, ast.FunctionDef)
        for node in ast.walk(inside)
        if isinstance(node, ast.Call) and _name_of(node.func) in _OF_RESULT
    }
    assert made == {
        ("analysis/decision.py", "_result"),
        # these take over the numbers of a result, and nothing else
        ("analysis/inference/checks.py", "with_all_of"),
        ("analysis/inference/sensitivity.py", "_decision_model"),
        ("analysis/inference/neighbours.py", "neighbours"),
    }


@pytest.mark.parametrize(
    "name", ["inference/checks.py", "inference/sensitivity.py", "inference/neighbours.py"]
)
def test_row_of_another_choice_concludes_nothing_itself(name: str) -> None:
    tree = ast.parse((DASHBOARD / "analysis" / name).read_text("utf-8"))
    called = {_name_of(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {"conclude", "compare_visits", "compare_family", "paired_t", "welch_t"}


@pytest.mark.parametrize(
    ("difference", "p", "expected"),
    [
        (2.0, 0.049, Conclusion.HIGHER),
        (-2.0, 0.049, Conclusion.LOWER),
        (2.0, 0.05, Conclusion.NOT_SHOWN),
        (None, 0.01, Conclusion.NO_TEST),
        (2.0, None, Conclusion.NO_TEST),
    ],
)
def test_conclusion_of_a_difference(
    difference: float | None, p: float | None, expected: Conclusion
) -> None:
    assert conclude(difference, p) is expected
    undirected = conclude_without_direction(p)
    assert (undirected is Conclusion.SHOWN) is shows(p)


def test_result_read_again_from_its_json_is_the_same() -> None:
    assert ResultModel.model_validate_json(NO_RESULT.model_dump_json()) == NO_RESULT


def concluded_models(of: type[BaseModel] = Concluded) -> dict[str, type[BaseModel]]:
    """Return the models of results by name, those of the questions of the register among them."""
    assert QUESTIONS
    models = {one.__name__: one for one in of.__subclasses__()}
    for one in list(models.values()):
        models |= concluded_models(one)
    return {name: one for name, one in sorted(models.items()) if one is not Told}


@pytest.mark.parametrize("model", concluded_models().values())
def test_result_model_of_each_question_is_concluded(model: type[BaseModel]) -> None:
    fields = {*model.model_fields, *model.model_computed_fields}
    assert {"conclusion", "caution_codes"} <= fields
    assert ("shown" in fields) is issubclass(model, Told)

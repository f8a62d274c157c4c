"""What `make style` judges: the products meet its bars, and each habit is found where it is."""

from __future__ import annotations

import ast

import pytest

from tools import style
from tools.style import PythonFile, is_participle, late_constants, lines_of_tests

LATE = """
HEAD = 1
class Spec: ...
def work(): ...
log = get_logger()
FREE: int = 2
SPECS = [Spec(HEAD)]
NAMES = [one.name for one in SPECS]
Alias = Spec
for OWN in SPECS: ...
lower = 3
"""
DOCUMENTED = """'What is here.'
class Kind:
    'What it is.'
    def of(self): 'Return it.'
    async def name(self):
        'The name.'
"""


def test_style_constant_below_a_definition_is_named_with_its_parts() -> None:
    late = late_constants(ast.parse(LATE))
    assert [(one.name, one.line, one.must_follow) for one in late] == [
        ("log", 5, False),
        ("FREE", 6, False),
        ("SPECS", 7, True),
        ("NAMES", 8, True),
    ]


def test_style_module_without_definitions_has_no_late_constants() -> None:
    assert late_constants(ast.parse("import os\nA = 1\nB = A\n")) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("_told", True), ("_shown", True), ("given", True), ("taken", True), ("rounded", True)),
        *(("tell", False), ("feed", False), ("__need", False), ("shown_name", False)),
        *(("is_taken", False), ("read", False), ("moved_rows", False)),
    ],
)
def test_style_participle_alone_is_found_by_its_ending_or_the_list(
    name: str, expected: bool
) -> None:
    assert is_participle(name, **style.read_rules()["participles"]) is expected


def test_style_property_named_by_a_participle_is_no_function() -> None:
    row = style.named_by_a_participle(
        [PythonFile(style.ROOT / "tools" / "style.py")], 0, lambda _: True
    )
    assert not any(place.endswith((" tree", " met")) for place in row.places)
    assert any(place.endswith(" compare_with_bars") for place in row.places)


def test_style_first_word_of_a_docstring_is_a_verb_or_a_noun() -> None:
    source = PythonFile(style.ROOT / "tools" / "style.py")
    source.lines = DOCUMENTED.splitlines()
    verbs, nouns = style.docstrings_by_first_word(
        [source], of_functions=["The"], of_classes=["What"], bar=0
    )
    assert verbs.places == ("tools/style.py:6 The",)
    assert nouns.places == ("tools/style.py:1 What", "tools/style.py:3 What")


def test_style_lines_outside_test_functions_are_helpers_constants() -> None:
    source = PythonFile(style.ROOT / "tests" / "project" / "test_style.py")
    outside = style.code_lines(source) - lines_of_tests(source)
    texts = [source.lines[number - 1].strip() for number in sorted(outside)]
    assert "HEAD = 1" in texts
    assert not any(text.startswith(("def test_", "@", "assert ")) for text in texts)

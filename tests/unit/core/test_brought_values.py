"""JSON and TOML of others: what every file has is parsed, what none has is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from dashboard.protocols.file import EXAMPLES
from edge_agent.core.brought_values import MOST_LEVELS, ValuesError, parse_json, parse_toml


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_parse_toml_of_protocol_equals_the_library(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert parse_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        'x = "' + "a." * 99 + '"',
        "x = '" + "a." * 99 + "'",
        'x = """\n' + "a. " * 99 + '"""""',
        "x = 1 # " + "a." * 99 + ' "',
        ".".join("abcd") + " = 1.5",
        "9" * 400 + " = 1",
        'x = "' + "9" * 400 + '"',
        'x = "\\"" # a.b\ny = [' + ", ".join(["1.5"] * 99) + "]",
    ],
)
def test_parse_toml_of_dots_that_are_no_key_equals_the_library(text: str) -> None:
    assert parse_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n" + "a." * 16 + "b = 1", "line 2: a key has more than 16 parts"),
        ('x = """\n"""\n[' + '"a" . ' * 16 + "b]", "line 3: a key has more than 16 parts"),
        ('x = ["""a"""", {' + "a." * 16 + "b = 1}]", "more than 16 parts"),
        ("x = 0x" + "f" * 300, "more than 250 digits"),
        ("x = " + "[" * 2_000, "nested too deeply"),
        (" " * 1_048_577, "more than 1,048,576 bytes"),
        ("x", "Expected '='"),
    ],
)
def test_parse_toml_out_of_bounds_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(ValuesError, match=said):
        parse_toml(text)


def test_parse_json_of_the_deepest_and_longest_is_parsed() -> None:
    deepest = "[" * MOST_LEVELS + '"[[\\"[["' + "]" * MOST_LEVELS
    assert parse_json(deepest)
    assert parse_json(b"\xef\xbb\xbf" + b"9" * 250) == int("9" * 250)
    assert parse_json('"' + "[" * 9_999 + '"') == "[" * 9_999


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * (MOST_LEVELS + 1), "nested too deeply: at most 64 levels"),
        ('{"a":' * 200_000, "nested too deeply"),
        ("[" * 70 + '"' + '\\"' * 99_999, "nested too deeply"),
        ("9" * 4_300, "more than 250 digits"),
        (b"\xff", "utf-8"),
        ("{", "Expecting property name"),
    ],
)
def test_parse_json_out_of_bounds_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(ValuesError, match=said):
        parse_json(text)

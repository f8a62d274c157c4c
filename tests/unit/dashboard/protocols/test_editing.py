"""Changes of a protocol's text keep what people wrote around them."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.protocols import controls, editing
from dashboard.protocols.file import EXAMPLES, ProtocolError
from dashboard.protocols.steps import BY_NAME

TEXT = '''# A study of two films.
title = "Films"          # what people call it

[texts]
language = "de"

# The first film.
[[step]]
kind = "stimulus"   # its kind
label = "one"
text = "One"
seconds = 3

# The second film.
[[step]]
kind = "stimulus"
label = "two"
text = """
[[step]]
two"""
seconds = 4
[[step]]
kind = "rest"
'''


def _steps(text: str) -> list[str]:
    return [step.get("label", step["kind"]) for step in tomllib.loads(text)["step"]]


def test_moved_step_takes_its_comments_along() -> None:
    text = TEXT.replace('"""\n[[step]]\ntwo"""', '"two"')
    moved = editing.moved_step(text, 1, 0)
    assert _steps(moved) == ["two", "one", "rest"]
    assert moved.index("# The second film.\n[[step]]") < moved.index("# The first film.\n[[step]]")
    assert editing.moved_step(moved, 0, 1) == text


def test_text_that_looks_like_a_step_is_not_cut() -> None:
    with pytest.raises(ProtocolError, match="in a way that the form cannot change"):
        editing.moved_step(TEXT, 1, 0)
    with pytest.raises(ProtocolError, match="in a way that the form cannot change"):
        editing.without_step(TEXT, 1)


def test_changed_step_keeps_all_other_lines() -> None:
    text = editing.with_step(TEXT, 0, {"label": "uno", "seconds": 5.0, "practice": None})
    assert text == TEXT.replace('label = "one"', 'label = "uno"').replace(
        "seconds = 3", "seconds = 5"
    )


def test_changed_head_keeps_its_comments() -> None:
    text = editing.with_head(TEXT, {"title": "Filme", "order": "random", "blocks": None})
    assert '# A study of two films.\ntitle = "Filme"          # what people call it' in text
    assert tomllib.loads(text)["order"] == "random"


def test_step_is_added_behind_the_last_and_removed_again() -> None:
    text = TEXT.replace('"""\n[[step]]\ntwo"""', '"two"')
    added = editing.with_new_step(text, 3, {"kind": "blank", "seconds": 0.5, "block": None})
    assert _steps(added) == ["one", "two", "rest", "blank"]
    assert editing.without_step(added, 3) == f"{text}\n"
    assert _steps(editing.without_step(text, 0)) == ["two", "rest"]


def test_only_step_cannot_be_removed() -> None:
    with pytest.raises(ProtocolError, match="A protocol needs a step"):
        editing.without_step('title = "A"\n[[step]]\nkind = "rest"\n', 0)


@given(st.text(min_size=1, max_size=60), st.integers(0, 3))
def test_any_text_of_a_step_is_kept_as_it_is(given_text: str, place: int) -> None:
    text = (EXAMPLES / "three-conditions.toml").read_text(encoding="utf-8")
    try:
        changed = editing.with_new_step(text, place, {"kind": "instruction", "text": given_text})
    except ProtocolError:
        return  # a character that TOML cannot hold, or a line that looks like a table
    assert tomllib.loads(changed)["step"][place]["text"] == given_text


def test_form_says_what_the_file_has() -> None:
    likert = {
        "name": ["liking"],
        "ask": [" How much? \r\n Really?"],
        "labels": ["not\r\n\r\nvery\r\n"],
        "block": [""],
        "required": ["true"],
    }
    assert controls.values_of(BY_NAME["likert"], likert, {}) == {
        "kind": "likert",
        "name": "liking",
        "ask": "How much? \n Really?",
        "labels": ("not", "", "very"),
        "required": True,
        "practice": None,
        "block": None,
    }
    rest = {"seconds": ["30"], "text": [""]}
    assert controls.values_of(BY_NAME["rest"], rest, {"seconds": 60})["seconds"] == 30
    assert controls.values_of(BY_NAME["rest"], rest, {})["seconds"] is None
    assert controls.values_of(BY_NAME["blank"], {"seconds": ["0,5"]}, {})["seconds"] == 0.5

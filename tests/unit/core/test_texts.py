"""Texts with values keep their parts, in a database or a pipe too, and are their English."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.errors import StudyError
from edge_agent.core.texts import Message, join_list, pack_text, text_of, unpack_text


def test_a_message_is_its_english_and_knows_its_parts() -> None:
    text = Message("{n} faces in {file}", n=3, file="a.png")
    assert text == "3 faces in a.png"
    assert (text.template, text.values["n"]) == ("{n} faces in {file}", 3)
    assert json.dumps([text]) == '["3 faces in a.png"]'


def test_a_copy_is_still_a_message() -> None:
    text = Message("{share:.0%} of {what}", share=0.5, what=Message("heart rate"))
    for again in (copy.deepcopy(text), pickle.loads(pickle.dumps(text))):
        assert again == "50% of heart rate"
        assert again.template == text.template


def test_text_of_an_error_is_its_message() -> None:
    message = Message("There is no session {number}.", number=3)
    assert text_of(StudyError(message)) is message
    assert text_of(StudyError("No session is open.")) == "No session is open."


def test_parts_are_listed() -> None:
    assert join_list(["a"]) == "a"
    assert join_list(["a", "b"]) == "a and b"
    assert join_list(["a", "b", "c"]) == "a, b and c"


TEXT = Message(
    "{what} for {seconds:g} s.", what=Message("{vital} high", vital=Message("Pulse")), seconds=2.5
)


def test_a_message_comes_back_with_its_parts() -> None:
    back = unpack_text(str(TEXT), pack_text(TEXT))
    assert back == "Pulse high for 2.5 s."
    assert isinstance(back, Message)
    assert back.template == TEXT.template and back.values["seconds"] == 2.5
    assert isinstance(back.values["what"], Message)


def test_a_plain_text_stays_one() -> None:
    assert pack_text("No picture.") is None
    assert unpack_text("No picture.", None) == "No picture."


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"template": "{a}"}',
        '{"template": "{a}", "values": {}}',
        '{"template": "{a", "values": {"a": 1}}',
        '{"template": 3, "values": {}}',
        '{"template": "{a:g}", "values": {"a": "x"}}',
        '{"template": "{a.real.nothing}", "values": {"a": 1}}',
        '{"template": "{0}", "values": {"a": 1}}',
        '{"template": "Another text.", "values": {}}',
        "[" * 100_000,
    ],
)
def test_parts_that_are_broken_or_of_another_text_are_passed_over(kept: str) -> None:
    text = unpack_text("No picture.", kept)
    assert text == "No picture." and not isinstance(text, Message)


def test_parts_nested_too_deeply_are_passed_over() -> None:
    parts: object = {"template": "No picture.", "values": {}}
    for _ in range(50):
        parts = {"template": "{a}", "values": {"a": parts}}
    assert not isinstance(unpack_text("No picture.", json.dumps(parts)), Message)


@given(st.text(), st.text(), st.floats(allow_nan=False), st.integers())
def test_whatever_fills_the_places_comes_back(a: str, b: str, c: float, d: int) -> None:
    text = Message("{a} {b} {c} {d}", a=a, b=Message("{a}", a=b), c=c, d=d)
    back = unpack_text(str(text), pack_text(text))
    assert back == text and isinstance(back, Message) and back.values["c"] == c


@pytest.mark.parametrize("template", ["{n:>900000000}", "{n:{n}}", "{n.__class__}", "{0}"])
def test_template_that_does_more_than_fill_in_values_is_no_message(template: str) -> None:
    kept = json.dumps({"template": template, "values": {"n": 900_000_000}})
    assert type(unpack_text("x", kept)) is str

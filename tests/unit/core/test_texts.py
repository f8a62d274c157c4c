"""Texts with values keep their parts, and are their English."""

from __future__ import annotations

import copy
import json
import pickle

from edge_agent.core.errors import StudyError
from edge_agent.core.texts import Message, listed, text_of


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


def test_what_an_error_says_is_the_message_it_was_raised_with() -> None:
    message = Message("There is no session {number}.", number=3)
    assert text_of(StudyError(message)) is message
    assert text_of(StudyError("No session is open.")) == "No session is open."


def test_parts_are_listed() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"

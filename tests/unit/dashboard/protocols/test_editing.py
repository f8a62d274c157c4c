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


FILMS = """title = "Films"

[[step]]
kind = "baseline"

# The first film.
[[step]]
kind = "stimulus"
label = "one"
video = "one.mp4"
block = "a"

[[step]]
kind = "pressure"
block = "a"

# Ours.
[[step]]
kind = "slider"   # 0 to 100
name = "tension"
ask = "How tense?"
low = "not"
high = "very"
block = "a"

[[step]]
kind = "free_text"
name = "why"
ask = "Why?\\nReally?"
block = "a"

# The second film.
[[step]]
kind = "stimulus"
label = "two"
video = "two.mp4"
block = "b"

[[step]]
kind = "pressure"
block = "b"

[[step]]
kind = "stimulus"
label = "try"
video = "try.mp4"
practice = true

[[step]]
kind = "stimulus"
label = "three"
video = "three.mp4"
"""


def _named(text: str) -> list[str]:
    steps = tomllib.loads(text)["step"]
    return [step.get("label", step.get("name", step["kind"])) for step in steps]


def test_copy_stands_where_it_is_asked_with_the_block_before_it() -> None:
    text = editing.with_copies(FILMS, {8: [3, 4], 3: [3]})
    assert _named(text) == [
        *("baseline", "one", "pressure", "tension", "tension", "why", "two", "pressure", "try"),
        *("three", "tension", "why"),
    ]
    steps = tomllib.loads(text)["step"]
    assert [steps[at].get("block") for at in (4, 10, 11)] == ["a", None, None]
    assert steps[11] == {"kind": "free_text", "name": "why", "ask": "Why?\nReally?"}
    # What was there keeps its lines and comments.
    for place in (11, 10, 4):
        text = editing.without_step(text, place)
    assert text.rstrip() == FILMS.rstrip()


def test_copies_behind_each_stimulus_leave_the_pressure_with_it() -> None:
    copies = editing.behind_each_stimulus(FILMS, [3, 4])
    assert copies == {6: [3, 4], 8: [3, 4]}
    text = editing.with_copies(FILMS, copies)
    assert _named(text)[5:] == [
        *("two", "pressure", "tension", "why", "try", "three", "tension", "why")
    ]
    assert [step.get("block") for step in tomllib.loads(text)["step"]][5:9] == ["b"] * 4


def test_stimulus_that_has_a_step_gets_no_second_copy_of_it() -> None:
    partly = editing.with_copies(FILMS, {6: [4]})
    assert editing.behind_each_stimulus(partly, [3, 4]) == {6: [3], 9: [3, 4]}
    whole = editing.with_copies(FILMS, editing.behind_each_stimulus(FILMS, [3, 4]))
    with pytest.raises(ProtocolError, match="Every stimulus has"):
        editing.behind_each_stimulus(whole, [3, 4])


def test_stimulus_is_not_copied_behind_itself() -> None:
    assert editing.behind_each_stimulus(FILMS, [1]) == {6: [1], 8: [1]}


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
        "with_stimulus": None,
        "block": None,
    }
    rest = {"seconds": ["30"], "text": [""]}
    assert controls.values_of(BY_NAME["rest"], rest, {"seconds": 60})["seconds"] == 30
    assert controls.values_of(BY_NAME["rest"], rest, {})["seconds"] is None
    assert controls.values_of(BY_NAME["blank"], {"seconds": ["0,5"]}, {})["seconds"] == 0.5


def test_copies_behind_stimuli_of_a_file_without_any_are_refused() -> None:
    with pytest.raises(ProtocolError, match="no stimulus to copy them behind"):
        editing.behind_each_stimulus('title = "x"\n[[step]]\nkind = "rest"\n', [0])


def test_copies_into_steps_on_one_line_are_refused_with_what_to_do() -> None:
    text = 'title = "x"\nstep = [{ kind = "rest" }, { kind = "rest" }]\n'
    with pytest.raises(ProtocolError, match="Change its text below"):
        editing.with_copies(text, {0: [1]})


RATED = """title = "Rated"
order = "random"
[[step]]
kind = "stimulus"
label = "one"
text = "1"
seconds = 1
# How it was.
[[step]]
kind = "report"
[[step]]
kind = "stimulus"
label = "two"
text = "2"
seconds = 1
[[step]]
kind = "report"
[[step]]
kind = "stimulus"
label = "task"
text = "3"
seconds = 1
[[step]]
kind = "choice"
name = "best"
ask = "Which?"
options = ["one", "two"]
"""


def _bound(text: str) -> str:
    """The steps: s of a stimulus, r of a step that belongs to it, - of any other."""
    signs = {"stimulus": "s"}
    return "".join(
        signs.get(step["kind"], "r" if step.get("with_stimulus") else "-")
        for step in tomllib.loads(text)["step"]
    )


def test_what_follows_stimuli_is_bound_but_for_the_end() -> None:
    assert _bound(RATED) == "s-s-s-"
    bound = editing.belonging(RATED)
    assert _bound(bound) == "srsrs-"
    assert "# How it was." in bound
    assert editing.belonging(bound) == bound
    assert _bound(editing.belonging(RATED, [{"kind": "choice", "name": "other"}])) == "s-s-s-"
    last = tomllib.loads(RATED)["step"][-1]
    assert _bound(editing.belonging(RATED, [last])) == "s-s-sr"


def test_bound_steps_are_moved_copied_and_removed_with_their_stimulus() -> None:
    bound = editing.belonging(RATED)
    assert _named(editing.moved_step(bound, 0, 2)) == [
        *("two", "report", "one", "report", "task", "best")
    ]
    assert _bound(editing.moved_step(bound, 1, 5)) == "ssrs--", "behind a question of the end"
    assert _bound(editing.moved_step(bound, 1, 3)) == "ssrrs-", "it belongs to the one before it"
    assert _bound(editing.moved_step(bound, 5, 1)) == "srrsrs"
    assert _named(editing.without_step(bound, 0)) == ["two", "report", "task", "best"]
    assert _bound(editing.free_strays(editing.with_copies(bound, {1: [1, 5]}))) == "srrrsrs-"
    assert _bound(editing.free_strays(editing.with_copies(bound, {5: [1]}))) == "srsrs--"
    with pytest.raises(ProtocolError, match="A protocol needs a step"):
        editing.without_step('title = "A"\n[[step]]\nkind = "stimulus"\n', 0)


def test_new_question_behind_a_stimulus_belongs_to_it() -> None:
    film = RATED.partition("# How")[0]
    assert editing.place_of_new(film, "slider") == {"with_stimulus": True}
    assert editing.place_of_new(film, "rest") == {}
    assert editing.place_of_new(RATED, "slider") == {}
    assert editing.place_of_new("", "slider") == {}
    blocked = film.replace("seconds = 1", 'seconds = 1\nblock = "a"')
    assert editing.place_of_new(blocked, "report") == {"with_stimulus": True, "block": "a"}


def test_stimulus_that_is_moved_passes_the_next_one_whole() -> None:
    two = TWO_CARDS
    assert _bound(two) == "srsr-"
    down = editing.moved_step(two, 0, 1)
    assert [step.get("label") for step in tomllib.loads(down)["step"]] == [
        "b", None, "a", None, None,
    ]  # fmt: skip
    assert editing.moved_step(down, 2, 1) == two
    steps = tomllib.loads(two)["step"]
    assert [editing.landing(steps, 4, at) for at in (0, 1, 2)] == [0, 1, 2], "a question may go in"


def test_new_step_within_a_card_belongs_or_comes_behind_it() -> None:
    rest, place = editing.with_step_at(TWO_CARDS, 1, {"kind": "report", "scales": ["arousal"]})
    assert (_bound(rest), place) == ("srrsr-", 1)
    film, place = editing.with_step_at(
        TWO_CARDS, 1, {"kind": "stimulus", "label": "c", "text": "C", "seconds": 3}
    )
    assert (_bound(film), place) == ("srssr-", 2)


TWO_CARDS = "\n".join(
    [
        'title = "Two"',
        *(
            f"""[[step]]
kind = "stimulus"
label = "{label}"
text = "{label}"
seconds = 3

[[step]]
kind = "report"
scales = ["valence"]
with_stimulus = true
"""
            for label in "ab"
        ),
        '[[step]]\nkind = "rest"\nseconds = 3\n',
    ]
)

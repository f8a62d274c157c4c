"""Orders of stimuli and blocks: random by a seed, within blocks, and around practice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dashboard.protocols.file import ProtocolError, StudyProtocol, load_protocol
from dashboard.protocols.screens import RunOrder, find_parted, order_rows, screens_of
from dashboard.protocols.steps import ScreenKind


def _protocol(folder: Path, head: str, *steps: str) -> StudyProtocol:
    path = folder / "order.toml"
    text = "".join(f"[[step]]\n{step}\n" for step in steps)
    path.write_text(f'title = "Order"\n{head}\n{text}', encoding="utf-8")
    return load_protocol(path)


def _film(label: str, more: str = "") -> str:
    return f'kind = "stimulus"\nlabel = "{label}"\nseconds = 1\ntext = "{label}"\n{more}'


def _labels(protocol: StudyProtocol, order: RunOrder) -> str:
    screens = screens_of(protocol, order)
    return "".join(one.label for one in screens if one.kind is ScreenKind.STIMULUS)


def test_random_order_of_one_seed_is_always_the_same(tmp_path: Path) -> None:
    protocol = _protocol(tmp_path, 'order = "random"', *(_film(one) for one in "abcdef"))
    assert protocol.is_random
    assert order_rows(protocol) == 1
    # as CPython 3.11 and 3.13 compute them: an order that was run can be made again
    orders = [_labels(protocol, RunOrder(seed=seed)) for seed in (1, 2, 2)]
    assert orders == ["bcfdea", "cbdaef", "cbdaef"]


def test_random_orders_are_equally_likely(tmp_path: Path) -> None:
    protocol = _protocol(tmp_path, 'order = "random"', *(_film(one) for one in "abc"))
    counts = Counter(_labels(protocol, RunOrder(seed=seed)) for seed in range(6000))
    assert len(counts) == 6
    # 1000 each; five standard deviations are 144
    assert max(abs(count - 1000) for count in counts.values()) < 144


def test_random_stimuli_of_a_block_stay_in_it(tmp_path: Path) -> None:
    steps = [_film(one, 'block = "one"') for one in "abc"]
    steps += [_film(one, 'block = "two"') for one in "xyz"]
    protocol = _protocol(tmp_path, 'order = "random"\nblocks = "random"', *steps)
    orders = {_labels(protocol, RunOrder(seed=seed)) for seed in range(500)}
    assert len(orders) == 72
    assert all(set(order[:3]) in ({*"abc"}, {*"xyz"}) for order in orders)


def test_counterbalanced_blocks_keep_their_steps_together(tmp_path: Path) -> None:
    question = 'kind = "slider"\nname = "q"\nask = "?"\nlow = "l"\nhigh = "h"\nblock = "{}"'
    steps = [
        step for one in "ab" for step in (_film(one, f'block = "{one}"'), question.format(one))
    ]
    protocol = _protocol(tmp_path, 'blocks = "counterbalanced"', *steps, 'kind = "rest"')
    assert order_rows(protocol) == 2
    shown = [[one.step for one in screens_of(protocol, RunOrder(row))] for row in range(2)]
    assert shown == [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]]


def test_practice_opens_no_condition_and_keeps_its_place(tmp_path: Path) -> None:
    steps = [_film("p", "practice = true"), *(_film(one) for one in "abc")]
    protocol = _protocol(tmp_path, 'order = "random"', *steps)
    for seed in range(20):
        first, *others = screens_of(protocol, RunOrder(seed=seed))
        assert first.label == "p"
        assert first.condition is None
        assert first.practice
        assert all(one.opens and not one.practice for one in others)


@pytest.mark.parametrize(
    ("head", "blocks", "said"),
    [
        ("", "aba", "the steps of a block must follow each other"),
        ('blocks = "random"', "aaa", "give two or more steps a block"),
        ('order = "counterbalanced"', "abb", "is for stimuli without blocks"),
    ],
)
def test_blocks_that_contradict_the_order_are_refused(
    tmp_path: Path, head: str, blocks: str, said: str
) -> None:
    steps = (_film("x", f'block = "{block}"') for block in blocks)
    with pytest.raises(ProtocolError, match=said):
        _protocol(tmp_path, head, *steps)


RATED = 'kind = "report"\nscales = ["valence"]\n'
WITH = RATED + "with_stimulus = true\n"
BEST = 'kind = "choice"\nname = "best"\nask = "?"\noptions = ["a", "b"]\n'


def _told(protocol: StudyProtocol, seed: int) -> str:
    """The labels in an order, each rated one with an r."""
    screens = screens_of(protocol, RunOrder(seed=seed))
    return "".join(one.label or ("r" if one.scale else "?") for one in screens)


def test_what_belongs_to_a_stimulus_moves_with_it(tmp_path: Path) -> None:
    films = [step for one in "abc" for step in (_film(one), WITH)]
    protocol = _protocol(tmp_path, 'order = "random"', *films, _film("t"), BEST)
    shown = {_told(protocol, seed) for seed in range(200)}
    assert len(shown) == 24
    for order in shown:
        assert all(f"{film}r" in order for film in "abc"), order
        assert "tr" not in order and order.endswith("?")
    checked = find_parted(protocol)
    assert checked is not None and (checked.orders, checked.of) == (0, 100)


def test_stretches_around_a_block_keep_their_stimuli_whole(tmp_path: Path) -> None:
    steps = (_film("a"), WITH, WITH, _film("x", 'block = "x"'), _film("b"))
    protocol = _protocol(tmp_path, 'order = "random"', *steps)
    assert {_told(protocol, seed) for seed in range(20)} == {"arrxb", "bxarr"}


def test_seeds_give_what_they_gave_where_nothing_belongs(tmp_path: Path) -> None:
    plain = [step for one in "abc" for step in (_film(one), RATED)]
    protocol = _protocol(tmp_path, 'order = "random"', *plain, _film("t"))
    assert [_told(protocol, seed) for seed in (1, 2, 3)] == ["trbrcra", "brarcrt", "crtrbra"]


@pytest.mark.parametrize(
    ("head", "steps", "lacking"),
    [
        # The same ratings behind each: films change places, and every one is rated.
        ('order = "random"', (_film("a"), RATED, _film("b"), RATED), ()),
        ('order = "random"', (_film("a"), RATED, _film("b"), RATED, BEST), ()),
        # One without any at the end takes the place of another.
        ('order = "random"', (_film("a"), RATED, _film("b"), RATED, _film("t")), ("a", "b")),
        ('order = "random"', (_film("t"), _film("a"), RATED), None),
        ('order = "random"', (_film("t"), _film("a"), WITH), ()),
        ('order = "counterbalanced"', (_film("a"), RATED, _film("t")), ("a",)),
        # A question of its own behind each.
        (
            'order = "random"',
            (_film("a"), BEST, _film("b"), BEST.replace("best", "other"), _film("c")),
            ("a", "b"),
        ),
        ('order = "random"', (_film("a"), 'kind = "pressure"', _film("b")), ("a",)),
        ("", (_film("a"), RATED, _film("b")), None),
        ('order = "random"', (_film("a"), _film("b"), 'kind = "rest"'), None),
        (
            'blocks = "random"',
            (_film("a", 'block = "one"'), f'{RATED}block = "one"', _film("b", 'block = "two"')),
            None,
        ),
        (
            'order = "random"',
            (_film("a", 'block = "one"'), f'{RATED}block = "one"', _film("b", 'block = "one"')),
            ("a",),
        ),
    ],
)
def test_orders_that_part_stimuli_from_their_questions_are_counted(
    head: str, steps: tuple[str, ...], lacking: tuple[str, ...] | None, tmp_path: Path
) -> None:
    checked = find_parted(_protocol(tmp_path, head, *steps))
    assert (checked and checked.stimuli) == lacking
    if checked is not None:
        assert bool(checked.orders) == bool(lacking)
        assert checked.of == (2 if "counterbalanced" in head else 100)


@pytest.mark.parametrize("before", [(), (_film("a", 'block = "x"'),), (_film("a"), RATED)])
def test_step_that_belongs_to_no_stimulus_is_refused(
    before: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(ProtocolError, match="needs a stimulus before it"):
        _protocol(tmp_path, "", *before, WITH)

"""Orders of stimuli and blocks: random by a seed, within blocks, and around practice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dashboard.protocols.file import ProtocolError, StudyProtocol, load_protocol
from dashboard.protocols.screens import RunOrder, order_rows, screens_of
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

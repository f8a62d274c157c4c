"""Near-copies are found without comparing every pair, and none is missed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from training.report import problems
from training.report.problems import NEARLY, copies_of, near_copies, near_pairs


def hashes_with_neighbours(seed: int) -> NDArray[np.uint8]:
    """Random hashes, and for each some that differ in 0 to 45 bits, wherever these lie."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (60, 256), dtype=np.uint8)
    others = []
    for at, changed in enumerate(np.tile(np.arange(46), 4)):
        other = bits[at % 60].copy()
        other[rng.choice(256, changed, replace=False)] ^= 1
        others.append(other)
    return np.packbits(np.concatenate([bits, others]), axis=1)


def by_comparing_all(hashes: NDArray[np.uint8]) -> dict[tuple[int, int], int]:
    apart = np.unpackbits(hashes[:, None] ^ hashes[None], axis=2).sum(axis=2)
    return {
        (i, j): int(apart[i, j])
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if apart[i, j] <= NEARLY
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_comparing_every_pair_finds_is_found(seed: int) -> None:
    hashes = hashes_with_neighbours(seed)

    pairs = near_pairs(hashes)

    found = zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    bits = dict(zip(found, pairs.bits.tolist(), strict=True))
    expected = by_comparing_all(hashes)
    alike = np.unique(hashes, axis=0, return_inverse=True)[1].ravel()
    firsts = {at for at, group in enumerate(alike) if list(alike).index(group) == at}
    missed = {
        pair for pair in expected.keys() - bits.keys() if pair[0] in firsts and pair[1] in firsts
    }
    assert not missed
    assert bits.items() <= expected.items()
    assert max(bits.values()) == NEARLY, "the made hashes reach the bound"


def test_thousands_of_one_picture_do_not_take_the_square_of_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    same = np.zeros((5000, 32), dtype=np.uint8)

    assert len(near_pairs(same).first) == 4999

    monkeypatch.setattr(problems, "MOST_IN_A_BUCKET", 3)
    film = np.zeros((400, 32), dtype=np.uint8)
    film[:, :2] = np.arange(400, dtype=np.uint16)[:, None].view(np.uint8)
    assert len(near_pairs(film).first) <= 400 * 272 * 3


def test_a_copy_has_its_original_beside_it_and_likeness_does_not_chain() -> None:
    pairs = problems.Pairs(
        np.array([0, 1, 2, 3, 0]),
        np.array([1, 2, 3, 4, 5]),
        np.array([10, 10, 5, 0, 0], dtype=np.int64),
    )

    assert copies_of(pairs) == {1: 0, 3: 2, 4: 2, 5: 0}


def test_of_three_that_are_the_same_two_are_copies_whichever_is_kept() -> None:
    rng = np.random.default_rng(6)
    pictures = rng.integers(0, 256, (2, 48, 48), dtype=np.uint8)

    assert near_copies(pictures[[1, 0, 0, 1, 0]]) == [(1, 2), (0, 3), (1, 4)]


def test_pictures_without_a_copy_have_none() -> None:
    pictures = np.random.default_rng(4).integers(0, 256, (9, 48, 48), dtype=np.uint8)

    assert near_copies(pictures) == []
    assert near_copies(pictures[[0, 1, 0]]) == [(0, 2)]
    assert near_copies(pictures[:0]) == []

"""Pictures that look nearly like another one, found without comparing every pair.

Two pictures whose difference hashes (256 bits) differ in at most ``NEARLY`` = 30 bits differ in at
most one bit of at least one of sixteen bands of 16 bits: were it two in each, it would be 32 (the
pigeonhole principle; Norouzi, Punjani and Fleet 2014, "Fast exact search in Hamming space with
multi-index hashing", doi 10.1109/TPAMI.2013.231). So only pictures that share a band, or all but
one bit of it, are compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.faces.labelling.copies import difference_hash

NEARLY = 30
"""Most differing bits, of 256, of two pictures that are one: half of the pictures of FER2013 that
were turned by 1.5° and brightened by 15 % differ by less from what they were, 1.3 % of different
ones do, of which most are the same photograph cut twice."""
BANDS = 16
MOST_IN_A_BUCKET = 1000
"""A picture is compared with at most so many others for each of its 272 lookups. FER2013 needs no
more; a folder of thousands of frames of one film would, and of it some copies are not found."""
_BITS = 16
_AT_ONCE = 1_000_000  # pairs that are compared together: 64 MB
_ONES = np.array([value.bit_count() for value in range(2**_BITS)], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of pictures that look nearly alike.

    Attributes:
        first: intp, n: the index of one.
        second: intp, n: of the other, which is larger.
        bits: int64, n: how many bits of their hashes differ.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    bits: NDArray[np.int64]


def hashes_of(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The difference hash of each grey picture: uint8, N × 32."""
    return np.array(
        [
            difference_hash(np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), dtype=np.uint8))
            for picture in pictures
        ],
        dtype=np.uint8,
    ).reshape(len(pictures), 32)


def near_pairs(hashes: NDArray[np.uint8]) -> Pairs:
    """All pairs that differ in at most ``NEARLY`` bits, but for what ``MOST_IN_A_BUCKET`` says.

    Of pictures with the same hash only the first is compared with others; it is paired with the
    rest, which look like whatever it looks like.

    Args:
        hashes: uint8, N × 32.
    """
    _, firsts, group = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    group = group.ravel()
    bands = np.ascontiguousarray(hashes[firsts]).view(np.uint16)
    near = [_compared(bands, first, second) for first, second in _candidates(bands)]
    first = np.concatenate([firsts[a] for a, _, _ in near] + [firsts[group]])
    second = np.concatenate([firsts[b] for _, b, _ in near] + [np.arange(len(hashes))])
    bits = np.concatenate([n for _, _, n in near] + [np.zeros(len(hashes), dtype=np.int64)])
    other = first != second
    ends = np.sort(np.stack([first[other], second[other]]), axis=0)
    _, once = np.unique(ends, axis=1, return_index=True)
    return Pairs(ends[0, once], ends[1, once], bits[other][once])


def copies_of(pairs: Pairs) -> dict[int, int]:
    """Which picture is left out as a copy, and of which picture that is kept.

    The pictures are taken in turn: one that looks nearly like one kept before is a copy of the
    nearest of those, any other is kept. So every copy has its original beside it, and no chain of
    likenesses joins what is unlike.

    Args:
        pairs: of pictures, those that are rather kept before the others.
    """
    before: dict[int, list[tuple[int, int]]] = {}
    for one, other, bits in zip(
        pairs.first.tolist(), pairs.second.tolist(), pairs.bits.tolist(), strict=True
    ):
        before.setdefault(other, []).append((bits, one))
    copies: dict[int, int] = {}
    for at in sorted(before):
        bits, nearest = min(before[at])
        if bits == 0:
            copies[at] = copies.get(nearest, nearest)
            continue
        kept = [pair for pair in before[at] if pair[1] not in copies]
        if kept:
            copies[at] = min(kept)[1]
    return copies


def near_copies(pictures: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Each picture that looks nearly like one before it: (that one, the picture), in order.

    Args:
        pictures: uint8, N × 48 × 48.
    """
    copies = copies_of(near_pairs(hashes_of(pictures)))
    return [(original, at) for at, original in sorted(copies.items())]


def _candidates(
    bands: NDArray[np.uint16],
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pairs that share a band, or all of it but one bit; a pair may come several times."""
    everyone = np.arange(len(bands))
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        keys = band[order]
        same_until = np.searchsorted(keys, keys, side="right")
        yield from _runs(order, order, everyone + 1, same_until)
        for bit in range(_BITS):
            flag = np.uint16(1 << bit)
            without = order[(keys & flag) == 0]
            wanted = band[without] | flag
            begin, end = (np.searchsorted(keys, wanted, side=side) for side in ("left", "right"))
            yield from _runs(without, order, begin, end)


def _runs(
    whose: NDArray[np.intp],
    order: NDArray[np.intp],
    begin: NDArray[np.intp],
    end: NDArray[np.intp],
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pair each of ``whose`` with the pictures at its run of places in ``order``."""
    lengths = np.minimum(end - begin, MOST_IN_A_BUCKET)
    part = np.cumsum(lengths) // _AT_ONCE
    for chosen in np.split(np.arange(len(whose)), np.flatnonzero(np.diff(part)) + 1):
        count = lengths[chosen]
        first = np.repeat(whose[chosen], count)
        within = np.arange(len(first)) - np.repeat(np.cumsum(count) - count, count)
        yield first, order[np.repeat(begin[chosen], count) + within]


def _compared(
    bands: NDArray[np.uint16], first: NDArray[np.intp], second: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int64]]:
    """Those of some pairs that look nearly alike, and how many bits differ."""
    bits = _ONES[bands[first] ^ bands[second]].sum(axis=1, dtype=np.int64)
    near = bits <= NEARLY
    return first[near], second[near], bits[near]

"""Odd payloads: broken JSON, wrong types, odd numbers and texts, with sound ones between."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

_ODD_VALUES = [None, True, False, 0, -1, 72, 1e308, -0.0, 10**400, 2**63]
_ODD_TEXTS = ["", "nan", "inf", "72", "1_0", "\ud800", "\x00", "a\nb", "../../x", "é", "x" * 300]
_ODD_WORDS = ["heart_rate", "systolic", "ms", "kPa", "'; DROP TABLE vital; --"]
_TIMES = ["2026-09-21T14:20:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
_SCALARS = (
    st.sampled_from([*_ODD_VALUES, *_ODD_TEXTS, *_ODD_WORDS, *_TIMES])
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
)
ODD: st.SearchStrategy[Any] = st.one_of(
    _SCALARS,
    st.lists(_SCALARS, max_size=3),
    st.dictionaries(st.text(max_size=4), _SCALARS, max_size=3),
)
_NAMES = ["kind", "value", "unit", "at", "source", "flags", "device_time", "id", "schema", "x", ""]
SOUND = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["heart_rate", "systolic", "diastolic", "mean_arterial"]),
        "value": st.integers(0, 400),
    },
    optional={
        "at": st.integers(1_789_000_000_000, 1_791_000_000_000),
        "source": st.sampled_from(["watch", "cuff"]),
        "id": st.integers(0, 9),
    },
)


@st.composite
def _bent(draw: st.DrawFn) -> dict[str, Any]:
    """A sound reading with a few fields replaced, added or taken away."""
    item = dict(draw(SOUND))
    for name in draw(st.lists(st.sampled_from(_NAMES), max_size=3)):
        item[name] = draw(ODD)
    if draw(st.booleans()):
        item.pop(draw(st.sampled_from(sorted(item))), None)
    return item


ITEMS = st.one_of(SOUND, _bent(), ODD)
_TEXTS = st.one_of(ITEMS, st.lists(ITEMS, max_size=5)).map(
    lambda item: json.dumps(item).encode("utf-8")
)


@st.composite
def _broken(draw: st.DrawFn) -> bytes:
    """A payload that was cut, or in which bytes were changed."""
    text = bytearray(draw(_TEXTS))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=3))
    return bytes(text)


PAYLOADS: st.SearchStrategy[bytes] = st.one_of(
    _TEXTS,
    _broken(),
    st.binary(max_size=40),
    _TEXTS.map(lambda text: text.decode().encode("utf-16")),
    st.sampled_from([b"", b"[" * 5000, b"{" * 5000, b'{"a":' * 3000, b"9" * 6000]),
    st.sampled_from([b"\xef\xbb\xbf{}", b"null", b"[[]]"]),
)

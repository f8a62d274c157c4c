"""Collecting what a test left, so that what it left open is told during this test."""

from __future__ import annotations

import gc


def collect() -> None:
    """Collect garbage; of objects that hold each other, the first made is finalized first.

    One full collection looks at the youngest objects before those that survived once: a client of
    paho would lose the sockets that it closes itself, and Python would call them left open.
    """
    for generation in range(3):
        gc.collect(generation)

"""Settings of all tests with real servers, brokers and programs."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.support.garbage import collect


@pytest.fixture(autouse=True)
def _left_open() -> Iterator[None]:
    """Collect garbage after each test, so that a socket or file left open fails the test that left
    it. Python warns of it when the object goes, which is otherwise during some later test.
    """
    yield
    collect()


@pytest.fixture(scope="module", autouse=True)
def _left_open_by_module() -> Iterator[None]:
    """Do the same after the fixtures of a module.

    What was there before, such as libraries, is not looked at again: that would take longer than
    most tests.
    """
    gc.freeze()
    yield
    collect()

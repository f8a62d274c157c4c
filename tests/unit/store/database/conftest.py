"""The tests of the schema itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.new_databases import real_schema


@pytest.fixture(autouse=True)
def _no_copied_schema() -> Iterator[None]:
    with real_schema():
        yield

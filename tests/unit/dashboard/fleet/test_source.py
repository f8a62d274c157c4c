"""Where a study lies, and what is refused before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.fleet.source import FleetStudy, OwnStudy, study_source
from edge_agent.core.errors import StoreError

OWN = Path("affect-edge.db")


def test_without_an_address_it_is_the_file_of_this_appliance() -> None:
    source = study_source(None, OWN, ())
    assert source == OwnStudy(OWN)
    with source.databases() as sites:
        assert sites == (("", OWN),)


def test_with_an_address_it_lies_at_the_collector() -> None:
    assert study_source("postgres://db/fleet", OWN, ("room", "hall", "room")) == FleetStudy(
        "postgres://db/fleet", ("room", "hall")
    )


def test_what_is_no_address_or_needs_one_is_refused() -> None:
    with pytest.raises(StoreError, match="--source 'mysql://db' is no address of PostgreSQL"):
        study_source("mysql://db", OWN, ())
    with pytest.raises(StoreError, match=r"A device \(room\) can be chosen with --source only"):
        study_source(None, OWN, ("room",))


def test_times_around_sessions_that_touch_are_read_once() -> None:
    pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
    from dashboard.fleet.copies import AROUND_MS, joined_spans

    hour = 3_600_000
    assert joined_spans([(0, hour), (2 * hour, 3 * hour), (9 * hour, 10 * hour)]) == [
        (-AROUND_MS, 3 * hour + AROUND_MS),
        (9 * hour - AROUND_MS, 10 * hour + AROUND_MS),
    ]
    [(start, end)] = joined_spans([(0, None)])
    assert start == -AROUND_MS
    assert end > 2**60

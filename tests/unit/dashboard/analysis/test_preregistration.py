"""Preregistrations: what counts as a difference, and what stands for one made elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pydantic import ValidationError

from dashboard.analysis.preregistration import (
    PreregisteredModel,
    PreregistrationDocument,
    compare_with_newest,
    preregister,
    read_preregistrations,
)
from dashboard.analysis.query import AnalysisQuery, Sample, address_of, query_of
from edge_agent.core.errors import StudyError
from edge_agent.timeline.database.connection import insert, write_transaction
from edge_agent.timeline.database.upgrade import migrate

DAY_MS = 86_400_000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """An empty timeline."""
    path = tmp_path / "affect-edge.db"
    migrate(path)
    return path


def document(**values: Any) -> PreregistrationDocument:
    """Return a preregistration of twelve people."""
    return PreregistrationDocument.model_validate({"people": 12, "stopping": "then", **values})


def compared(
    database: Path,
    decided: dict[str, Any],
    now: dict[str, Any],
    sample: Sample = Sample.MEASURED,
    sources: tuple[str, ...] = (),
) -> PreregisteredModel:
    """Return how a question stands to a decided one; both are in other words than defaults."""
    preregister(database, document(question=decided), "me")
    query = AnalysisQuery.model_validate(now).preferring(sources)
    found = compare_with_newest(database, query, 12, [], sample=sample, prefer_sources=sources)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("decided", "now"),
    [
        ({"sample": "measured"}, {}),
        ({}, {"sample": "measured"}),
        ({}, {"leave_out_flagged": True}),
        ({"estimated": True}, {"count_flagged": ["estimated"]}),
        ({}, {"session": [3, 4]}),
        ({"sample": "selected", "session": [4, 3]}, {"sample": "selected", "session": [3, 4, 3]}),
        ({"states": ["rest", "Film A"]}, {"states": ["Rest", "film a"]}),
        ({}, {"window": 4.0, "lag_heart_rate": 2.0, "share": 0.9}),
        ({"state": "observed"}, {"state": "observed", "settling_heart_rate": 0.0}),
        ({"vital": ["heart_rate"]}, {"vital": ["heart_rate"], "bound_pressure": 3.0}),
        ({"vital": ["smile"]}, {"vital": ["smile"], "bound_heart_rate": 2.0}),
    ],
)
def test_question_that_is_answered_alike_is_as_preregistered(
    database: Path, decided: dict[str, Any], now: dict[str, Any]
) -> None:
    sample = Sample.SELECTED if decided.get("sample") == "selected" else Sample.MEASURED
    found = compared(database, decided, now, sample)
    assert (found.as_preregistered, found.differences, found.changed) == (True, (), ())


@pytest.mark.parametrize(
    ("decided", "now", "sample", "changed"),
    [
        ({}, {}, Sample.EXAMPLE, ("sample", "measured", "example")),
        ({}, {"count_flagged": ["artefact"]}, None, ("count_flagged", "none", "artefact")),
        ({"vital": ["systolic"]}, {"vital": ["systolic"], "bound_pressure": 3}, None,
         ("bound_pressure", "5", "3")),
        ({"state": "observed"}, {"state": "observed", "window": 4}, None, ("window", "10", "4")),
        ({}, {"prefer_source": ["watch"]}, None, ("prefer_source", "none", "watch")),
    ],
)  # fmt: skip
def test_question_that_is_answered_otherwise_differs(
    database: Path,
    decided: dict[str, Any],
    now: dict[str, Any],
    sample: Sample | None,
    changed: tuple[str, str, str],
) -> None:
    found = compared(database, decided, now, sample or Sample.MEASURED)
    assert [(one.name, one.decided, one.current) for one in found.changed] == [changed]
    assert not found.as_preregistered


def test_sources_of_the_configuration_are_frozen_with_the_question(database: Path) -> None:
    made = preregister(database, document(), "me", ("strap", "watch"))
    assert made.document.question.prefer_source == ("strap", "watch")
    same = compare_with_newest(database, AnalysisQuery(), 12, [], prefer_sources=("strap", "watch"))
    other = compare_with_newest(database, AnalysisQuery(), 12, [], prefer_sources=("watch",))
    assert same is not None and same.as_preregistered
    assert other is not None and [one.name for one in other.changed] == ["prefer_source"]
    # one that was frozen before its sources were
    assert compared(database, {}, {}, sources=("watch",)).as_preregistered


def test_preregistration_of_an_earlier_release_is_still_intact(database: Path) -> None:
    text = '{"exclusions": "", "expectation": "é", "people": 9, "question": {"vital": ["systolic"]}'
    text += ', "stopping": "at nine", "windows": []}'
    # printf '1767225600000\n%s' "$text" | sha256sum
    known = "b12e24a06de4c9cacbbef9cf41407f947f2ed346f869423aa0e80a2b59db3640"
    with write_transaction(database) as connection:
        row = {"at": 1_767_225_600_000, "document": text, "sha256": known}
        insert(connection, "preregistration", **row)
    (old,) = read_preregistrations(database)
    assert old.intact
    assert (old.document.people, old.document.registered_address) == (9, "")
    assert old.document.registered_on is None
    preregister(
        database, document(registered_address="https://osf.io/x", registered_on="2026-03-01"), "me"
    )
    newer, old = read_preregistrations(database)
    assert newer.intact and old.intact


@pytest.mark.parametrize(
    "address",
    [
        "osf.io/ab3cd",
        "ftp://osf.io/ab3cd",
        "javascript:alert(1)",
        "https:///ab3cd",
        "https://osf.io/a b",
        "https://osf.io\\@evil.example/",
        'https://osf.io/"onclick',
        "https://osf.io/\n",
        "https://ada:secret@osf.io/ab3cd",
        "https://[::1",
        f"https://osf.io/{'a' * 500}",
    ],
)
def test_address_that_a_browser_may_not_follow_is_refused(address: str) -> None:
    if address.endswith("\n"):
        address += "x"
    with pytest.raises(ValidationError, match="registered_address"):
        document(registered_address=address, registered_on="2026-03-01")


@pytest.mark.parametrize(
    "values",
    [
        {"registered_on": "2026-03-01"},
        {"registered_address": "https://osf.io/ab3cd"},
        {"registered_address": "https://osf.io/ab3cd", "registered_on": 20_000},
        {"registered_address": "https://osf.io/ab3cd", "registered_on": "2026-02-30"},
        {"registered_address": "https://osf.io/ab3cd", "registered_on": "2026-03-01T10:00"},
    ],
)
def test_half_a_preregistration_made_elsewhere_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        document(**values)


@pytest.mark.parametrize("day", ["1999-12-31", "9999-01-01"])
def test_day_elsewhere_that_cannot_be_is_refused(database: Path, day: str) -> None:
    decided = document(registered_address="https://osf.io/ab3cd", registered_on=day)
    with pytest.raises(StudyError, match=f"{day} cannot be the day") as caught:
        preregister(database, decided, "me")
    assert caught.value.field == "registered_on"
    assert read_preregistrations(database) == []


def test_sessions_before_the_day_elsewhere_are_counted(database: Path) -> None:
    elsewhere = {"registered_address": "https://osf.io/ab3cd", "registered_on": "2026-03-01"}
    preregister(database, document(**elsewhere), "me")
    day_ms = 1_772_323_200_000  # date -u -d 2026-03-01 +%s
    found = compare_with_newest(database, AnalysisQuery(), 12, [day_ms - 1, day_ms, day_ms + 1])
    assert found is not None
    assert (found.registered_address, str(found.registered_on)) == (
        "https://osf.io/ab3cd",
        "2026-03-01",
    )
    (told,) = found.differences
    assert told == (
        "3 of 3 sessions began before it was frozen. Before the day of the preregistration "
        "elsewhere (1 Mar 2026): 1. This device cannot check that day; https://osf.io/ab3cd can "
        "show it."
    )


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"vital": ["heart_rate", "smile", "sam_valence"], "state": "condition", "estimated": True},
        {"states": ["Film & Ü", "a=b", "emotion"], "group": "sex", "sensitivity": False},
        {"family": ["heart_rate: neutral, anger", "systolic; diastolic"], "share": 0.75},
        {"sample": "selected", "session": [3, 1], "prefer_source": ["Polar H10", "x, y"]},
        {"count_flagged": ["estimated", "artefact"], "settling_other": 0.0, "outcome": "change"},
    ],
)
def test_address_of_a_question_asks_exactly_that_question(values: dict[str, Any]) -> None:
    query = AnalysisQuery.model_validate(values)
    assert query_of(parse_qsl(address_of(query))) == query


def test_family_of_a_vital_is_counted_from_the_question() -> None:
    five = ("heart_rate", "systolic", "diastolic", "smile", "valence")
    assert AnalysisQuery.model_validate({"vital": five}).tests_with("systolic") == 15
    declared = {"vital": five, "family": ["heart_rate", "all: anger, neutral"]}
    with pytest.raises(ValidationError, match="is in two families"):
        AnalysisQuery.model_validate(declared)
    declared["family"] = ["heart_rate", "systolic, diastolic: anger, neutral"]
    question = AnalysisQuery.model_validate(declared)
    sizes = [question.tests_with(kind) for kind in five]
    assert sizes == [3, 10, 10, 10, 10]
    assert AnalysisQuery(states=("a", "b"), vital=("heart_rate",)).tests_with("heart_rate") == 1


def test_frozen_text_names_every_choice_that_was_made(database: Path) -> None:
    made = preregister(database, document(question={"vital": ["systolic"]}), "me")
    with write_transaction(database) as connection:
        (text,) = connection.execute("SELECT document FROM preregistration").fetchone()
    assert json.loads(text) == made.document.model_dump(mode="json")

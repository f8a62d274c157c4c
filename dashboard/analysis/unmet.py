"""Choices of a question that no data meet: sources, states, groups, events that are not there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.analysis.query import StateBy, same_label
from edge_agent.core.study import MarkerKind
from edge_agent.core.texts import N_, Message
from edge_agent.core.unmet import unmet_choices
from edge_agent.timeline.database.connection import read_transaction

_FOREVER_MS = 2**62


@dataclass(frozen=True, slots=True)
class ChosenByData:
    """A field of questions whose values are those of the data.

    Attributes:
        title: of the field on a page.
        there: returns all values of a timeline; ``None``: what is asked needs none of them.
        same: makes one text of values that mean the same.
    """

    title: str
    there: Callable[[sqlite3.Connection, Any], Iterator[str] | None]
    same: Callable[[str], str] = str


def _texts(connection: sqlite3.Connection, sql: str, *values: object) -> Iterator[str]:
    yield from (str(row[0]) for row in connection.execute(sql, values))


def _sources(connection: sqlite3.Connection, _query: Any) -> Iterator[str]:
    return _texts(
        connection,
        "SELECT DISTINCT source FROM session JOIN vital ON at >= started AND at < coalesce(ended, "
        "?)",
        _FOREVER_MS,
    )


def _states(connection: sqlite3.Connection, query: Any) -> Iterator[str] | None:
    """Return the conditions; observed and reported states are emotions, which are all known."""
    if query.state is not StateBy.CONDITION:
        return None
    kinds = (MarkerKind.STIMULUS_START, MarkerKind.BASELINE)
    return _texts(connection, "SELECT DISTINCT label FROM marker WHERE kind IN (?, ?)", *kinds)


def _attributes(connection: sqlite3.Connection, _query: Any) -> Iterator[str]:
    return _texts(connection, "SELECT DISTINCT name FROM participant_attribute")


def _events(connection: sqlite3.Connection, query: Any) -> Iterator[str]:
    if query.kind == "response":
        return _texts(
            connection, "SELECT DISTINCT value FROM self_report WHERE scale = ?", "emotion"
        )
    return _texts(connection, "SELECT DISTINCT label FROM marker WHERE kind = ?", query.kind)


def fields() -> Mapping[str, ChosenByData]:
    """Return the fields of the questions that choose by data, by name; every other one has values
    that its form or its bounds tell.
    """
    return {
        "prefer_source": ChosenByData(N_("preferred source"), _sources),
        "states": ChosenByData(N_("states compared"), _states, same_label),
        "group": ChosenByData(N_("groups of people"), _attributes, same_label),
        "event": ChosenByData(N_("events"), _events, same_label),
        "against": ChosenByData(N_("compared with"), _events, same_label),
    }


def unmet_of_question(
    sites: Iterable[tuple[str, Path]], query: Any, *, on_page: bool = False
) -> list[Message]:
    """Return a sentence for each choice of a question that no site meets.

    Args:
        sites: name and timeline of each site.
        query: the question; what it has by default is no choice.
        on_page: whether fields have the names of the page, and not those of options.

    Raises:
        StoreError: a timeline cannot be read.
    """
    unmet: list[Message] = []
    for name, one in fields().items():
        given = _choices_of(query, name)
        if given:
            there = _there([path for _, path in sites], one, query)
            option = Message(one.title) if on_page else f"--{name.replace('_', '-')}"
            if there is not None:
                unmet += unmet_choices(option, given, there, one.same)
    return unmet


def _choices_of(query: Any, name: str) -> tuple[str, ...]:
    described = type(query).model_fields.get(name)
    value = None if described is None else getattr(query, name)
    if described is None or not value or value == described.default:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _there(paths: list[Path], one: ChosenByData, query: Any) -> set[str] | None:
    texts: set[str] = set()
    for path in paths:
        with read_transaction(path) as connection:
            of_site = one.there(connection, query)
            if of_site is None:
                return None
            texts.update(of_site)
    return texts

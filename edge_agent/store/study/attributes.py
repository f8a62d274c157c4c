"""The attributes of participants, kept as far as their consent goes."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.attributes import MOST, AttributeUse, checked_attribute
from edge_agent.core.errors import StudyError
from edge_agent.store.database.schema import read_transaction, write_transaction
from edge_agent.store.study.study_rows import find_participant, insert_audit


def attributes_of(path: Path) -> dict[str, dict[str, str]]:
    """Return the attributes of each participant who has any, by code.

    Raises:
        StoreError: the database cannot be read.
    """
    told: dict[str, dict[str, str]] = {}
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT code, name, value FROM participant_attribute JOIN participant ON "
            "participant.id = participant ORDER BY code, name"
        )
        for row in rows:
            told.setdefault(row["code"], {})[row["name"]] = row["value"]
    return told


def select_attributes(connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
    """Return the attributes of each participant whose consent that stands allows them, by code."""
    told: dict[str, dict[str, str]] = {}
    for code, name, value in connection.execute(
        "SELECT code, name, value FROM participant_attribute JOIN participant ON participant.id = "
        "participant WHERE EXISTS (SELECT 1 FROM consent WHERE consent.participant = "
        "participant.id AND withdrawn IS NULL AND attributes <> ?) ORDER BY code, name",
        (AttributeUse.NONE.value,),
    ):
        told.setdefault(code, {})[name] = value
    return told


def attribute_use_of(path: Path, code: str) -> AttributeUse:
    """Return what the consent of a participant that stands says of attributes.

    Raises:
        StudyError: unknown participant.
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        return attribute_use(connection, find_participant(connection, code))


def attribute_use(connection: sqlite3.Connection, participant: int) -> AttributeUse:
    """Return the same inside a transaction of the caller; without consent none may be kept."""
    row = connection.execute(
        "SELECT attributes FROM consent WHERE participant = ? AND withdrawn IS NULL ORDER BY given "
        "DESC, id DESC LIMIT 1",
        (participant,),
    ).fetchone()
    return AttributeUse.NONE if row is None else AttributeUse(row["attributes"])


def agree_to_attributes(
    path: Path,
    code: str,
    use: AttributeUse,
    *,
    actor: str | None,
    values: Mapping[str, str] | None = None,
) -> None:
    """Record what a participant agrees to about attributes, as part of the consent that stands.

    Where they agree to none, those that were kept are deleted. ``values`` are set in the same
    transaction, as of ``set_attributes``.

    Raises:
        StudyError: unknown participant, no consent stands, or as ``set_attributes``. Nothing was
            written then.
    """
    moment = clock.now()
    with write_transaction(path) as connection:
        participant = find_participant(connection, code)
        changed = connection.execute(
            "UPDATE consent SET attributes = ? WHERE participant = ? AND withdrawn IS NULL",
            (use.value, participant),
        )
        if not changed.rowcount:
            raise StudyError(
                f"Participant {code} has given no consent that stands. Record the consent first."
            )
        if use is AttributeUse.NONE:
            connection.execute(
                "DELETE FROM participant_attribute WHERE participant = ?", (participant,)
            )
        insert_audit(connection, actor, "attributes_agree", code, moment)
        if values is not None:
            _set(connection, code, values)
            insert_audit(connection, actor, "attributes_set", code, moment)


def set_attributes(path: Path, code: str, values: Mapping[str, str], *, actor: str | None) -> None:
    """Set attributes of a participant; an empty value removes one, others stay as they are.

    Neither names nor values go into the audit trail.

    Raises:
        StudyError: unknown participant, who has not agreed that attributes are kept; an attribute
            that cannot be, or too many. Nothing was written then.
    """
    with write_transaction(path) as connection:
        _set(connection, code, values)
        insert_audit(connection, actor, "attributes_set", code, clock.now())


def _set(connection: sqlite3.Connection, code: str, values: Mapping[str, str]) -> None:
    kept = dict(checked_attribute(name, value) for name, value in values.items() if value.strip())
    removed = [name.strip().lower() for name, value in values.items() if not value.strip()]
    participant = find_participant(connection, code)
    if kept and attribute_use(connection, participant) is AttributeUse.NONE:
        raise StudyError(
            f"Participant {code} has not agreed that attributes are kept. Where they do: "
            f"participant consent {code} --text VERSION --attributes here (or shared, for "
            "exports)."
        )
    connection.executemany(
        "DELETE FROM participant_attribute WHERE participant = ? AND name = ?",
        [(participant, name) for name in removed],
    )
    connection.executemany(
        "INSERT INTO participant_attribute (participant, name, value) VALUES (?, ?, ?) ON CONFLICT "
        "(participant, name) DO UPDATE SET value = excluded.value",
        [(participant, name, value) for name, value in kept.items()],
    )
    count = connection.execute(
        "SELECT count(*) FROM participant_attribute WHERE participant = ?", (participant,)
    ).fetchone()[0]
    if count > MOST:
        raise StudyError(f"Participant {code}: keep at most {MOST} attributes, not {count}.")

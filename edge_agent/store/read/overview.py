"""Short looks at the whole: consents, models in use, and how much lies in each session."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edge_agent.store.database.schema import read_transaction
from edge_agent.store.write.timeline import ModelUse


@dataclass(frozen=True, slots=True)
class Consent:
    """A participant's agreement to a version of the text.

    ``withdrawn_ms`` is ``None`` while it stands.
    """

    text_version: str
    given_ms: int
    withdrawn_ms: int | None


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """How many rows of each kind lie in a session."""

    expressions: int
    vitals: int
    markers: int


def consents(path: Path) -> dict[str, Consent]:
    """Return the newest consent of each participant, by code.

    Those who were never asked are not in it.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT code, text_version, given, withdrawn FROM consent JOIN participant "
            "ON participant.id = consent.participant ORDER BY consent.id"
        )
        return {
            row["code"]: Consent(row["text_version"], row["given"], row["withdrawn"])
            for row in rows
        }


def database_bytes(path: Path) -> int:
    """Return the size of a database with its log."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def models_in_use(path: Path) -> list[ModelUse]:
    """Return the model file of each kind that the agent used last.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT kind, name, version, sha256, since FROM model "
            "WHERE id IN (SELECT max(id) FROM model GROUP BY kind) ORDER BY kind"
        )
        return [ModelUse(*row) for row in rows]


def session_counts(path: Path, sessions: Collection[int] | None = None) -> dict[int, SessionCounts]:
    """Return how many expressions, vitals and markers lie in each session, by its id.

    Args:
        path: the database.
        sessions: those that are asked about; ``None``: all.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "WITH span AS (SELECT id, started, coalesce(ended, 1 << 60) AS ended FROM session "
            "WHERE :sessions IS NULL OR id IN (SELECT value FROM json_each(:sessions))) "
            "SELECT id, (SELECT count(*) FROM expression WHERE at >= started AND at < ended) AS "
            "expressions, (SELECT count(*) FROM vital WHERE at >= started AND at < ended) AS "
            "vitals, (SELECT count(*) FROM marker WHERE marker.session = span.id) AS markers FROM "
            "span",
            {"sessions": None if sessions is None else json.dumps(list(sessions))},
        )
        return {
            row["id"]: SessionCounts(row["expressions"], row["vitals"], row["markers"])
            for row in rows
        }

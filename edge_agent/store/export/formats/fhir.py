"""Sessions as one FHIR R4 Bundle, written resource by resource."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.store.database.schema import reading
from edge_agent.store.export.appliance import Appliance
from edge_agent.store.export.files import new_file
from edge_agent.store.export.formats.fhir_observations import expression, self_report, vitals
from edge_agent.store.export.formats.fhir_resources import (
    appliance_device,
    code_systems,
    identity,
    model_device,
    patient,
    source_device,
)
from edge_agent.store.export.progress import Progress, Tell
from edge_agent.store.export.rows.blocks import blocks_of
from edge_agent.store.export.rows.selection import Choice, Chosen, choose
from edge_agent.store.export.rows.typed import Row, rows_of

Resource = dict[str, Any]
Table = Callable[[str], Iterator[Row]]


def export_fhir(
    database: Path,
    file: Path,
    choice: Choice,
    appliance: Appliance | None = None,
    tell: Tell | None = None,
) -> Path:
    """Write sessions as a FHIR R4 Bundle of the type ``collection``.

    Otherwise as ``export_bundle``.

    It holds a Patient for each participant, by code alone; a Device for the appliance, each of its
    models and each source of readings; a CodeSystem for expressions; Observations for heart rate,
    blood pressure, intervals between beats, what the participant's face showed, and what the
    participant said. Faces of others, and whatever lies outside the sessions, are left out.

    Raises:
        StudyError: no session is named, or there is none of that number.
        StoreError: as ``export_bundle``.
    """
    if not choice.sessions:
        raise StudyError(
            "A FHIR bundle tells of sessions: name at least one. Nothing was exported."
        )
    with reading(database) as connection, new_file(file) as out:
        chosen = choose(connection, choice)
        progress = Progress(connection, chosen, tell or (lambda _: None))

        def table(name: str) -> Iterator[Row]:
            return rows_of(name, progress.watch(name, blocks_of(connection, chosen, name)))

        made = clock.iso_utc(clock.now().wall_ms)
        head = {"resourceType": "Bundle", "type": "collection", "timestamp": made}
        out.write(f'{json.dumps(head)[:-1]}, "entry": ['.encode())
        for number, resource in enumerate(_resources(chosen, table, appliance or Appliance())):
            entry = {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
            out.write(f"{',' if number else ''}\n{json.dumps(entry, ensure_ascii=False)}".encode())
        out.write(b"\n]}\n")
    return file


def _resources(chosen: Chosen, table: Table, appliance: Appliance) -> Iterator[Resource]:
    """Yield what the bundle holds."""
    yield from code_systems()
    yield appliance_device(appliance.device)
    models = [row for row in table("model") if _was_used(row, chosen)]
    for row in models:
        yield model_device(row, appliance.device)
    simulated = {int(row["session"] or 0) for row in table("session") if row["simulated"]}
    for row in table("participant"):
        yield patient(row)
    for row in table("self_report"):
        yield self_report(row, simulated=row["session"] in simulated)
    for row in table("expression"):
        if row["is_primary"]:
            yield expression(row, _reader_of(models, row) or identity("device", appliance.device))
    sources: set[str] = set()
    for _, together in groupby(table("vital"), key=lambda row: (row["at_ms"], row["source"])):
        rows = list(together)
        sources.add(str(rows[0]["source"]))
        yield from vitals(rows)
    for source in sorted(sources):
        yield source_device(source)


def _was_used(row: Row, chosen: Chosen) -> bool:
    return (
        any(int(row["since_ms"] or 0) < end for _, end in chosen.ranges)
        and row["kind"] == "expression"
    )


def _reader_of(models: list[Row], row: Row) -> str | None:
    """Return the id of the model that read a face: the last one that the agent began to use
    before.
    """
    before = [model for model in models if int(model["since_ms"] or 0) <= int(row["at_ms"] or 0)]
    if before:
        return identity("model", before[-1]["sha256"])
    return None

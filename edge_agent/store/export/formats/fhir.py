"""Sessions as one FHIR R4 Bundle, written resource by resource."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import IO, Any

from edge_agent.store.export.fhir.observations import expression, self_report, vitals
from edge_agent.store.export.fhir.resources import (
    appliance_device,
    code_systems,
    identity,
    model_device,
    patient,
    source_device,
)
from edge_agent.store.export.format import FileFormat
from edge_agent.store.export.rows.selection import Chosen
from edge_agent.store.export.rows.typed import Row
from edge_agent.store.export.source import ExportSource

Resource = dict[str, Any]


def _write(source: ExportSource, out: IO[bytes]) -> None:
    """Write a Bundle of the type ``collection``.

    It holds a Patient for each participant, by code alone; a Device for the appliance, each of its
    models and each source of readings; a CodeSystem for expressions; Observations for heart rate,
    blood pressure, intervals between beats, what the participant's face showed, and what the
    participant reported. Faces of others, and whatever lies outside the sessions, are left out.
    """
    head = {"resourceType": "Bundle", "type": "collection", "timestamp": source.created}
    out.write(f'{json.dumps(head)[:-1]}, "entry": ['.encode())
    for number, resource in enumerate(_resources(source)):
        entry = {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
        out.write(f"{',' if number else ''}\n{json.dumps(entry, ensure_ascii=False)}".encode())
    out.write(b"\n]}\n")


def _resources(source: ExportSource) -> Iterator[Resource]:
    """Yield what the bundle holds."""
    table = source.rows
    appliance = source.appliance
    yield from code_systems()
    yield appliance_device(appliance.device)
    models = [row for row in table("model") if _was_used(row, source.chosen)]
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
    sensors: set[str] = set()
    for _, together in groupby(table("vital"), key=lambda row: (row["at_ms"], row["source"])):
        rows = list(together)
        sensors.add(str(rows[0]["source"]))
        yield from vitals(rows)
    for sensor in sorted(sensors):
        yield source_device(sensor)


def _was_used(row: Row, chosen: Chosen) -> bool:
    return (
        any(int(row["since_ms"] or 0) < end for _, end in chosen.ranges)
        and row["kind"] == "expression"
    )


def _reader_of(models: list[Row], row: Row) -> str | None:
    """Return the id of the model that read a face: the last one that came into use before."""
    before = [model for model in models if int(model["since_ms"] or 0) <= int(row["at_ms"] or 0)]
    if before:
        return identity("model", before[-1]["sha256"])
    return None


FORMAT = FileFormat(
    name="fhir",
    label="FHIR R4",
    summary="an R4 bundle of sessions",
    description="FHIR R4 is for clinical systems: sessions as Patient by code, Device and "
    "Observations.",
    suffix=".fhir.json",
    media_type="application/fhir+json",
    position=40,
    needs_sessions=True,
    write=_write,
)

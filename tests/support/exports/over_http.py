"""Exports of a dashboard over HTTP, as the files that they hold."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from starlette.testclient import TestClient

from tests.support.broker import wait_until


def exported(client: TestClient, name: str, device: str) -> bytes:
    """Return the export of all sessions of a device, prepared and fetched."""
    sessions = [one["id"] for one in client.get(f"/api/v1/sessions?{device}").json()]
    assert sessions
    return prepared(client, device, format=name, sessions=sessions)


def prepared(client: TestClient, device: str, **chosen: Any) -> bytes:
    """Return an export that is prepared and fetched."""
    made = client.post(f"/api/v1/exports?{device}", json=chosen)
    assert made.status_code == 202, made.text
    address = f"/api/v1/exports/{made.json()['id']}"
    wait_until(lambda: client.get(address).json()["state"] != "preparing", "the export", 120)
    answer = client.get(f"{address}/file")
    assert answer.status_code == 200, answer.text
    return answer.content


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {one: archive.read(one) for one in archive.namelist()}


def without_times(files: dict[str, bytes]) -> dict[str, Any]:
    """Leave out when an export was made, and the hashes of what says so."""
    kept: dict[str, Any] = dict(files)
    for name in ("README.md", "codebook.html", "datapackage.json"):
        del kept[name]
    return kept

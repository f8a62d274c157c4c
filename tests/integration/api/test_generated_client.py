"""A client that a foreign generator makes of the description: it has every operation, and each one
works against a running dashboard with a token.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
import types
import typing
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openapi_python_client", reason="the dev extra is not installed")

from dashboard.accounts.roles import Role
from dashboard.web.settings import DashboardOptions
from edge_agent.core import clock
from edge_agent.store.database.dashboard_file import own_folder
from tests.docs.pages import blocks_of, text_of
from tests.support.dashboard import DASHBOARD, DashboardProcess, add_session, fill
from tests.support.security.tokens import EVERYTHING, bearer, make_token
from tests.support.security.two_users import folder_of_two_users, gate_for_nobody
from tests.support.timeline import wait_for

PORTRAIT = Path(__file__).parents[3] / "edge_agent/camera/portraits/astronaut.jpg"
READY_SECONDS = 60.0
STREAMS = {"stream_live": "/api/v1/live", "stream_protocol": "/api/v1/protocol/events"}
HOUR_MS = 3_600_000
NOW = clock.now().wall_ms


@dataclass(frozen=True, slots=True)
class Call:
    """An operation, what it is given, and the status of its answer."""

    operation: str
    given: Mapping[str, Any]
    status: int = 200


def _past(hours: float) -> int:
    return NOW - int(hours * HOUR_MS)


_NEW_SESSION = {"participant": "P-02", "purpose": "research"}
_RANGE = {"start": _past(1), "end": NOW}
_NOTHING: dict[str, Any] = {}
CALLS = (
    Call("create_participant", {"body": {"code": "P-02"}}, 201),
    Call(
        "record_past_consent",
        {"code": "P-02", "body": {"text_version": "3", "given": _past(10)}},
        201,
    ),
    Call("add_past_session", {"body": {**_NEW_SESSION, "start": _past(9), "end": _past(8)}}, 201),
    Call("add_past_markers", {"number": 2, "body": [{"at": _past(8.5), "kind": "note"}]}, 409),
    Call(
        "add_past_markers",
        {"number": 2, "body": [{"at": _past(8.5), "kind": "note", "label": "tea"}]},
        201,
    ),
    Call("start_session", {"body": _NEW_SESSION}, 201),
    Call("add_marker", {"body": {"kind": "note", "label": "by a client"}}, 201),
    Call("get_open_session", _NOTHING),
    Call("end_session", {"body": {}}),
    Call("send_readings", {"body": {"kind": "heart_rate", "value": 72}}),
    Call("send_readings", {"body": {"kind": "heart_rate", "value": 72, "at": "soon"}}, 422),
    Call("get_latest_vitals", _NOTHING),
    Call("switch_capture", {"body": {"on": False}}),
    Call("get_capture", _NOTHING),
    Call("get_recent_seconds", _NOTHING),
    Call("get_participant_attributes", {"code": "P-02"}),
    Call(
        "set_participant_attributes",
        {"code": "P-02", "body": {"consent": "here", "attributes": {"handed": "left"}}},
    ),
    Call("list_sessions", _NOTHING),
    Call("get_session_quality", {"number": 1}),
    Call("get_session_quality", {"number": 4711}, 404),
    Call("get_session_summary", {"number": 1}),
    Call("get_trends", _RANGE),
    Call("get_trends_chart", _RANGE),
    Call("get_trends_chart_now", {"length": HOUR_MS}),
    Call("get_analysis", _NOTHING),
    Call("get_study_plan", {"d_z": 0.5}),
    Call("get_study_plan", _NOTHING, 422),
    Call(
        "create_preregistration",
        {"body": {"question": {}, "people": 24, "stopping": "after 24 people"}},
        201,
    ),
    Call("list_preregistrations", _NOTHING),
    Call("list_alerts", _NOTHING),
    Call("acknowledge_alert", {"number": 4711}, 409),
    Call("get_health", _NOTHING),
    Call("get_health_history", _NOTHING),
    Call("get_fleet", {"name": "room", "page": 2}, 404),
    Call("list_models_in_use", _NOTHING),
    Call("list_model_cards", _NOTHING),
    Call("read_picture", {"body": PORTRAIT}),
    Call("list_protocols", _NOTHING),
    Call("get_protocol_state", _NOTHING, 409),
    Call("continue_protocol", _NOTHING, 409),
    Call("pause_protocol", _NOTHING, 409),
    Call("skip_protocol_screen", _NOTHING, 409),
    Call("repeat_protocol_screen", _NOTHING, 409),
    Call("end_protocol", _NOTHING, 409),
    Call("list_accounts", _NOTHING),
    Call("get_audit_trail", _NOTHING),
    Call("get_settings", _NOTHING),
    Call("change_settings", {"body": {"digest": "old", "changes": {"device.name": "lab"}}}, 409),
    Call("download_export", _NOTHING),
    Call("start_preview", _NOTHING, 409),
    Call("prolong_preview", _NOTHING, 409),
)
"""Every operation but the streams, and those that need what another one answered."""


class Client:
    """A generated client for a running dashboard.

    Args:
        package: the folder that the generator made.
        address: of the dashboard.
        secret: of a token.
    """

    def __init__(self, package: Path, address: str, secret: str) -> None:
        self._name = package.name
        modules = sorted(package.glob("api/*/*.py"))
        self.operations = {
            module.stem: ".".join(module.relative_to(package.parent).with_suffix("").parts)
            for module in modules
            if module.stem != "__init__"
        }
        self._client = importlib.import_module(self._name).AuthenticatedClient(
            base_url=address, token=secret
        )
        self._client.get_httpx_client().timeout = 60.0

    def __enter__(self) -> Client:
        self._client.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._client.__exit__(*error)

    def call(self, operation: str, given: Mapping[str, Any]) -> Any:
        """Call an operation with plain values, made into what it takes."""
        function = importlib.import_module(self.operations[operation]).sync_detailed
        hints = typing.get_type_hints(function)
        made = {name: _built(hints[name], value) for name, value in given.items()}
        return function(client=self._client, **made)

    def first_line(self, path: str) -> str:
        """Return the first line of a stream."""
        with self._client.get_httpx_client().stream("GET", path) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            return str(next(answer.iter_lines()))


def _built(hint: Any, value: Any) -> Any:
    """Return a plain value as the type that the client wants."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if isinstance(value, Path):
        file = next(one for one in options if getattr(one, "__name__", "") == "File")
        return file(payload=io.BytesIO(value.read_bytes()))
    if isinstance(value, list):
        several = next(one for one in options if typing.get_origin(one) is list)
        return [_built(typing.get_args(several)[0], one) for one in value]
    if isinstance(value, dict):
        model = next(one for one in options if hasattr(one, "from_dict"))
        return model.from_dict(value)
    return value


@pytest.fixture(
    scope="module", params=["one user", pytest.param("two users", marks=pytest.mark.deep)]
)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[DashboardProcess, str]]:
    """A dashboard over a small study, and the secret of a token that may everything.

    Once by the user of the agent, and once by another one, who writes through the gate.
    """
    with ExitStack() as opened:
        apart = request.param == "two users"
        make = tmp_path_factory.mktemp
        folder = opened.enter_context(folder_of_two_users()) if apart else make("data")
        database = DashboardOptions(data=folder).database
        fill(database, minutes=30)
        add_session(database)
        secret = make_token(database, "client", EVERYTHING, Role.ADMINISTRATOR)
        config = own_folder(folder) / "affect-edge.toml"
        config.write_text("[camera]\nfps = 15\n")
        program = DASHBOARD
        if apart:
            program = opened.enter_context(gate_for_nobody(folder))
        process = DashboardProcess(folder, "--config", str(config), program=program)
        yield opened.enter_context(process), secret


@pytest.fixture(scope="module")
def document(running: tuple[DashboardProcess, str]) -> dict[str, Any]:
    """The description as the dashboard gives it to a token."""
    process, secret = running
    request = urllib.request.Request(
        f"{process.address}/api/v1/openapi.json", headers=bearer(secret)
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


@pytest.fixture(scope="module")
def client(
    running: tuple[DashboardProcess, str],
    document: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Client]:
    """The client, generated without a warning."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_text(json.dumps(document))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it calls ruff
    words = "generate --fail-on-warning --meta none --path openapi.json --output-path made_client"
    done = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *words.split()],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "arning" not in said, said
    sys.path.insert(0, str(folder))
    try:
        with Client(folder / "made_client", running[0].address, running[1]) as made:
            yield made
    finally:
        sys.path.remove(str(folder))


def test_every_operation_is_generated_and_is_called_here(
    client: Client, document: dict[str, Any]
) -> None:
    described = {
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    }
    assert set(client.operations) == described
    assert f" {len(described)} operations," in text_of("docs/api.md")
    in_turn = {"prepare_export", "get_export", "download_prepared_export", "delete_export"}
    in_turn |= {"preview_settings_change"}
    assert {one.operation for one in CALLS} | in_turn | set(STREAMS) == described


def test_each_operation_answers_with_what_the_client_understands(client: Client) -> None:
    for one in CALLS:
        answer = client.call(one.operation, one.given)
        assert answer.status_code == one.status, (one, answer.content[:400])
        assert answer.parsed is not None, one
        if one.status >= 400:
            assert answer.parsed.status == one.status and answer.parsed.what_to_do, one


def test_the_documented_example_sets_a_marker(
    client: Client, running: tuple[DashboardProcess, str]
) -> None:
    (block,) = [one for one in blocks_of("docs/api.md") if one.kind == "python"]
    text = block.text.replace("affect_edge_client", "made_client")
    text = text.replace("http://127.0.0.1:8080", running[0].address)
    text = text.replace("affect-edge-…", running[1])
    assert client.call("start_session", {"body": _NEW_SESSION}).status_code == 201
    names: dict[str, Any] = {}
    exec(text, names)
    assert names["answer"].status_code == 201
    assert client.call("end_session", {"body": {}}).status_code == 200


def test_a_setting_is_previewed_and_changed(client: Client) -> None:
    before = client.call("get_settings", _NOTHING).parsed
    body = {"digest": before.digest, "changes": {"camera.fps": 10}}
    for operation in ("preview_settings_change", "change_settings"):
        answer = client.call(operation, {"body": body})
        assert answer.status_code == 200, answer.content
        assert "+fps = 10" in answer.parsed.difference
    assert client.call("get_settings", _NOTHING).parsed.digest != before.digest


def test_streams_begin_at_once(client: Client) -> None:
    for operation, path in STREAMS.items():
        assert operation in client.operations
        assert client.first_line(path).startswith("retry:")


def test_an_export_is_prepared_fetched_and_deleted(client: Client) -> None:
    prepared = client.call("prepare_export", {"body": {"format": "bundle"}}).parsed

    given = {"token": prepared.id}
    wait_for(lambda: client.call("get_export", given).parsed.state == "ready", READY_SECONDS)
    file = client.call("download_prepared_export", {"token": prepared.id})
    assert file.status_code == 200 and file.parsed.payload.read()[:2] == b"PK"
    assert client.call("delete_export", {"token": prepared.id}).status_code == 204
    gone = client.call("get_export", {"token": prepared.id})
    assert gone.status_code == 404 and "Prepare it again" in gone.parsed.detail

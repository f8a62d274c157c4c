"""Every documented configuration, protocol, recipe, JSON and SQL is accepted by what it is for."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jinja2 import Environment

from affect_edge import cli
from dashboard.protocols.file import EXAMPLES, ProtocolFile, load_protocol
from dashboard.web.routes.study import CONSENT_VERSION
from edge_agent.config.loading import load_settings
from edge_agent.core.clock import now
from edge_agent.core.given_readings import ReadingOrigin
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.study import Marker, MarkerKind, NewSession, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.mqtt.payloads import Topics
from edge_agent.timeline.study.sessions import Study
from edge_agent.vitals.ingest import VitalIngest
from tests.docs.pages import Block, blocks_of, inline_code_of, pages, text_of
from tests.docs.shell import documented_commands, holds_commands
from tests.support.timeline import database, query
from tests.support.vision.portraits import SMILING_FILE

BLOCKS = [block for page in pages() for block in blocks_of(page) if not holds_commands(block)]
CLOSED = {
    "# in memory: spares the card": "of systemd's journal, whose own words it has",
    "# on the card: the log": "of systemd's journal, whose own words it has",
    "IMG_NAME=affect-edge": "a file of pi-gen, a program that is not here",
    "Dashboard: http://127.0.0.1:8080/": "what the demonstration prints; test_demo reads it",
    "Strap 9, A0:9E:1A:00:00:01": "what a scan prints; needs a radio",
    "Bridge (type Physio, 128 Hz)": "what a scan prints; needs that stream",
    "appliance ─► log of changes": "a drawing",
    "edge_agent   core": "the floors; test_layers compares them with the rules",
    '<script src="jspsych.js"></script>': "a page of jsPsych; test_experiments runs the like",
    "user affect-edge": "mosquitto's access file; the tests of the broker use the like",
    "location / {": "of nginx; test_proxy_login serves it",
    "LABEL=data": "of fstab, on a disk that is not here",
    "affect-edge-data /var/lib/affect-edge.luks": "of crypttab and fstab",
    "import neurokit2 as nk": "for a bundle, and for a package that is not here",
    "[Unit]": "of systemd, which is not here",
    "[Interface]": "of WireGuard, which is not here",
    "rule_files: [affect-edge.rules.yml]": "of Prometheus; test_monitoring reads its rules",
    "action: mqtt.publish": "an action of Home Assistant, which is not here",
    "alias: ": "an automation of Home Assistant; with_core runs it, a test below renders it",
}
"""How a block begins that nothing here can take → why."""
LANGUAGES = {"json", "yaml", "text", "console", "python", "csharp"}


def first_line(block: Block) -> str:
    return block.text.splitlines()[0]


def kind_of(block: Block) -> str:
    """Return what a block is; empty where nobody has decided it."""
    programs = {"python", "csharp"}
    if block.page in {"docs/control.md", "docs/api.md"} and block.kind in programs:
        return "client"  # test_control and test_generated_client send what they send
    if block.kind in {"json", "text", "console", "python"}:
        return block.kind
    if any(first_line(block).startswith(start) for start in CLOSED):
        return "closed"
    if first_line(block).startswith("-- "):
        return "sql"
    if first_line(block).startswith("title = "):
        return "protocol"
    return "toml" if re.match(r"\[[\w.]+\]$", first_line(block)) else ""


def of_kind(kind: str) -> list[Block]:
    return [block for block in BLOCKS if kind_of(block) == kind]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_somebody_has_decided_what_the_block_is(block: Block) -> None:
    assert kind_of(block), f"{block}: {first_line(block)}"
    assert not block.kind or block.kind in LANGUAGES


@pytest.mark.parametrize("start", CLOSED)
def test_no_reason_is_left_of_a_block_that_is_gone(start: str) -> None:
    assert any(first_line(block).startswith(start) for block in BLOCKS)


@pytest.mark.parametrize("block", of_kind("protocol"), ids=str)
def test_protocol_can_be_run(block: Block) -> None:
    assert ProtocolFile.model_validate(tomllib.loads(block.text)).step


@pytest.mark.parametrize("block", of_kind("json"), ids=str)
def test_json_can_be_read(block: Block) -> None:
    assert isinstance(json.loads(block.text), dict)


def of_recipes(*, also: bool) -> list[Block]:
    """Return blocks of TOML: those of recipes of training, or all others."""
    tables = {"distillation", "face_features"}
    return [one for one in of_kind("toml") if also != tables.isdisjoint(tomllib.loads(one.text))]


@pytest.mark.training
@pytest.mark.parametrize("block", of_recipes(also=True), ids=str)
def test_a_table_of_a_recipe_is_taken(block: Block) -> None:
    pytest.importorskip("torch", reason="training has an environment of its own")
    from training.expression.recipe import Distillation, FaceFeatures

    table = tomllib.loads(block.text)
    if "distillation" in table:
        Distillation.model_validate(table["distillation"])
    if "face_features" in table:
        FaceFeatures.model_validate(table["face_features"])


@pytest.mark.parametrize("block", of_recipes(also=False), ids=str)
def test_a_setting_is_taken_by_what_it_is_for(block: Block, tmp_path: Path) -> None:
    table = tomllib.loads(block.text)
    file = tmp_path / "snippet.toml"
    if "texts" in table:
        example = (EXAMPLES / "three-conditions.toml").read_text(encoding="utf-8")
        head, step = example.split("[[step]]", 1)
        file.write_text(f"{head.split('[texts]')[0]}{block.text}\n[[step]]{step}", encoding="utf-8")
        assert load_protocol(file).texts.welcome_title == table["texts"]["welcome_title"]
    else:
        file.write_text(block.text, encoding="utf-8")
        load_settings(file)


@pytest.mark.parametrize("block", of_kind("python"), ids=str)
def test_python_runs(
    block: Block,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ME.jpg").write_bytes(SMILING_FILE.read_bytes())
    exec(compile(block.text, str(block), "exec"), {})
    assert capsys.readouterr().out.startswith("happiness ")


def queries() -> list[str]:
    return [query for block in of_kind("sql") for query in block.text.split(";") if query.strip()]


def test_the_mean_by_condition_counts_what_counts_in_means(tmp_path: Path) -> None:
    start = now().shift(-60)
    flags: list[frozenset[VitalFlag]] = [
        frozenset(),
        frozenset({VitalFlag.OUT_OF_RANGE}),
        frozenset({VitalFlag.CONTACT_LOST}),
        frozenset({VitalFlag.CLOCK_DIFFERS}),
        frozenset({VitalFlag.ESTIMATED}),
        frozenset({VitalFlag.MANUAL}),
    ]
    values = (70.0, 300.0, 90.0, 91.0, 92.0, 74.0)
    readings = [
        VitalReading(start.shift(10 + n), VitalKind.HEART_RATE, value, "strap", flags[n])
        for n, value in enumerate(values)
    ]
    path = database(tmp_path, readings=readings)
    study = Study(path)
    study.create_participant("P-1")
    study.give_consent("P-1", "3")
    study.start_session(NewSession("P-1", Purpose.RESEARCH), start)
    marker: Marker = study.add_marker(MarkerKind.STIMULUS_START, "anger", start.shift(5))
    assert marker.label == "anger"
    assert query(path, queries()[1]) == [("P-1", "anger", 72.0, 2)]


def test_every_query_runs(tmp_path: Path) -> None:
    path = database(tmp_path)
    assert len(queries()) == 3
    for statement in queries():
        assert query(path, statement) == []


def test_the_text_of_consent_has_the_version_that_the_pages_name() -> None:
    named = [
        found
        for page in ("docs/study-guide.md", "docs/tutorial.md")
        for found in re.findall(r"participant consent \S+ --text (\S+)", text_of(page))
    ]
    assert len(named) == 2
    assert set(named) == {CONSENT_VERSION}


def test_the_messages_that_are_sent_name_a_topic_and_hold_json() -> None:
    sent = [one.text for one in documented_commands() if one.text.startswith("mosquitto_pub ")]
    assert len(sent) == 3
    listened = {Topics.INGEST, Topics.COMMAND_SESSION, Topics.COMMAND_MARKER}
    for text in sent:
        found = re.search(r"-t affect-edge/affect-edge/(\S+) -m '(.*)'$", text)
        assert found, text
        assert found[1] in listened
        assert isinstance(json.loads(found[2]), dict)


AUTOMATIONS = [block.text for block in blocks_of("docs/sensors.md") if block.kind == "yaml"]


def test_automation_of_page_rendered_is_a_message_whose_readings_are_taken() -> None:
    at = datetime(2026, 1, 5, 8, 0, 12, tzinfo=UTC)
    states = {
        "sensor.cuff_measurement_timestamp": at.isoformat(),
        "sensor.cuff_systolic": "121",
        "sensor.cuff_diastolic": "79.0",
        "sensor.cuff_pulse": "61",
    }
    changed = SimpleNamespace(to_state=SimpleNamespace(state="72", last_updated=at))
    templates = Environment(autoescape=False)
    templates.filters["to_json"] = json.dumps
    taken: list[VitalReading] = []
    ingest = VitalIngest(taken.append, ReadingOrigin("mqtt", prefix="mqtt:"))
    for text in AUTOMATIONS:
        (publish,) = [one for one in yaml.safe_load(text)["actions"] if "action" in one]
        assert publish["data"]["topic"] == f"affect-edge/affect-edge/{Topics.INGEST}"
        template = templates.from_string(publish["data"]["payload"])
        payload = template.render(states=states.__getitem__, trigger=changed)
        assert ingest.accept(payload.encode()).refusals == ()
    assert {reading.at.wall_ms for reading in taken} == {at.timestamp() * 1000}
    assert [(reading.kind.value, reading.value, reading.source) for reading in taken] == [
        ("systolic", 121, "mqtt:cuff"),
        ("diastolic", 79, "mqtt:cuff"),
        ("heart_rate", 61, "mqtt:cuff"),
        ("heart_rate", 72, "mqtt:watch"),
    ]


def test_the_line_of_classify_has_the_keys_that_the_page_shows() -> None:
    (block,) = [block for block in of_kind("json") if block.page == "docs/commands.md"]
    shown: dict[str, Any] = json.loads(block.text)
    real = classified(SMILING_FILE)
    assert list(shown) == list(real)
    assert list(shown["faces"][0]) == list(real["faces"][0])
    assert shown["faces"][0]["emotion"] == real["faces"][0]["emotion"]


def classified(file: Path) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["classify", "--json", str(file)])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_overview_names_every_command() -> None:
    named = {
        code.split()[1]
        for code in inline_code_of("docs/commands.md")
        if code.startswith("affect-edge ")
    }
    present = {name for name, command in cli.commands.items() if not command.hidden}
    assert present - {"config", "model", "vitals"} <= named

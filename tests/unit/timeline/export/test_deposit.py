"""A deposit: what its description says, and that it says it of every file."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.settings import Settings
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.export.appliance import Appliance, public_settings
from edge_agent.timeline.export.bids_physioevents import SKIN_RESPONSES
from edge_agent.timeline.export.bundle import METHOD_OF_ANALYSIS
from edge_agent.timeline.export.format_register import format_named
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.study.preregistrations import freeze
from edge_agent.vision.models.card import known_cards
from tests.support.datasets.bids import judged_by_schema
from tests.support.exports.full_study import full_study
from tests.support.timeline import reading, session_row, timeline

ORCID = "https://orcid.org/0000-0002-1825-0097"
ROR = "https://ror.org/012345678"
TERMS = "https://creativecommons.org/licenses/by/4.0/"
STATED = {
    "title": "Films",
    "authors": [f"Ada Example <{ORCID}>", "Ben Beispiel"],
    "institution": f"Example University <{ROR}>",
    "licence": TERMS,
}
RESPONSES = "session,participant,source,began_ms,at_ms,amplitude\n1,P01,left hand,1000,2000,0.2\n"
Graph = dict[str, dict[str, Any]]


def graph_of(folder: Path) -> Graph:
    """The entities of a crate by their names; each is there once."""
    described = json.loads((folder / "ro-crate-metadata.json").read_text())
    assert described["@context"] == "https://w3id.org/ro/crate/1.1/context"
    entities = described["@graph"]
    named = {one["@id"]: one for one in entities}
    assert len(named) == len(entities)
    return named


def deposited(
    database: Path,
    out: Path,
    choice: ExportChoice | None = None,
    stated: Any = None,
    responses: str = "",
) -> Path:
    settings = public_settings(Settings.model_validate({"deposit": stated or {}}))
    tables = {METHOD_OF_ANALYSIS: "The unit is one participant.\n"}
    if responses:
        tables[SKIN_RESPONSES] = responses
    about = Appliance("lab-pi", settings, known_cards(), {"scr_threshold": 0.05}, tables)
    format_named("deposit").export(database, out, choice, about)
    return out


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = full_study(tmp_path_factory.mktemp("study"))
    freeze(database, json.dumps({"people": "12"}), "ada")
    return database


@pytest.fixture(scope="module")
def deposit(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return deposited(study, tmp_path_factory.mktemp("deposit") / "out", None, STATED)


def pointed_at(value: Any) -> set[str]:
    """What the references of an entity, or of anything in it, point at."""
    if isinstance(value, list):
        return {name for one in value for name in pointed_at(one)}
    if isinstance(value, dict):
        own = {value["@id"]} if set(value) == {"@id"} else set()
        return own.union(*map(pointed_at, value.values()))
    return set()


def test_crate_lists_every_file_once_with_its_hash(deposit: Path) -> None:
    graph = graph_of(deposit)
    there = {
        one.relative_to(deposit).as_posix(): one
        for one in deposit.rglob("*")
        if one.is_file() and one.name != "ro-crate-metadata.json"
    }
    files = {name: one for name, one in graph.items() if "File" in one["@type"]}
    assert files.keys() == there.keys()
    for name, path in there.items():
        hashed = hashlib.sha256(path.read_bytes()).hexdigest()
        assert files[name]["identifier"] == f"sha256:{hashed}", name
        assert files[name]["contentSize"] == str(path.stat().st_size)
        assert files[name]["encodingFormat"]


def test_crate_points_at_nothing_that_is_not_there(deposit: Path) -> None:
    graph = graph_of(deposit)
    named = {name for entity in graph.values() for name in pointed_at(entity)}
    assert named - graph.keys() == {"https://w3id.org/ro/crate/1.1"}
    reached = {"ro-crate-metadata.json", "./"}
    while new := {name for one in reached for name in pointed_at(graph.get(one, {}))} - reached:
        reached |= new
    assert graph.keys() <= reached, "everything is reached from the root"


def test_crate_says_who_what_and_on_which_terms(deposit: Path) -> None:
    graph = graph_of(deposit)
    root = graph["./"]
    assert root["name"] == "Films" and root["license"] == {"@id": TERMS}
    assert [graph[one["@id"]]["name"] for one in root["author"]] == ["Ada Example", "Ben Beispiel"]
    assert graph[ORCID]["affiliation"] == root["publisher"] == {"@id": ROR}
    assert graph[ROR]["url"] == ROR
    assert graph["#device"]["name"] == "lab-pi"
    described = json.loads((deposit / "bids" / "dataset_description.json").read_text())
    assert described["Authors"] == ["Ada Example", "Ben Beispiel"]
    assert (described["Name"], described["License"]) == ("Films", TERMS)


def test_crate_names_models_plans_consents_and_sensors(study: Path, deposit: Path) -> None:
    graph = graph_of(deposit)
    models = [one for name, one in graph.items() if name.startswith("#model-expression")]
    for one in models:
        sha256 = one["identifier"].removeprefix("sha256:")
        card = json.loads(known_cards()[sha256])
        assert (one["name"], one["version"]) == (card["name"], card["version"])
        assert f"prior unknown, crop {card['crop']}" in one["description"]
        assert one["softwareHelp"]["@id"] in graph
    assert models
    (frozen,) = json.loads(f"[{(deposit / 'tables' / 'preregistrations' / '1.json').read_text()}]")
    plan = graph["#preregistration-1"]
    assert plan["identifier"] == f"sha256:{frozen['sha256']}"
    assert plan["dateCreated"] == frozen["at"]
    assert (
        graph["#consent-1"]["version"] == "1" and "2 of the" in graph["#consent-1"]["description"]
    )
    sensors = {
        one["name"]: one["description"]
        for name, one in graph.items()
        if name.startswith("#sensor-")
    }
    assert sensors["strap"] == "heart rate, 50 readings, 0.1 a second while it measured"


def test_method_names_the_sensor_that_each_rate_holds_for(tmp_path: Path) -> None:
    skin = VitalKind.SKIN_CONDUCTANCE
    database = timeline(
        tmp_path,
        vital=[
            *(reading(at / 4, 2.0, skin, "left hand") for at in range(40)),
            *(reading(at / 4 + 60, 2.0, skin, "left hand") for at in range(40)),
            *(reading(float(at), 3.0, skin, "right hand") for at in range(10)),
            *(reading(at + 0.1, 0.8, VitalKind.RR_INTERVAL, "strap") for at in range(10)),
        ],
        session=[session_row(0, 80)],
    )
    out = deposited(database, tmp_path / "out", responses=RESPONSES)
    text = (out / "METHOD.md").read_text()
    text = " ".join(text.split())
    measured = "skin conductance, {} readings, {} a second while it measured."
    assert f"The source left hand measured: {measured.format(80, 4)}" in text
    assert f"The source right hand measured: {measured.format(10, 1)}" in text
    assert "The source strap measured: RR interval, 10 readings." in text
    assert "rises from trough to peak of 0.05 uS or more" in text
    assert text.endswith("## Analysis The unit is one participant.")


def test_deposit_names_the_detector_of_a_strap_and_its_sensor(tmp_path: Path) -> None:
    database = timeline(
        tmp_path,
        vital=[
            {"at": at, "kind": "rr_interval", "source": "ble:strap", "value": 0.8, "error": 0.0005}
            for at in range(1, 8)
        ],
        session=[session_row(0, 80)],
    )
    out = deposited(database, tmp_path / "out")
    text = " ".join((out / "METHOD.md").read_text().split())
    found = "RR intervals of ble:strap. 7 intervals between R waves that Affect Edge found in the "
    assert found in text and "(Elgendi, Jonkman & De Boer 2010" in text
    described = graph_of(out)["#sensor-1"]["description"]
    assert described.startswith(f"RR interval, 7 readings. {found}")


def test_deposit_of_one_person_or_of_nobody_known_says_so(study: Path, tmp_path: Path) -> None:
    own = deposited(study, tmp_path / "own", ExportChoice((1,), participant="P01"))
    graph = graph_of(own)
    assert not [name for name in graph if name.startswith("#preregistration")]
    assert "Preregistration" not in (own / "METHOD.md").read_text()
    assert graph["./"]["author"] == graph["./"]["publisher"] == {"@id": "#publisher"}
    assert graph["#publisher"]["name"] == graph["#licence"]["name"] == "Not stated"
    assert "P02" not in (own / "ro-crate-metadata.json").read_text()


def test_deposit_has_the_files_of_a_bundle_and_a_data_set(
    study: Path, deposit: Path, tmp_path: Path
) -> None:
    assert judged_by_schema(deposit / "bids")["error"] == set()
    tables = {METHOD_OF_ANALYSIS: "The unit is one participant.\n"}
    settings = public_settings(Settings.model_validate({"deposit": STATED}))
    about = Appliance("lab-pi", settings, known_cards(), {"scr_threshold": 0.05}, tables)
    format_named("bundle").export(study, tmp_path / "bundle.zip", None, about)
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        made = {name: bundle.read(name) for name in bundle.namelist()}
    root = deposit / "tables"
    own = {one.relative_to(root).as_posix(): one for one in root.rglob("*") if one.is_file()}
    assert own.keys() == made.keys()
    told_time = {"README.md", "codebook.html", "datapackage.json"}
    for name in made.keys() - told_time:
        assert own[name].read_bytes() == made[name], name


def test_scripts_of_a_deposit_run_inside_it(tmp_path: Path) -> None:
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    out = deposited(full_study(tmp_path / "study"), tmp_path / "out")
    script = str(out / "tables" / "analysis.R")
    done = subprocess.run(
        [program, "--vanilla", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "What is told of each pair of states" in done.stdout


def test_address_of_several_names_is_no_entity_twice(study: Path, tmp_path: Path) -> None:
    both = {"authors": [f"Ada <{ROR}>", f"Ben <{ROR}>"], "institution": f"University <{ROR}>"}
    graph = graph_of(deposited(study, tmp_path / "out", stated=both))
    authors = [graph[one["@id"]] for one in graph["./"]["author"]]
    assert [(one["name"], one["url"]) for one in authors] == [("Ada", ROR), ("Ben", ROR)]
    assert graph[graph["./"]["publisher"]["@id"]]["name"] == "University"

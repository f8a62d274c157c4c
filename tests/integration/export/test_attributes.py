"""Attributes of participants: kept, passed on and erased as far as their consent goes."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.core.errors import StudyError
from edge_agent.core.study import AttributeUse, age_band, checked_attribute
from edge_agent.timeline.study.people import (
    agree_to_attributes,
    attribute_use_of,
    attributes_of,
    set_attributes,
)
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.erasure import erase_participant
from tests.support.datasets.bids import write_dataset
from tests.support.studies import heart, make_study
from tests.support.timeline import query

STATED = ("--consent", "paper", "--consent-on", "2026-01-01T00:00:00Z", "--purpose", "research")


def run(folder: Path, *words: object) -> Any:
    return CliRunner().invoke(cli, [*(str(word) for word in words), "--data", str(folder)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two people with a session each; both have consented, not yet to attributes."""
    return make_study(tmp_path, {code: heart(anger=70.0) for code in ("P01", "P02")})


@pytest.fixture
def folder(path: Path) -> Path:
    return path.parent


def agree(path: Path, code: str, use: AttributeUse, **values: str) -> None:
    agree_to_attributes(path, code, use, actor=None, values=values)


def test_nothing_is_kept_before_the_participant_agrees(path: Path, folder: Path) -> None:
    done = run(folder, "participant", "describe", "P01", "--sex", "female")
    assert done.exit_code != 0
    assert "has not agreed that attributes are kept" in str(done.exception)
    agreed = run(folder, "participant", "consent", "P01", "--text", "4", "--attributes", "here")
    assert agreed.exit_code == 0, agreed.output
    words = ("--sex", "female", "--age-band", "18-29", "--field", "handedness=left")
    done = run(folder, "participant", "describe", "p01", *words, "--json")
    told = {"age_band": "18-29", "handedness": "left", "sex": "female"}
    assert json.loads(done.stdout) == {"code": "p01", "consent": "here", "attributes": told}
    listed = json.loads(run(folder, "participant", "list", "--json").stdout)
    assert [one["attributes"] for one in listed] == [told, {}]
    audit = query(path, "SELECT action, detail FROM audit WHERE action LIKE 'attr%'")
    assert audit == [("attributes_agree", "P01"), ("attributes_set", "p01")], "and no value"


def test_attributes_are_changed_and_go_when_the_consent_to_them_does(path: Path) -> None:
    agree(path, "P01", AttributeUse.SHARED, sex="female", medication="none", height="170")
    set_attributes(path, "P01", {"medication": " beta blocker ", "sex": ""}, actor=None)
    assert attributes_of(path) == {"P01": {"height": "170", "medication": "beta blocker"}}
    Study(path).give_consent("P01", "5")
    assert attribute_use_of(path, "P01") is AttributeUse.SHARED
    run(path.parent, "participant", "consent", "P01", "--text", "6", "--attributes", "none")
    assert attributes_of(path) == {}
    assert query(path, "SELECT count(*) FROM participant_attribute") == [(0,)]


def test_an_unknown_use_a_missing_consent_and_too_many_are_refused(path: Path) -> None:
    words = ("participant", "consent", "P01", "--text", "4", "--attributes", "all")
    done = run(path.parent, *words)
    assert done.exit_code == 2
    assert "choose one of none, here, shared" in done.output
    Study(path).withdraw_consent("P02")
    with pytest.raises(StudyError, match="has given no consent that stands"):
        agree_to_attributes(path, "P02", AttributeUse.HERE, actor=None)
    with pytest.raises(StudyError, match="There is no participant 'P09'"):
        set_attributes(path, "P09", {"sex": "male"}, actor=None)
    agree_to_attributes(path, "P01", AttributeUse.HERE, actor=None)
    with pytest.raises(StudyError, match="keep at most 20 attributes, not 21"):
        set_attributes(path, "P01", {f"field_{number}": "1" for number in range(21)}, actor=None)
    assert attributes_of(path) == {}


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("age_band", "33", "'33' is not one of: under 18, 18-29"),
        ("sex", "f", "is not one of: female"),
        ("Email", "a@b.example", "identifies a person"),
        ("birth_date", "1990-01-01", "identifies a person"),
        ("consent_version", "3", "is a column of exported tables"),
        ("hand side", "left", "lower-case letters"),
        ("note", "a\nb", "printable characters on one line"),
        ("note", "x" * 81, "give 1 to 80"),
    ],
)
def test_invalid_attribute_is_named(name: str, value: str, problem: str) -> None:
    with pytest.raises(StudyError, match=problem):
        checked_attribute(name, value)


@pytest.mark.parametrize(
    ("years", "band"),
    [(17.9, "under 18"), (18, "18-29"), (29, "18-29"), (30, "30-39"), (80, "80 and over")],
)
def test_an_age_becomes_a_band(years: float, band: str) -> None:
    assert age_band(years) == band


def exported(folder: Path, form: str) -> str:
    """All text of an export."""
    out = folder / f"out-{form}"
    assert run(folder, "export", "--out", out, "--format", form).exit_code == 0
    if form == "bundle":
        with zipfile.ZipFile(out) as archive:
            return "".join(archive.read(f"{name}.csv").decode() for name in _TABLES)
    files = [out] if out.is_file() else list(out.rglob("*.tsv"))
    return "".join(file.read_text() for file in files)


_TABLES = ("participant", "participant_attribute", "session")


@pytest.mark.parametrize("form", ["bundle", "bids", "json"])
def test_only_what_may_be_shared_leaves_in_an_export(path: Path, folder: Path, form: str) -> None:
    agree(path, "P01", AttributeUse.SHARED, medication="drug of P01")
    agree(path, "P02", AttributeUse.HERE, medication="drug of P02")
    text = exported(folder, form)
    assert "drug of P01" in text
    assert "drug of P02" not in text
    Study(path).withdraw_consent("P01")
    (folder / f"out-{form}").rename(folder / "earlier")
    assert "drug of P01" not in exported(folder, form), "a withdrawn consent shares nothing"


@pytest.mark.parametrize("form", ["bundle", "bids"])
def test_exported_attributes_are_imported_again(
    path: Path, folder: Path, tmp_path: Path, form: str
) -> None:
    told = {"sex": "female", "age_band": "30-39", "medication": "=none", "shoe_size": "41"}
    agree(path, "P01", AttributeUse.SHARED, **told)
    exported(folder, form)
    here = tmp_path / "here"
    done = run(here, "import-study", folder / f"out-{form}", "--json")
    assert json.loads(done.stdout)["imported"], done.output
    assert attributes_of(here / "affect-edge.db") == {"P01": told}
    assert attribute_use_of(here / "affect-edge.db", "P01") is AttributeUse.SHARED


def test_what_another_laboratory_tells_of_people_needs_their_consent(tmp_path: Path) -> None:
    people = "participant_id\tage\tsex\tgroup\nsub-1\t33\tF\tcontrol\n"
    events = "onset\tduration\ttrial_type\n0\t10\tanger\n"
    files = {"participants.tsv": people, "sub-1/beh/sub-1_task-x_events.tsv": events}
    source = write_dataset(tmp_path / "films", files)
    words = ("import-study", source, *STATED, "--starting", "2026-02-01T09:00:00Z", "--json")
    report = json.loads(run(tmp_path / "one", *words).stdout)
    assert report["imported"]
    assert "3 attributes of participants are not taken" in report["notes"][0]
    assert attributes_of(tmp_path / "one" / "affect-edge.db") == {}
    run(tmp_path / "two", *words, "--consent-attributes", "here")
    assert attributes_of(tmp_path / "two" / "affect-edge.db") == {
        "sub-1": {"age_band": "30-39", "group": "control", "sex": "female"}
    }


def test_attributes_are_erased_with_the_participant_down_to_the_bytes(path: Path) -> None:
    for code in ("P01", "P02"):
        agree(path, code, AttributeUse.HERE, medication=f"zolpidem {code}", sex="male")
    done = erase_participant(path, "P01", actor="test")
    assert done.rows["participant_attribute"] == 2
    assert attributes_of(path) == {"P02": {"medication": "zolpidem P02", "sex": "male"}}
    assert b"zolpidem P01" not in path.read_bytes()

"""Every check of the doctor: its rows in the troubleshooting page, its cure, and that the failure
of one hides no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.appliance import board_checks, database_checks, doctor, running_checks
from edge_agent.appliance.findings import Finding, Verdict, run_check
from edge_agent.config.loading import load_settings
from edge_agent.core.errors import CameraError, CameraReason, StoreError
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from tests.support.broker import free_port
from tools.documents.troubles import ListedTrouble, alarms, findings

GUARDED = {
    *("database", "newest row", "bounds", "counted time", "accounts", "erasures", "copies"),
    *("disk budget", "model face-detector", "model expression-accurate", "camera", "broker"),
    "dashboard port",
}
"""Checks that look at something which may fail in ways of its own, on a machine with data."""


def sound(data: Path) -> dict[str, Finding]:
    """Return the findings on a machine with a database, by their check."""
    if not (data / DATABASE_NAME).exists():
        migrate(data / DATABASE_NAME)
    changes: dict[str, Mapping[str, Any]] = {
        "camera": {"source": "demo"},
        "mqtt": {"port": free_port()},
        "dashboard": {"port": free_port()},
    }
    settings = load_settings(None, changes)
    found = list(doctor.diagnose(settings, data))
    assert len({finding.check for finding in found}) == len(found), "a check is told once"
    return {finding.check: finding for finding in found}


def test_check_sentences_of_the_source_are_found_with_their_cures() -> None:
    assert {
        "platform",
        "clock",
        "data folder",
        "disk",
        "broker",
        "camera overlay",
        "usb power",
    } <= topics(findings())
    assert {"hot", "under_voltage", "disk_low", "commit_stale"} <= topics(alarms())
    disk = next(trouble for trouble in findings() if trouble.topic == "disk")
    assert (disk.problem, disk.cure) == ("… MB free", "Free at least … MB on this disk.")


def topics(troubles: set[ListedTrouble]) -> set[str]:
    return {trouble.topic for trouble in troubles}


@pytest.mark.parametrize(
    "trouble", sorted(findings()), ids=lambda one: f"{one.topic}: {one.problem}"
)
def test_check_fault_has_words_and_a_cure_that_begins_a_sentence(trouble: ListedTrouble) -> None:
    assert trouble.problem
    assert trouble.cure[0].isupper() or trouble.cure[0] in "…`"


def test_check_of_a_machine_with_faults_has_a_cure_where_it_is_not_well(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_text("a shopping list", encoding="utf-8")
    config = tmp_path / "affect-edge.toml"
    config.write_text(
        f'[camera]\nsource = "opencv"\ndevice = "{tmp_path}/none.mp4"\n'
        f'[vision]\nexpression_model = "{tmp_path}/none.json"\n'
        f"[mqtt]\nport = {free_port()}\n[dashboard]\nport = {free_port()}\n",
        encoding="utf-8",
    )
    words = ["doctor", "--json", "--config", str(config), "--data", str(tmp_path)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 1, done.output
    told = json.loads(done.stdout)
    for finding in told:
        assert bool(finding["cure"]) == (finding["verdict"] != "ok"), finding
    wrong = {one["check"] for one in told if one["verdict"] == "problem"}
    assert wrong >= {"database", "camera", f"model {tmp_path}/none.json"}


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (StoreError("it broke"), "See the sentence before."),
        (OSError("it broke"), "See the sentence before."),
        (CameraError(CameraReason.BUSY, "it broke", "Mend it."), "Mend it."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_check_that_meets_an_error_is_a_problem_with_a_cure(error: Exception, cure: str) -> None:
    def broken() -> Finding:
        raise error

    assert run_check("any", broken) == Finding("any", Verdict.PROBLEM, "it broke", cure)


def test_checks_that_all_fail_hide_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Finding:
        raise StoreError("it broke")

    before = sound(tmp_path)
    for module in (doctor, board_checks, database_checks, running_checks):
        monkeypatch.setattr(module, "run_check", lambda name, _look: run_check(name, broken))
    after = sound(tmp_path)
    assert list(after) == list(before)
    failed = {name for name, finding in after.items() if finding.found == "it broke"}
    assert failed >= GUARDED
    assert doctor.exit_code(list(after.values())) == 1

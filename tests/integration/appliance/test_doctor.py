"""The doctor: each thing that is wrong is found, named and given a cure.

One broken part hides no other.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.appliance.doctor import diagnose, exit_code
from edge_agent.appliance.findings import Finding, Verdict
from edge_agent.config.loading import load_settings
from edge_agent.config.settings import Settings
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.capture_switch import CaptureSwitch
from edge_agent.timeline.upkeep.budget import Space
from edge_agent.timeline.upkeep.copies import CopiesState, make_daily_copy
from tests.support.broker import free_port
from tests.support.vision.portraits import smiling
from tests.support.vision.still_camera import StillCamera


def settings_with(**changes: Mapping[str, Any]) -> Settings:
    quiet: dict[str, Mapping[str, Any]] = {
        "camera": {"source": "demo"},
        "mqtt": {"enabled": False},
        "dashboard": {"port": free_port()},
    }
    return load_settings(None, {**quiet, **changes})


def examine(data: Path, **changes: Mapping[str, Any]) -> dict[str, Finding]:
    return {finding.check: finding for finding in diagnose(settings_with(**changes), data)}


def test_doctor_names_what_the_agent_runs_without(tmp_path: Path) -> None:
    file = tmp_path / "affect-edge.toml"
    file.write_text('[vision]\nwhose = "seat"\n', encoding="utf-8")
    findings = {one.check: one for one in diagnose(load_settings(file), tmp_path)}
    assert findings["configuration"].verdict is Verdict.PROBLEM
    assert "needs a seat" in findings["configuration"].found


def test_a_sound_machine_has_no_problem(tmp_path: Path) -> None:
    migrate(tmp_path / DATABASE_NAME)
    findings = examine(tmp_path)
    assert exit_code(list(findings.values())) == 0, findings
    assert findings["camera"].found.endswith("640×480")
    assert "expression rows" in findings["database"].found


def test_doctor_reports_a_picture_that_stands_still(tmp_path: Path) -> None:
    with StillCamera(smiling()) as camera:
        options: dict[str, Any] = {"source": "snapshot", "device": camera.address}
        options |= {"snapshot_seconds": 0.1, "stall_seconds": 1.0}
        assert examine(tmp_path, camera=options)["camera"].verdict is Verdict.OK
        camera.hold()
        finding = examine(tmp_path, camera=options)["camera"]
    assert finding.verdict is Verdict.PROBLEM
    assert "stands still" in finding.found


def test_a_camera_that_somebody_has_switched_off_is_not_opened(tmp_path: Path) -> None:
    migrate(tmp_path / DATABASE_NAME)
    CaptureSwitch(tmp_path / DATABASE_NAME).turn(on=False, by="ada")
    absent = {"source": "opencv", "device": str(tmp_path / "absent.mp4")}
    finding = examine(tmp_path, camera=absent)["camera"]
    assert finding.verdict is Verdict.WARNING
    assert finding.found.startswith("switched off since 20")
    assert finding.found.endswith("Z, by ada")


def test_doctor_camera_of_a_device_lists_all_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edge_agent.camera.factory.list_cameras",
        lambda: ["camera.number = 0: imx708", "camera.number = 1: imx219"],
    )
    finding = examine(tmp_path, camera={"source": "auto"})["cameras"]
    assert finding.found == "camera.number = 0: imx708; camera.number = 1: imx219"
    assert "cameras" not in examine(tmp_path)


def test_everything_that_is_wrong_is_found_though_it_is_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / DATABASE_NAME).write_text("a shopping list", encoding="utf-8")
    monkeypatch.setattr("edge_agent.appliance.doctor.FREE_WANTED_MB", 2**40)
    findings = examine(
        tmp_path,
        camera={"source": "pictures", "folder": tmp_path / "none"},
        vision={"expression_model": str(tmp_path / "absent.json")},
    )
    for check in ("database", "disk", "camera", f"model {tmp_path / 'absent.json'}"):
        assert findings[check].verdict is Verdict.PROBLEM
    assert exit_code(list(findings.values())) == 1


def test_a_broker_that_does_not_answer_is_a_warning(tmp_path: Path) -> None:
    finding = examine(tmp_path, mqtt={"enabled": True, "port": free_port()})["broker"]
    assert finding.verdict is Verdict.WARNING
    assert "outbox" in finding.cure


def test_a_port_that_another_program_has_is_a_warning_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.appliance.running_checks.ANSWER_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        finding = examine(tmp_path, dashboard={"port": port})["dashboard port"]
    assert finding.verdict is Verdict.WARNING
    assert str(port) in finding.found


def test_a_budget_that_the_disk_has_no_room_for_is_a_warning(tmp_path: Path) -> None:
    migrate(tmp_path / DATABASE_NAME)
    well = examine(tmp_path, record={"budget_mb": 300})["disk budget"]
    assert "its share of record.budget_mb is 50 MB" in well.found
    finding = examine(tmp_path, record={"budget_mb": 100_000_000})["disk budget"]
    assert finding.verdict is Verdict.WARNING and "Lower record.budget_mb" in finding.cure


@pytest.mark.parametrize(
    ("space", "found"),
    [
        (
            Space(40_000_000, 50_000_000, 1_795_162_320_250),
            "rows of before 2026-11-20 were deleted early",
        ),
        (
            Space(40_000_000, 50_000_000, None, 30_000_000, 9_000_000),
            "damaged or replaced take 30 MB, and all files are 9 MB larger",
        ),
        (
            Space(60_000_000, 50_000_000, None),
            "the database has 60 MB, its share of record.budget_mb is 50 MB",
        ),
    ],
)
def test_a_budget_that_is_used_up_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: Space, found: str
) -> None:
    migrate(tmp_path / DATABASE_NAME)
    # a real one needs 50 MB of rows
    monkeypatch.setattr("edge_agent.timeline.upkeep.budget.space_of", lambda *_: space)
    finding = examine(tmp_path, record={"budget_mb": 300})["disk budget"]
    assert finding.verdict is Verdict.WARNING
    assert found in finding.found and "record.budget_mb" in finding.cure


def test_a_folder_that_may_not_be_written_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # root may write anywhere
    monkeypatch.setattr("edge_agent.appliance.doctor.os.access", lambda _path, _mode: False)
    finding = examine(tmp_path / "deep" / "down")["data folder"]
    assert finding.verdict is Verdict.PROBLEM
    assert str(tmp_path) in finding.found


def test_a_clock_that_nobody_has_set_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # whether this machine's clock is set is not ours to choose
    monkeypatch.setattr("edge_agent.core.clock.is_synchronised", lambda: True)
    assert examine(tmp_path)["clock"].verdict is Verdict.OK
    monkeypatch.setattr("edge_agent.core.clock.is_synchronised", lambda: False)
    monkeypatch.setattr("edge_agent.appliance.doctor._CONTAINER", tmp_path / "none")
    monkeypatch.setattr("edge_agent.appliance.doctor._kernel_has_time", lambda: True)
    assert examine(tmp_path)["clock"].verdict is Verdict.OK
    monkeypatch.setattr("edge_agent.appliance.doctor._kernel_has_time", lambda: False)
    assert examine(tmp_path)["clock"].verdict is Verdict.WARNING


def test_the_age_of_the_last_verified_copy_is_reported(tmp_path: Path) -> None:
    assert "none yet" in examine(tmp_path)["copies"].found
    migrate(tmp_path / DATABASE_NAME)
    assert examine(tmp_path)["copies"].verdict is Verdict.OK, "the first night is to come"
    make_daily_copy(tmp_path / DATABASE_NAME)
    finding = examine(tmp_path)["copies"]
    assert finding.verdict is Verdict.OK and " s old" in finding.found


@pytest.mark.parametrize(
    ("stands", "verdict", "found"),
    [
        (CopiesState(9_000, error="damaged"), Verdict.PROBLEM, "the next failed: damaged"),
        (CopiesState(9_000, smaller_than="x"), Verdict.PROBLEM, "holds much less than x"),
        (CopiesState(260_000, overdue=True), Verdict.WARNING, "3 days old"),
        (CopiesState(overdue=True), Verdict.WARNING, "no verified copy"),
        (CopiesState(9_000, second_error="away"), Verdict.WARNING, "was not made: away"),
    ],
)
def test_copies_that_are_not_well_are_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stands: CopiesState,
    verdict: Verdict,
    found: str,
) -> None:
    monkeypatch.setattr("edge_agent.timeline.upkeep.copies.copies_state", lambda _path: stands)
    finding = examine(tmp_path, backup={"also": str(tmp_path)})["copies"]
    assert finding.verdict is verdict and found in finding.found and finding.cure


def test_a_clock_that_is_not_believed_is_a_warning(tmp_path: Path) -> None:
    migrate(tmp_path / DATABASE_NAME)
    assert examine(tmp_path)["counted time"].verdict is Verdict.OK
    count = '{"at_ms": 1, "wall_ms": 1, "boot_ms": 0, "boot": "", "days": []}'
    with write_transaction(tmp_path / DATABASE_NAME) as connection:
        connection.execute("INSERT INTO setting VALUES ('counted_time', ?)", (count,))
    finding = examine(tmp_path)["counted time"]
    assert finding.verdict is Verdict.WARNING and "counted on" in finding.found

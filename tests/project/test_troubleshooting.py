"""The troubleshooting page says what the program says."""

from __future__ import annotations

from tools.write_troubleshooting import PAGE, alarms, errors, findings, page, tables_of_cures


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.write_troubleshooting"


def test_the_sentences_are_found_with_their_cures() -> None:
    assert {trouble.topic for trouble in findings()} >= {
        "platform",
        "clock",
        "data folder",
        "disk",
        "broker",
    }
    assert {trouble.topic for trouble in errors("CameraError", "edge_agent/camera")} >= {
        "not_found",
        "busy",
        "stalled",
    }
    assert {trouble.topic for trouble in tables_of_cures("edge_agent/vitals/ble.py")} >= {
        "adapter_off",
        "not_paired",
    }
    assert {trouble.topic for trouble in alarms()} >= {
        "hot",
        "under_voltage",
        "disk_low",
        "commit_stale",
    }
    disk = next(trouble for trouble in findings() if trouble.topic == "disk")
    assert (disk.problem, disk.cure) == ("… MB free", "Free at least … MB on this disk.")

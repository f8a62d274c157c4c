"""The file of the topics that a broker keeps."""

from __future__ import annotations

from pathlib import Path

from edge_agent.mqtt.announcement import AnnouncedTopics


def test_announced_topics_behind_a_link_leave_its_target_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "somebody-elses"
    target.write_text("theirs")
    file = tmp_path / "announced"
    file.symlink_to(target)
    topics = AnnouncedTopics(file)
    topics.write({"affect-edge/lab/status", "homeassistant/device/lab/config"})
    assert target.read_text() == "theirs" and not file.is_symlink()
    assert topics.read() == {"affect-edge/lab/status", "homeassistant/device/lab/config"}
    topics.write([])
    assert topics.read() == set() and not file.exists()

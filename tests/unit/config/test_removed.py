"""Keys that are gone are refused with what to do instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.config.loading import REMOVED, load_settings, why_removed
from edge_agent.core.errors import ConfigError


def test_the_longest_name_decides() -> None:
    removed = {"updates": "Use update FILE.", "updates.url": "Download it."}
    assert why_removed("updates.url", removed) == "Download it."
    assert why_removed("updates.at", removed) == "Use update FILE."
    assert why_removed("camera.fps", removed) is None


@pytest.mark.parametrize("key", ["ecg", "movement"])
def test_a_removed_key_of_a_sensor_is_refused(key: str, tmp_path: Path) -> None:
    file = tmp_path / "affect-edge.toml"
    strap = f'{{ address = "A0:9E:1A:00:00:01", kind = "heart_rate", {key} = true }}'
    file.write_text(f"[vitals.bluetooth]\ndevices = [{strap}]\n")
    with pytest.raises(
        ConfigError, match=rf"devices\.0\.{key}: this key was removed. Leave it out"
    ):
        load_settings(file)


@pytest.mark.parametrize("key", [key for key in REMOVED if ".devices." not in key])
def test_each_key_that_was_removed_is_refused(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section, _, name = key.partition(".")
    file = tmp_path / "affect-edge.toml"
    file.write_text(f"[{section}]\n{name or 'any'} = 'x'\n")
    with pytest.raises(ConfigError) as refusal:
        load_settings(file)
    assert REMOVED[key] in str(refusal.value)

    file.write_text("")
    monkeypatch.setenv(f"AFFECT_EDGE_{section}__{name or 'any'}".upper(), "x")
    with pytest.raises(ConfigError) as refusal:
        load_settings(file)
    assert REMOVED[key] in str(refusal.value)

"""Changes to the configuration file: what may be changed, how the text looks then, how it lands."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.config.editing import (
    ConfigChangedError,
    ConfigFile,
    can_be_written,
    check_settings,
    command_for,
    difference,
    read_file,
    rules_of,
    save,
    with_changes,
)
from edge_agent.config.keys import values_of
from edge_agent.core import files
from edge_agent.core.errors import ConfigError

SHIPPED = Path(__file__).parents[4] / "config" / "affect-edge.toml"
TEXT = """\
# ours
[camera]
fps = 15.0      # frames per second

[mqtt]
password = "very secret"
"""
RULE = {"name": "heart-rate", "when": "vital", "vital": "heart_rate", "above": 120}


@pytest.fixture
def file(tmp_path: Path) -> ConfigFile:
    path = tmp_path / "affect-edge.toml"
    path.write_text(TEXT, encoding="utf-8")
    return read_file(path)


def test_a_value_comes_with_its_source_and_no_secret_is_shown(
    file: ConfigFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFECT_EDGE_CAMERA__WIDTH", "320")
    text = file.text.replace("[mqtt]", 'device = "rtsp://ada:pw@cam/1"\n[mqtt]')
    values = values_of(check_settings(ConfigFile(file.path, text)), text)
    assert (values["camera.fps"].value, values["camera.fps"].line) == (15.0, 3)
    assert (values["camera.width"].value, values["camera.width"].source) == (320, "environment")
    assert values["camera.height"].source == "default"
    assert values["mqtt.password"].value is True
    assert values["camera.device"].value == "rtsp://…@cam/1"


def test_comments_and_columns_stay_and_what_is_left_out_is_gone(file: ConfigFile) -> None:
    text = with_changes(file.text, {"camera.fps": 7.5, "vitals.simulated.enabled": True})
    assert "# ours\n[camera]\nfps = 7.5       # frames per second\n" in text
    assert check_settings(ConfigFile(file.path, text)).vitals.simulated.enabled
    assert "fps" not in with_changes(file.text, {"camera.fps": None})
    shipped = SHIPPED.read_text(encoding="utf-8")
    assert with_changes(shipped, {"alerts.rule": rules_of(shipped)}) == shipped


def test_rules_keep_their_comments_and_those_of_the_start_are_written_out() -> None:
    shipped = SHIPPED.read_text(encoding="utf-8")
    first, *others = rules_of(shipped)
    text = with_changes(shipped, {"alerts.rule": [first | {"seconds": 5}, RULE, *others[2:]]})
    assert 'name = "agent"                # the agent does not answer' in text
    assert [rule["name"] for rule in rules_of(text)] == ["agent", "backup", "heart-rate"]
    assert rules_of(text)[0]["seconds"] == 5
    assert '\n\n[[alerts.rule]]\nname = "heart-rate"' in text
    assert [rule["name"] for rule in rules_of("")] == ["agent", "camera", "disk", "backup"]
    inline = '[alerts]\nrule = [{name = "face", when = "face"}]\n'
    assert rules_of(with_changes(inline, {"alerts.rule": [RULE]})) == [RULE]


def test_a_difference_shows_changed_lines_and_hides_secrets(file: ConfigFile) -> None:
    inline = 'mqtt = { enabled = true, password = "very secret" }\n'
    before = ConfigFile(file.path, inline)
    after = ConfigFile(file.path, with_changes(inline, {"mqtt.enabled": False}))
    assert difference(before, after, check_settings(before)) == [
        '-mqtt = { enabled = true, password = "…" }',
        '+mqtt = { enabled = false, password = "…" }',
    ]


def test_what_config_check_refuses_is_refused_with_its_line(file: ConfigFile) -> None:
    text = with_changes(file.text, {"camera.fps": 1000.0})
    with pytest.raises(ConfigError, match=r"affect-edge\.toml, line 3: camera\.fps = 1000\.0"):
        check_settings(ConfigFile(file.path, text))


def test_a_file_is_replaced_whole_with_its_mode_and_a_copy_of_before(file: ConfigFile) -> None:
    file.path.chmod(0o640)
    copy = save(file, "[camera]\nfps = 5.0\n")
    assert copy.read_text(encoding="utf-8") == TEXT
    assert file.path.read_text(encoding="utf-8") == "[camera]\nfps = 5.0\n"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o640
    assert sorted(one.name for one in file.path.parent.iterdir()) == [file.path.name, copy.name]
    with pytest.raises(ConfigChangedError, match="changed it meanwhile"):
        save(file, "")
    assert "5.0" in file.path.read_text(encoding="utf-8")


def test_a_file_that_somebody_keeps_locked_is_reported_and_stays(
    file: ConfigFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOCK_S", 0.1)
    with file.path.open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another program has kept it locked for 0.1 s"):
            save(file, "")
    assert file.path.read_text(encoding="utf-8") == TEXT


def test_a_file_that_cannot_be_replaced_stays(
    file: ConfigFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        save(file, "[camera]\n")
    assert file.path.read_text(encoding="utf-8") == TEXT
    assert can_be_written(file.path)
    assert not can_be_written(file.path.with_name("none") / "x.toml")
    with pytest.raises(ConfigError, match="no such file"):
        read_file(file.path.with_name("none.toml"))


def test_the_command_does_the_same(file: ConfigFile) -> None:
    words = command_for(file.path, {"camera.fps": 5.0, "alerts.rule": [RULE], "camera.loop": None})
    assert words.startswith("sudo affect-edge config set --config ")
    run = CliRunner().invoke
    where = ["--config", str(file.path)]
    rule = '[{name = "heart-rate", when = "vital", vital = "heart_rate", above = 120}]'
    assert f"'alerts.rule={rule}'" in words
    tried = run(cli, ["config", "set", *where, "--dry-run", "camera.fps=5.0"])
    assert tried.output.startswith("-fps = 15.0") and read_file(file.path) == file
    done = run(cli, ["config", "set", *where, "camera.fps=5.0", f"alerts.rule={rule}"])
    assert done.output.endswith(f"to use it: restart what runs with --config {file.path}\n")
    assert rules_of(read_file(file.path).text) == [RULE]
    assert run(cli, ["config", "set", *where, "camera.source=demo"]).exit_code == 0
    assert "nothing to change" in run(cli, ["config", "set", *where, "camera.loop="]).output
    no_restart = run(cli, ["config", "set", *where, "alerts.rule=[]"]).output
    assert no_restart.endswith("used in seconds, without a restart\n")
    wrong = run(cli, ["config", "set", *where, "camera.colour=red"])
    assert wrong.exit_code == 2 and "Keys: camera.source" in wrong.output

"""``affect-edge alerts``: what stands, the log, and a trial of the addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.timeline.write.alert_log import AlertEntry, AlertLog
from tests.support.alerts.sinks import WebSink
from tests.support.timeline import database, instant


def command(folder: Path, *words: Any) -> Result:
    return CliRunner().invoke(cli, ["alerts", "--data", str(folder), *map(str, words)])


def with_alerts(folder: Path) -> Path:
    """A data folder with one alert that has ended and two that stand, one of them seen."""
    log = AlertLog(database(folder))
    for second, rule in enumerate(("disk", "camera", "hr")):
        log.begin(AlertEntry(0, rule, rule, f"{rule} is so.", None, None, 0), instant(second))
    log.end("disk", "over", instant(10))
    log.acknowledge(2, "anna")
    return folder


def test_open_alerts_are_shown_and_all_on_request(tmp_path: Path) -> None:
    folder = with_alerts(tmp_path)
    standing = command(folder)
    assert standing.exit_code == 0, standing.output
    assert "  Camera: camera is so. (seen by anna)" in standing.stdout
    assert "  hr: hr is so. (open)" in standing.stdout
    assert "disk" not in standing.stdout
    every = json.loads(command(folder, "--all", "--json").stdout)
    assert {(told["rule"], told["ending"]) for told in every} == {
        ("disk", "over"),
        ("camera", None),
        ("hr", None),
    }
    assert "disk is so. (until " in command(folder, "--all").stdout


def test_without_any_it_says_so(tmp_path: Path) -> None:
    database(tmp_path)
    assert command(tmp_path).stdout == "No alert stands.\n"
    assert command(tmp_path, "--all").stdout == "No alert has begun yet.\n"


def test_a_trial_tells_each_address_and_fails_where_one_is_not_reached(tmp_path: Path) -> None:
    config = tmp_path / "affect-edge.toml"
    with WebSink.running() as web:
        address = f"json://127.0.0.1:{web.port}/hook"
        config.write_text(f'[alerts]\nnotify = ["{address}"]\n', encoding="utf-8")
        done = command(tmp_path, "--test", "--config", config)
        assert done.exit_code == 0, done.output
        assert done.stdout.endswith(": sent\n")
        web.refusing = True
        refused = command(tmp_path, "--test", "--json", "--config", config)
        assert refused.exit_code == 1
        (told,) = json.loads(refused.stdout)
        assert told["error"]
    assert len(web.posts) == 1


def test_a_trial_without_an_address_says_where_to_give_one(tmp_path: Path) -> None:
    done = command(tmp_path, "--test")
    assert done.exit_code != 0
    assert "alerts.notify" in f"{done.output}{done.exception}"
    config = tmp_path / "affect-edge.toml"
    config.write_text('[alerts]\nnotify_file = "none.txt"\n', encoding="utf-8")
    done = command(tmp_path, "--test", "--config", config)
    assert done.exit_code != 0
    assert "alerts.notify_file" in f"{done.output}{done.exception}"

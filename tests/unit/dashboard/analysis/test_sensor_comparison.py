"""Two sensors of one vital compared, from the database to the words of the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dashboard.analysis.agreement import compare_sensors
from dashboard.commands.analyse import main_compare_sensors
from dashboard.statistics.agreement import limits_of_agreement
from edge_agent.core.errors import StatisticsError
from edge_agent.store.read.reader import Reader
from tests.support.studies import HEART, SYSTOLIC, States, add_session

BIAS = {"a": (1.0, 3.0), "b": (2.0, 2.5), "c": (0.0, 4.0)}


def two_watches(folder: Path) -> Path:
    """Each state lies in minutes of its own; the watch is off by another amount in each."""
    path = folder / "affect-edge.db"
    for number, (code, off) in enumerate(BIAS.items()):
        level = 60.0 + 10 * number
        strap: States = {
            state: {HEART: [level] * 10, SYSTOLIC: [120.0]} for state in ("anger", "neutral")
        }
        watch: States = {
            state: {HEART: [level - bias] * 5}
            for state, bias in zip(("anger", "neutral"), off, strict=True)
        }
        add_session(path, code, strap, second=("watch", watch))
    return path


def test_two_sensors_are_compared_where_both_measured(tmp_path: Path) -> None:
    reader = Reader(two_watches(tmp_path))
    (found,) = compare_sensors(reader, [HEART, SYSTOLIC])
    expected = limits_of_agreement(list("aabbcc"), [1.0, 3.0, 2.0, 2.5, 0.0, 4.0])
    assert (found.first, found.second, found.people, found.minutes) == ("strap", "watch", 3, 6)
    assert found.bias == pytest.approx(expected.bias)
    assert found.low == pytest.approx(expected.limits.low)
    assert found.icc is not None or "same amount" in found.reasons[0]
    with pytest.raises(StatisticsError, match="no session 9"):
        compare_sensors(reader, [HEART], [9])


def test_the_command_says_it_in_a_sentence_and_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_watches(tmp_path)
    assert main_compare_sensors(["--data", str(tmp_path), "--vital", "heart_rate"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Heart rate, strap minus watch, 6 minutes of 3 people: bias +2.08 /min")
    assert main_compare_sensors(["--data", str(tmp_path), "--session", "1", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one["bias"] is None
    assert one["people"] == 1
    assert "need two people" in one["reasons"][0]
    assert main_compare_sensors(["--data", str(tmp_path), "--vital", "systolic"]) == 0
    assert "No two sources" in capsys.readouterr().out

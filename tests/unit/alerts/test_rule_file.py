"""Rules of alerts that somebody changes in the configuration file while the programs run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_agent.alerts.rule_file import RuleFile
from edge_agent.alerts.sending import alert_options
from edge_agent.alerts.watch import AlertWorker
from edge_agent.config.loading import load_settings
from edge_agent.config.settings import Settings
from edge_agent.timeline.write.alert_log import AlertLog
from tests.support.broker import wait_until
from tests.support.timeline import instant, query, timeline

WARM = '[[alerts.rule]]\nname = "warm"\nwhen = "vital"\nvital = "skin_temperature"\nabove = 38\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "affect-edge.toml"
    path.write_text("[alerts]\nsound = true\n", encoding="utf-8")
    return path


def replace(file: Path, text: str) -> None:
    """Put a file in its place, as editors and the dashboard do."""
    prepared = file.with_name("prepared")
    prepared.write_text(text, encoding="utf-8")
    prepared.replace(file)


def settled(rules: RuleFile, seconds: list[float]) -> bool:
    """Look at the file twice, between which nobody writes it; return whether the rules changed."""
    assert not rules.refresh()
    seconds[0] += 0.5
    return rules.refresh()


def test_changed_file_gives_its_rules_once(file: Path) -> None:
    seconds = [0.0]
    rules = RuleFile(load_settings(file).alerts.rule, file, lambda: seconds[0])
    assert not rules.refresh()
    replace(file, WARM)
    assert settled(rules, seconds)
    assert [rule.name for rule in rules.rules] == ["warm"]
    assert not rules.refresh()
    replace(file, WARM + "[camera]\nfps = 5\n")
    assert not settled(rules, seconds)


def test_file_that_the_program_put_in_place_counts_at_once(file: Path) -> None:
    rules = RuleFile(load_settings(file).alerts.rule, file, lambda: 0.0)
    replace(file, WARM)
    assert rules.refresh(is_whole=True) and rules.rules[0].name == "warm"


def test_new_file_that_is_written_slowly_counts_once_nobody_writes(file: Path) -> None:
    replace(file, WARM)
    seconds = [0.0]
    rules = RuleFile(load_settings(file).alerts.rule, file, lambda: seconds[0])
    both = WARM + WARM.replace("warm", "hot").replace("38", "39")
    hidden = file.with_name("before")  # kept, so that the new file is another one
    file.rename(hidden)
    assert not rules.refresh()
    file.write_text(WARM.replace("38", "39"), encoding="utf-8")
    assert not rules.refresh() and rules.rules[0].above == 38
    seconds[0] += 0.4
    change(file, both)
    assert settled(rules, seconds)
    assert [one.name for one in rules.rules] == ["warm", "hot"]


def test_file_with_an_error_or_none_keeps_the_rules_before_it(file: Path) -> None:
    seconds = [0.0]
    rules = RuleFile(load_settings(file).alerts.rule, file, lambda: seconds[0])
    before = rules.rules
    replace(file, WARM.replace("38", '"hot"'))
    assert not settled(rules, seconds) and rules.rules == before
    assert "above" in rules.problem
    file.unlink()
    assert not rules.refresh() and rules.rules == before
    replace(file, WARM)
    assert settled(rules, seconds) and rules.problem == ""


def test_change_that_keeps_time_and_size_of_the_file_is_read(file: Path) -> None:
    replace(file, WARM)
    seconds = [0.0]
    rules = RuleFile(load_settings(file).alerts.rule, file, lambda: seconds[0])
    before = file.stat()
    file.write_text(WARM.replace("38", "39"), encoding="utf-8")
    while file.stat().st_ctime_ns == before.st_ctime_ns:  # a clock of some milliseconds
        file.touch()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    rules.refresh()
    seconds[0] += 1
    assert rules.refresh() and rules.rules[0].above == 39


def change(file: Path, text: str) -> None:
    """Write into the file itself, as some editors do, at another time by its clock."""
    before = file.stat().st_ctime_ns
    file.write_text(text, encoding="utf-8")
    while file.stat().st_ctime_ns == before:
        file.touch()


@pytest.mark.parametrize("half", [WARM, ""], ids=["a rule of two", "empty"])
def test_file_that_is_being_written_counts_once_nobody_writes(file: Path, half: str) -> None:
    both = WARM + WARM.replace("warm", "hot").replace("38", "39")
    replace(file, both)
    seconds = [0.0]
    rules = RuleFile(load_settings(file).alerts.rule, file, lambda: seconds[0])
    before = rules.rules
    change(file, half)
    assert not rules.refresh() and rules.rules == before
    seconds[0] += 0.4
    change(file, both + "# 1\n")
    assert not rules.refresh() and rules.rules == before
    seconds[0] += 0.4
    assert not rules.refresh() and rules.rules == before
    seconds[0] += 0.2
    assert not rules.refresh() and rules.rules == before
    change(file, WARM)
    rules.refresh()
    seconds[0] += 1
    assert rules.refresh() and [rule.name for rule in rules.rules] == ["warm"]


def test_file_put_in_place_empty_counts_once_nobody_writes(file: Path) -> None:
    replace(file, WARM)
    seconds = [0.0]
    rules = RuleFile(load_settings(file).alerts.rule, file, lambda: seconds[0])
    replace(file, "")
    assert not rules.refresh() and len(rules.rules) == 1
    change(file, WARM + "# 1\n")
    seconds[0] += 1
    assert not rules.refresh() and len(rules.rules) == 1


def test_file_changed_while_it_is_read_counts_as_it_is_afterwards(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [0.0]
    rules = RuleFile(load_settings(file).alerts.rule, file, lambda: seconds[0])
    before = rules.rules
    replace(file, WARM)

    def read(_: Path) -> Settings:
        early = load_settings(file)
        replace(file, WARM.replace("warm", "late"))
        monkeypatch.undo()
        return early

    monkeypatch.setattr("edge_agent.alerts.rule_file.load_settings", read)
    assert not settled(rules, seconds) and rules.rules == before
    settled(rules, seconds)
    assert rules.rules[0].name == "late"


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 5_000, "[alerts\n"])
def test_file_that_no_parser_reads_keeps_the_rules_before_it(file: Path, text: str) -> None:
    seconds = [0.0]
    rules = RuleFile(load_settings(file).alerts.rule, file, lambda: seconds[0])
    replace(file, text)
    assert not settled(rules, seconds) and str(file) in rules.problem


def test_rules_without_a_file_stay() -> None:
    rules = RuleFile((), None)
    assert not rules.refresh() and rules.rules == ()


def test_agent_watches_a_rule_that_was_added_while_it_runs(file: Path, tmp_path: Path) -> None:
    database = timeline(tmp_path)
    replace(file, "[alerts]\nrule = []\n")
    worker = AlertWorker(alert_options(load_settings(file)), AlertLog(database))
    worker.store({"type": "health", "disk": {"free_bytes": 400_000_000}})
    worker.step(instant(1))
    replace(file, '[[alerts.rule]]\nname = "full"\nwhen = "disk"\nbelow = 900\nseconds = 0\n')

    def alerts() -> list[tuple[object, ...]]:
        worker.step(instant(2))
        return query(database, "SELECT rule, raised FROM alert")

    wait_until(lambda: bool(alerts()), "an alert of the new rule")
    assert alerts() == [("full", instant(2).wall_ms)]

"""The terminal of the demonstration: what it answers while it runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest

from affect_edge.demo import CHANGES, Dashboard, own_file
from dashboard.accounts.accounts import Accounts
from dashboard.accounts.passwords import AccountError
from dashboard.web.configuration import read_present
from edge_agent.agent.loop import Agent
from edge_agent.config.loading import load_settings
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate


def test_link_for_each_enter_logs_in_and_the_one_before_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / DATABASE_NAME
    migrate(database)
    dashboard = Dashboard(None, tmp_path, 8080, cast("Agent", None), {})
    dashboard.give_links(["\n"])
    assert capsys.readouterr().out == "", "its address is not known yet"
    dashboard.address = "http://127.0.0.1:8080"
    dashboard.give_links(["\n", "\n"])
    first, second = re.findall(r"http://127.0.0.1:8080/login\?link=(\S+)", capsys.readouterr().out)
    accounts = Accounts(database)
    with pytest.raises(AccountError):
        accounts.follow_link(first)
    assert accounts.follow_link(second)


def test_demonstration_has_a_configuration_whose_rules_can_be_changed(tmp_path: Path) -> None:
    file = own_file(tmp_path / "new" / "folder")
    assert file.parent == tmp_path / "new" / "folder" and file.stat().st_mode & 0o077 == 0
    present = read_present(file)
    assert present.can_be_changed and present.is_writable and not present.problem
    # The file says what the demonstration's agent is told anyway.
    assert load_settings(file) == load_settings(file, CHANGES)
    file.write_text("[alerts]\nsound = true\n", encoding="utf-8")
    assert own_file(file.parent) == file and load_settings(file).alerts.sound, "it is kept"

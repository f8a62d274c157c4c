"""The terminal of the demonstration: what it answers while it runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest

from affect_edge.demo import Dashboard
from dashboard.accounts.accounts import Accounts
from dashboard.accounts.passwords import AccountError
from edge_agent.agent.loop import Agent
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

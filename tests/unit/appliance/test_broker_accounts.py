"""The broker's files of accounts: what a person wrote into them stays, and nothing is half done."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.appliance.broker_accounts import (
    BrokerAccounts,
    BrokerFiles,
    Right,
    agent_rules,
    names_in,
    reload_broker,
    rights_in,
    rules_for,
    rules_in,
    with_more_rules,
)
from edge_agent.core.errors import BrokerAccountError
from edge_agent.mqtt.discovery import Device

DEVICE = Device("affect-edge", "affect-edge", "homeassistant", "1.0.0")
BY_HAND = """# ours
user affect-edge
topic readwrite affect-edge/#

# the old laptop, by Ada
user laptop
topic  read   affect-edge/#
pattern read clients/%c/#
user display
topic read affect-edge/affect-edge/status
"""


@pytest.fixture
def files(tmp_path: Path) -> BrokerFiles:
    """The files of a broker with an account of the agent and one that was made by hand."""
    made = BrokerFiles(tmp_path / "conf", tmp_path / "acl", tmp_path / "passwd")
    made.settings.write_text("listener 1883\n")
    made.access.write_text(BY_HAND)
    made.passwords.write_text("affect-edge:$7$101$AAAA$BBBB\nlaptop:$7$101$CCCC$DDDD\n")
    for file in (made.access, made.passwords):
        file.chmod(0o600)
    return made


def accounts(files: BrokerFiles, reload: Callable[[], bool] = lambda: True) -> BrokerAccounts:
    return BrokerAccounts(DEVICE, "affect-edge", files, reload)


def test_rules_written_by_hand_stay(files: BrokerFiles) -> None:
    broker = accounts(files)
    broker.add("watch", [Right.READINGS])
    broker.remove("watch")
    assert files.access.read_text().rstrip() == "\n".join(
        line.strip() for line in BY_HAND.rstrip().splitlines()
    )
    assert names_in(files.passwords.read_text()) == ["affect-edge", "laptop"]
    assert files.passwords.stat().st_mode & 0o777 == 0o600


def test_the_password_is_drawn_and_kept_as_a_hash(files: BrokerFiles) -> None:
    broker = accounts(files)
    first = broker.add("one", [Right.READ])
    second = broker.add("two", [Right.READ])
    assert first != second and len(first) == 32
    text = files.passwords.read_text()
    assert first not in text and "one:$7$101$" in text


def test_more_rules_are_added_once_and_where_they_belong() -> None:
    more = with_more_rules(BY_HAND, "affect-edge", agent_rules(DEVICE))
    assert rules_in(more, "affect-edge") == ("topic readwrite affect-edge/#", *agent_rules(DEVICE))
    assert rules_in(more, "laptop") == rules_in(BY_HAND, "laptop")
    assert with_more_rules(more, "affect-edge", agent_rules(DEVICE)) == more
    assert rules_in(with_more_rules("", "new", ["topic read x"]), "new") == ("topic read x",)


def test_rights_are_recognized_again() -> None:
    for right in Right:
        assert rights_in(rules_for([right], DEVICE), DEVICE) == ((right,), False)
    both = rules_for([Right.COMMANDS, Right.READ], DEVICE)
    assert rights_in(both, DEVICE) == ((Right.READ, Right.COMMANDS), False)
    renamed = Device("elsewhere", "affect-edge", "homeassistant", "1.0.0")
    assert rights_in(both, renamed) == ((), True)


def test_all_accounts_are_listed(files: BrokerFiles) -> None:
    broker = accounts(files)
    broker.add("ha", [Right.HOME_ASSISTANT])
    agent, laptop, home = broker.all()
    assert agent.of_the_agent and agent.name == "affect-edge"
    assert (laptop.rights, laptop.more, laptop.of_the_agent) == ((), True, False)
    assert (home.rights, home.more) == ((Right.HOME_ASSISTANT,), False)


@pytest.mark.parametrize(
    "name",
    ["", "#", "+", "a b", "a\nuser b", "a\ttab", "%u", "a:b", "a/b", "-x", "$SYS", "é", "a" * 65],
)
def test_a_name_that_would_mean_something_else_is_refused(files: BrokerFiles, name: str) -> None:
    before = (files.access.read_text(), files.passwords.read_text())
    with pytest.raises(BrokerAccountError, match="cannot be the name of an account"):
        accounts(files).add(name, [Right.READ])
    assert (files.access.read_text(), files.passwords.read_text()) == before


def test_a_name_that_is_taken_is_refused(files: BrokerFiles) -> None:
    for name in ("affect-edge", "laptop"):
        with pytest.raises(BrokerAccountError, match="there is such an account already"):
            accounts(files).add(name, [Right.READ])


def test_the_agents_account_stays_whatever_it_is_called(files: BrokerFiles) -> None:
    broker = BrokerAccounts(DEVICE, "laptop", files, lambda: True)
    for name in ("affect-edge", "laptop"):
        with pytest.raises(BrokerAccountError, match="is the account of the agent"):
            broker.remove(name)
        with pytest.raises(BrokerAccountError, match="is the account of the agent"):
            broker.change(name, [Right.READ])


def test_unknown_account_cannot_be_removed(files: BrokerFiles) -> None:
    with pytest.raises(BrokerAccountError, match=r"no such account\. There are: laptop"):
        accounts(files).remove("nobody")


def test_a_broker_of_somebody_else_is_left_alone(files: BrokerFiles) -> None:
    files.settings.unlink()
    with pytest.raises(BrokerAccountError, match=r"was not set up by install\.sh"):
        accounts(files).add("watch", [Right.READ])


def test_an_account_of_which_the_broker_was_not_told_is_not_there(files: BrokerFiles) -> None:
    def fail() -> bool:
        raise BrokerAccountError("it does not listen.")

    with pytest.raises(BrokerAccountError, match=r"watch was not made\. it does not listen"):
        accounts(files, fail).add("watch", [Right.READ])
    assert "watch" not in names_in(files.passwords.read_text())
    accounts(files).add("watch", [Right.READ])
    assert files.access.read_text().count("user watch") == 1


def test_a_file_that_cannot_be_written_stays_as_it_was(
    files: BrokerFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(BrokerAccountError, match=r"No space left on device\), and was not changed"):
        accounts(files).add("watch", [Right.READ])
    assert files.access.read_text() == BY_HAND
    assert sorted(file.name for file in files.access.parent.iterdir()) == ["acl", "conf", "passwd"]


def test_a_file_that_cannot_be_read_is_named(files: BrokerFiles) -> None:
    files.access.write_bytes(b"\xff\xfe")
    with pytest.raises(BrokerAccountError, match=r"acl: cannot be read \(it is no text\)"):
        accounts(files).all()


def _add(files: BrokerFiles, name: str) -> None:
    accounts(files).add(name, [Right.READ])


def test_two_at_once_wait_for_each_other(files: BrokerFiles) -> None:
    context = multiprocessing.get_context("spawn")
    running = [context.Process(target=_add, args=(files, f"guest-{n}")) for n in range(4)]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
    names = set(names_in(files.passwords.read_text()))
    assert names == {"affect-edge", "laptop", *(f"guest-{n}" for n in range(4))}


@pytest.mark.parametrize(
    ("script", "outcome"),
    [("exit 3", False), ("exit 0", True), ('[ "$1" = is-active ]', "did not read its files")],
)
def test_the_broker_is_reloaded_by_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, outcome: bool | str
) -> None:
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if isinstance(outcome, bool):
        assert reload_broker() is outcome
    else:
        with pytest.raises(BrokerAccountError, match=outcome):
            reload_broker()
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerAccountError, match="systemctl could not be run"):
        reload_broker()

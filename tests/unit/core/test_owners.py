"""Root with the rights of another user, and the programs that it starts meanwhile."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agent.appliance import models, update
from edge_agent.appliance.models import ModelPlace, install_model
from edge_agent.core.errors import ModelError, StoreError
from edge_agent.core.helper.process import end_apart, start_apart
from edge_agent.core.owners import (
    Owner,
    as_owner_of,
    asked_as,
    open_folder_given,
    owner_of,
    read_given,
)
from edge_agent.core.process import run_to_end
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.vision.faces.finder import YuNet
from edge_agent.vision.models.card import ModelKind, read_card
from edge_agent.vision.models.model import load_model
from tests.support.vision.tiny_model import expression_card, tiny_tflite, write_model

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root takes another user's rights")
AGENT = 61001
_ASK = (
    "sed -n 's/^Uid://p; s/^Gid://p; s/^CapPrm://p' /proc/self/status; cut -d' ' -f6 /proc/$$/stat"
)


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A folder of another user."""
    with TemporaryDirectory(dir="/var/tmp") as name:
        os.chown(name, AGENT, AGENT)
        yield Path(name)


def _is_open_to_others(path: Path) -> bool:
    return all(one.stat().st_mode & 0o001 for one in path.parents)


def test_child_of_root_as_another_user_never_gets_root_back(theirs: Path) -> None:
    with as_owner_of(theirs):
        told = run_to_end("sh", "-c", f"id -u; {_ASK}; echo $$").stdout.split()
    asked = [str(AGENT)] * 9
    assert told[:9] == asked and int(told[9], 16) == 0
    assert told[10] == told[11], "it has a session of its own"
    assert os.getresuid() == (0, 0, 0)


def test_process_apart_of_root_as_another_user_is_that_users_for_good(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = theirs / "program"  # Python may be installed for root alone
    program.write_text("#!/bin/sh\nexec cat /proc/self/status\n")
    program.chmod(0o755)
    monkeypatch.setattr("edge_agent.core.helper.process.sys.executable", str(program))
    with as_owner_of(theirs):
        process = start_apart("edge_agent.camera.decoder_worker")
    assert process.stdout is not None
    told = process.stdout.read().decode().splitlines()
    end_apart(process)
    assert f"Uid:\t{AGENT}\t{AGENT}\t{AGENT}\t{AGENT}" in told
    assert "CapPrm:\t0000000000000000" in told


def test_folder_to_write_into_behind_a_link_of_another_user_is_refused(theirs: Path) -> None:
    (theirs / "own").mkdir()  # of root, in their folder
    os.close(open_folder_given(theirs / "own"))
    (theirs / "exports").symlink_to(theirs / "own")
    os.chown(theirs / "exports", AGENT, AGENT, follow_symlinks=False)
    for path in (theirs / "exports", theirs / "exports/.."):
        with pytest.raises(OSError, match=rf"'{path}'"):
            open_folder_given(path)


def test_model_card_of_another_user_that_is_a_trap_is_refused(theirs: Path) -> None:
    secret = theirs / "secret"
    secret.write_text("of root")
    secret.chmod(0o600)
    (theirs / "link.json").symlink_to(secret)
    os.link(secret, theirs / "second.json")
    os.mkfifo(theirs / "pipe.json", 0o666)
    with (theirs / "huge.json").open("wb") as file:
        file.truncate(30_000_000_000)
    for one in ("link.json", "pipe.json", "huge.json"):
        os.chown(theirs / one, AGENT, AGENT, follow_symlinks=False)
    for one in ("link", "second", "pipe", "huge"):
        with pytest.raises(ModelError, match="cannot be read"):
            read_card(theirs / f"{one}.json")
    with pytest.raises(OSError, match="larger than 10 bytes"):
        read_given(theirs / "huge.json", 10)


def test_answer_that_root_asks_of_a_process_of_another_user(theirs: Path) -> None:
    owner = owner_of(theirs)
    assert owner == Owner(AGENT, AGENT)
    told = asked_as(owner, lambda: {"users": os.getresuid(), "session": os.getsid(0)})
    assert told["users"] == [AGENT] * 3 and told["session"] != os.getsid(0)
    (theirs / "open").touch()
    with (theirs / "open").open() as file, as_owner_of(theirs):
        there = file.fileno()
        told = asked_as(owner, lambda: {"open": Path(f"/proc/self/fd/{there}").exists()})
        assert told == {"open": False}
        told = asked_as(owner, lambda: {"users": os.getresuid(), "in": os.readlink("/dev/fd/0")})  # noqa: PTH115 - as text
        assert told == {"users": [AGENT] * 3, "in": os.devnull}
    ended = {"not_measured": "no answer as user 61001 within 600 s"}
    assert asked_as(owner, lambda: {"one": os.abort()}) == ended
    assert (
        "within 0 s" in asked_as(owner, lambda: {"one": signal.sigwait([])}, 0.01)["not_measured"]
    )
    assert asked_as(None, lambda: {"users": os.getresuid()}) == {"users": (0, 0, 0)}
    assert os.getresuid() == (0, 0, 0)


def test_program_started_by_who_was_root_has_no_terminal_of_roots(theirs: Path) -> None:
    def asked() -> dict[str, Any]:
        told = run_to_end("sh", "-c", _ASK + "; echo $$").stdout.split()
        return {"users": told[:4], "alone": told[-2] == told[-1]}

    # As a command does that becomes the owner of the data folder for good.
    owner = owner_of(theirs)
    assert asked_as(owner, asked) == {"users": [str(AGENT)] * 4, "alone": True}


def test_network_of_another_user_is_never_run_by_root(theirs: Path) -> None:
    content = tiny_tflite()
    card = write_model(theirs, content, expression_card(content))
    for one in theirs.iterdir():
        os.chown(one, AGENT, AGENT)
    refused = pytest.raises(ModelError, match="root runs no network of another user.*sudo -u")
    with refused:
        load_model(card, kind="expression")
    with refused, as_owner_of(theirs):
        load_model(card, kind="expression")
    with refused:
        YuNet(theirs / "yunet.onnx")
    kind: ModelKind = "expression"
    for where in (theirs, Path("/")):
        with as_owner_of(where):
            told = asked_as(owner_of(card), lambda: {"ran": load_model(card, kind=kind).card.name})
            assert told == {"ran": read_card(card).name}


def test_model_of_another_user_is_installed_without_root_running_it(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not _is_open_to_others(Path(models.__file__)):
        pytest.skip("the shipped models lie in a folder that is closed to other users")
    content = tiny_tflite()
    source = write_model(theirs, content, expression_card(content))
    cv2.setNumThreads(2)
    cv2.resize(np.zeros((2000, 2000), np.uint8), (1000, 1000))  # its threads run now
    data, config = theirs / "data", theirs / "affect-edge.toml"
    data.mkdir()
    config.write_text("")
    for one in theirs.iterdir():
        os.chown(one, AGENT, AGENT)
    monkeypatch.setattr(models, "try_apart", lambda card: None)  # Python may be root's alone
    change = install_model(ModelPlace(config, data), [str(source)])
    assert change.path.stat().st_uid == AGENT
    assert install_model(ModelPlace(config, data), [str(source)]).copy is None


def test_copy_before_an_update_that_is_ended_from_outside_is_an_error(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(theirs / DATABASE_NAME)
    for one in theirs.iterdir():
        os.chown(one, AGENT, AGENT)
    place = update.Installation(theirs / "opt", theirs, theirs / "affect-edge.toml")
    copies = theirs / f"{DATABASE_NAME}.before-update-of-1"
    update._copy_database(place, "1")
    assert copies.stat().st_uid == AGENT
    # As the kernel does to who reads an index that was cut off.
    ended = functools.partial(signal.raise_signal, signal.SIGBUS)
    monkeypatch.setattr(update, "copy_database", lambda *words: ended())
    with pytest.raises(StoreError, match="the process that did it was ended.*Nothing was updated"):
        update._copy_database(place, "1")

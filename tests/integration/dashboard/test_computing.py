"""Statistics are computed in processes of their own: they come, they answer, they go."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dashboard.computing.processes import (
    ComputationEndedError,
    ComputationFailedError,
    Computing,
    asker,
)
from dashboard.languages.current import language, speaking
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import Message, text_of

ROOT = Path(__file__).parents[3]
SOON_S = 30.0


@pytest.fixture(autouse=True)
def tasks_of_this_file_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes look for packages nowhere in the current folder."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def computing() -> Iterator[Computing]:
    made = Computing()
    yield made
    made.close()


def where() -> tuple[int, str, int, list[str]]:
    """Return by whom a task is computed, in which language, how willing it is to wait, and with
    what loaded.
    """
    heavy = [str(name) for name in ("fastapi", "uvicorn") if name in sys.modules]
    return os.getpid(), language(), os.nice(0), heavy


def refuse(value: int) -> None:
    raise StatisticsError(Message("There is no session {value}.", value=value))


def stumble() -> None:
    raise ZeroDivisionError("by nothing")


def wait_for(path: Path) -> int:
    """Say by a file that the task has begun, and wait until another one is there."""
    path.with_suffix(".begun").touch()
    until(path.exists)
    return os.getpid()


def end_of(computing: Computing, folder: Path, end: Callable[[], None]) -> str:
    """Return what is told of a task during which something ends its process."""
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(computing.call, wait_for, folder / "never")
        until((folder / "never.begun").exists)
        end()
        with pytest.raises(ComputationEndedError) as caught:
            answer.result(SOON_S)
    return str(caught.value)


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON_S
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_task_is_computed_elsewhere_in_the_language_of_who_asks(computing: Computing) -> None:
    with speaking("de"):
        pid, spoken, nice, heavy = computing.call(where)
    assert (spoken, heavy) == ("de", [])
    assert nice > os.nice(0)
    assert [pid] == computing.pids
    assert computing.call(where)[:2] == (pid, "en")  # the same process, another language


def test_error_of_a_task_is_raised_with_its_own_words(computing: Computing) -> None:
    with pytest.raises(StatisticsError) as caught:
        computing.call(refuse, 12)
    text = text_of(caught.value)
    assert isinstance(text, Message)
    assert text.values == {"value": 12}
    assert computing.pids  # which harms nobody


def test_a_fault_is_reported_as_one_and_the_process_goes_on(computing: Computing) -> None:
    with pytest.raises(ComputationFailedError, match="stumble: ZeroDivisionError: by nothing"):
        computing.call(stumble)
    assert computing.call(where)[0] in computing.pids


def test_a_process_that_is_killed_over_a_task_is_reported(
    computing: Computing, tmp_path: Path
) -> None:
    text = end_of(computing, tmp_path, lambda: os.kill(computing.pids[0], signal.SIGKILL))
    assert "Choose fewer sessions" in text
    assert computing.call(where)[0] > 0


def test_waiting_request_is_answered_when_the_dashboard_stops(tmp_path: Path) -> None:
    computing = Computing()
    assert "The dashboard is stopping" in end_of(computing, tmp_path, computing.close)
    assert not computing.pids
    with pytest.raises(ComputationEndedError, match="The dashboard is stopping"):
        computing.call(where)


def test_account_that_computes_without_end_leaves_a_process_to_others(
    computing: Computing, tmp_path: Path
) -> None:
    def ask_as(name: str, file: str) -> int:
        asker.set(f"account {name}")
        return computing.call(wait_for, tmp_path / file)

    with ThreadPoolExecutor(4) as others:
        eves = [others.submit(ask_as, "eve", f"eve {number}") for number in range(3)]
        until(lambda: len(list(tmp_path.glob("*.begun"))) == 1)
        (tmp_path / "ada").touch()
        assert others.submit(ask_as, "ada", "ada").result(SOON_S) in computing.pids
        for number in range(3):
            (tmp_path / f"eve {number}").touch()
        assert len([eve.result(SOON_S) for eve in eves]) == 3

"""A process that is asked: how it answers, ends, and is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core.helper.pool import HelperPool
from edge_agent.core.helper.process import (
    HelperClosedError,
    HelperEndedError,
    HelperLateError,
    HelperProcess,
)
from tests.support.broker import wait_until

ROOT = Path(__file__).parents[4]
SOON_S = 60.0
NEVER_S = 3600.0
LONG = b"length " + bytes(1_000_000)
"""Longer than what a pipe holds."""


@pytest.fixture(autouse=True)
def _helpers_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """They look for modules nowhere in the current folder."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def helper() -> Iterator[HelperProcess]:
    with HelperProcess("tests.support.answering") as made:
        yield made


@pytest.fixture
def pool() -> Iterator[HelperPool]:
    with closing(HelperPool(started, 2, NEVER_S)) as made:
        yield made


def started() -> HelperProcess:
    return HelperProcess("tests.support.answering")


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Callable[..., Future[bytes]]]:
    """Ask in another thread what has no answer until a file is there; return when that began."""
    with ThreadPoolExecutor(4) as threads:

        def ask(ask: Callable[..., bytes], file: str = "answer", **how: object) -> Future[bytes]:
            path = tmp_path / file
            future = threads.submit(ask, f"wait {path}".encode(), **how)
            wait_until(path.with_suffix(".begun").exists, "the question to be taken", SOON_S)
            return future

        yield ask
        for begun in tmp_path.glob("*.begun"):
            begun.with_suffix("").touch()


def test_helper_asked_again_same_process_answers_each_question(helper: HelperProcess) -> None:
    assert helper.ask(b"pid") == str(helper.pid).encode()
    assert helper.ask(LONG) == b"1000000"
    assert len(helper.ask(b"fill 1000000")) == 1_000_000
    assert helper.ask(b"pid", timeout_s=SOON_S) == str(helper.pid).encode()


def test_helper_that_prints_answers_stay_whole_and_the_log_has_the_print(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with started() as loud, HelperProcess("tests.support.answering", is_quiet=True) as quiet:
        assert loud.ask(b"print words") == b"done"
        assert quiet.ask(b"print secrets") == b"done"
    logged = capfd.readouterr()
    assert logged.err == "words\nwordsWARNING a library: words\n"
    assert logged.out == ""


def test_helper_given_variables_gets_these_and_otherwise_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AFFECT_EDGE_MQTT__PASSWORD", "s3cret")
    with (
        started() as other,
        HelperProcess("tests.support.answering", environment=os.environ) as own,
    ):
        for helper, knows in ((other, False), (own, True)):
            helper.ask(b"pid")
            variables = Path(f"/proc/{helper.pid}/environ").read_bytes()
            assert (b"s3cret" in variables) is knows


def test_helper_with_limits_takes_no_more_memory_and_gives_way(helper: HelperProcess) -> None:
    assert helper.ask(b"allocate 1000000") == b"1000000"
    assert os.getpriority(os.PRIO_PROCESS, helper.pid) == os.nice(0) + 5
    with pytest.raises(HelperEndedError) as caught:
        helper.ask(b"allocate 400000000")
    assert caught.value.code == 1


@pytest.mark.parametrize(("question", "code"), [(b"exit 3", 3), (b"nonsense", 1)])
def test_helper_that_ends_over_a_question_its_exit_code_is_reported(
    helper: HelperProcess, question: bytes, code: int
) -> None:
    with pytest.raises(HelperEndedError) as caught:
        helper.ask(question)
    assert (type(caught.value), caught.value.code) == (HelperEndedError, code)
    with pytest.raises(HelperEndedError):
        helper.ask(b"pid")


@pytest.mark.parametrize("question", [b"stop", LONG], ids=["answering", "reading"])
def test_helper_without_an_answer_in_time_is_killed(helper: HelperProcess, question: bytes) -> None:
    helper.ask(b"pid")
    os.kill(helper.pid, signal.SIGSTOP)
    with pytest.raises(HelperLateError) as caught:
        helper.ask(question, timeout_s=0.05)
    assert caught.value.code == -signal.SIGKILL
    assert is_gone(helper.pid)


def test_helper_ended_by_another_thread_who_waits_is_told(
    helper: HelperProcess, asked: Callable[..., Future[bytes]]
) -> None:
    answer = asked(helper.ask)
    helper.end()
    with pytest.raises(HelperClosedError):
        answer.result(SOON_S)
    assert is_gone(helper.pid)


def test_helper_asked_by_one_who_must_stop_is_killed(
    helper: HelperProcess, asked: Callable[..., Future[bytes]]
) -> None:
    stopping = threading.Event()
    answer = asked(helper.ask, stopping=stopping)
    stopping.set()
    with pytest.raises(HelperClosedError):
        answer.result(SOON_S)
    assert is_gone(helper.pid)


def test_helper_with_a_longer_answer_than_is_taken_is_killed() -> None:
    with HelperProcess("tests.support.answering", most_bytes=1000) as helper:
        assert helper.ask(b"fill 1000") == bytes(1000)
        with pytest.raises(HelperEndedError):
            helper.ask(b"fill 1001")
        assert is_gone(helper.pid)


def test_helper_whose_asker_is_killed_ends() -> None:
    script = (
        "import os\n"
        "from edge_agent.core.helper.process import HelperProcess\n"
        "print(HelperProcess('tests.support.answering').ask(b'pid').decode(), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, stdout=subprocess.PIPE)
    pid = int(done.stdout)
    wait_until(lambda: is_gone(pid), "the helper to end", SOON_S)


def test_pool_with_all_busy_a_further_question_waits_for_one(
    pool: HelperPool, asked: Callable[..., Future[bytes]], tmp_path: Path
) -> None:
    assert pool.pids == [], "they start with the first question"
    first = asked(pool.ask, "first")
    assert int(pool.ask(b"pid", asker="another")) in pool.pids
    second = asked(pool.ask, "second", asker="another")
    with ThreadPoolExecutor(1) as other:
        third = other.submit(pool.ask, b"pid", asker="third")
        assert len(pool.pids) == 2
        (tmp_path / "second").touch()
        assert int(third.result(SOON_S)) in pool.pids
    assert not first.done()
    (tmp_path / "first").touch()
    assert (first.result(SOON_S), second.result(SOON_S)) == (b"done", b"done")


def test_pool_with_a_helper_killed_while_idle_starts_another(pool: HelperPool) -> None:
    first = int(pool.ask(b"pid"))
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not pool.pids, "the helper to end", SOON_S)
    assert is_gone(first), "nothing is left of it"
    assert int(pool.ask(b"pid")) != first


def test_pool_with_a_helper_that_ends_over_a_question_asks_nobody_again(
    pool: HelperPool, caplog: pytest.LogCaptureFixture
) -> None:
    first = int(pool.ask(b"pid"))
    with pytest.raises(HelperEndedError):
        pool.ask(b"exit 3")
    assert pool.pids == []
    assert caplog.messages == ["the process tests.support.answering ended (exit code 3)"]
    assert int(pool.ask(b"pid")) != first


def test_pool_whose_helper_cannot_start_tells_the_end(
    pool: HelperPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(HelperEndedError) as caught:
        pool.ask(b"pid")
    assert caught.value.code == 1


def test_pool_that_nobody_asks_its_helper_ends_and_comes_again() -> None:
    with closing(HelperPool(started, 1, 0.1)) as pool:
        first = int(pool.ask(b"pid"))
        wait_until(lambda: is_gone(first), "the idle helper to end", SOON_S)
        assert int(pool.ask(b"pid")) != first


def test_pool_closed_ends_idle_and_busy_helpers_and_answers_nobody(
    pool: HelperPool, asked: Callable[..., Future[bytes]]
) -> None:
    answer = asked(pool.ask)
    pool.ask(b"pid", asker="another")
    both = pool.pids
    pool.close()
    with pytest.raises(HelperClosedError):
        answer.result(SOON_S)
    assert [is_gone(pid) for pid in both] == [True, True]
    with pytest.raises(HelperClosedError):
        pool.ask(b"pid")


def test_helper_that_nobody_asks_is_idle_once_after_each_answer(tmp_path: Path) -> None:
    noted = tmp_path / "idle"
    noted.touch()
    with HelperProcess("tests.support.answering", str(noted)) as helper:
        helper.ask(b"pid")
        wait_until(lambda: noted.read_text() == "idle\n", "it is idle")
        helper.ask(b"pid")
        wait_until(lambda: noted.read_text() == "idle\nidle\n", "it is idle again")

"""Programs and devices set markers and run sessions: a stream of markers, a serial port."""

from __future__ import annotations

import io
import os
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from edge_agent.control.listening import MOST_PER_SECOND, MarkerStream, SerialCodes
from edge_agent.control.orders import OrderWorker
from edge_agent.core import clock
from edge_agent.core.study import NewSession, Purpose
from edge_agent.core.threads import Worker
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.sessions import Study
from tests.support.timeline import query, wait_for

pylsl: Any = pytest.importorskip("pylsl", reason="pylsl is not installed", exc_type=ImportError)
pytest.importorskip("serial", reason="pyserial is not installed")

CODES = {
    1: "stimulus_start/anger",
    2: "stimulus_end",
    9: "note/button",
    10: "session_start/P01/research/laboratory/films",
    11: "session_end",
}
WITHIN_MS = 5
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "affect-edge.db"
    migrate(path)
    study = Study(path)
    study.create_participant("P01")
    study.give_consent("P01", "1")
    return path


@contextmanager
def running(*workers: Worker) -> Iterator[None]:
    """The workers, until the block ends."""
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in reversed(workers):
            worker.stop()
        for worker in reversed(workers):
            assert worker.join(60)
            assert worker.error is None


@pytest.fixture
def orders(database: Path) -> OrderWorker:
    return OrderWorker(Study(database))


def markers(database: Path) -> list[tuple[str, str]]:
    return query(database, "SELECT kind, label FROM marker ORDER BY id")


def marker_count(database: Path, number: int) -> Callable[[], bool]:
    return lambda: len(markers(database)) >= number


def sessions(database: Path, number: int, which: str = "ended IS NOT NULL") -> Callable[[], bool]:
    question = f"SELECT count(*) FROM session WHERE {which}"
    return lambda: bool(query(database, question)[0][0] >= number)


def sender(name: str, source_id: str) -> Any:
    """An outlet of a program that runs an experiment."""
    info = pylsl.StreamInfo(name, "Markers", 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, source_id)
    return pylsl.StreamOutlet(info)


def listening(outlet: Any) -> None:
    """Return once somebody reads the stream."""
    wait_for(outlet.have_consumers)


def test_a_stream_of_markers_runs_a_session_with_its_own_times(
    database: Path, orders: OrderWorker, tmp_path: Path
) -> None:
    name = f"Experiment {tmp_path.stat().st_ino}"
    outlet = sender(name, f"psychopy-{name}")
    with running(orders, MarkerStream(name, orders, CODES)):
        listening(outlet)
        shift_s = pylsl.local_clock() - clock.boot_seconds()
        stamps = [pylsl.local_clock() - 3 + number / 2 for number in range(6)]
        texts = [
            "session_start/P01/research/laboratory/films",
            "stimulus_start/joy",
            "2",
            "99",
            "a cough",
            "session_end",
        ]
        for text, stamp in zip(texts, stamps, strict=True):
            outlet.push_sample([text], stamp)  # three seconds late, with their own times
        wait_for(sessions(database, 1))
    assert markers(database) == [
        ("stimulus_start", "joy"),
        ("stimulus_end", "joy"),
        ("note", "a cough"),
    ]
    times = [row[0] for row in query(database, "SELECT boot_ms FROM marker ORDER BY id")]
    expected = [1000 * (stamps[place] - shift_s) for place in (1, 2, 4)]
    assert times == pytest.approx(expected, abs=WITHIN_MS)
    clocks = query(database, "SELECT detail FROM audit WHERE action = 'sender_clock'")
    assert clocks[0][0].startswith(f"lsl:{name}: ")


def test_samples_of_several_channels_at_a_rate_are_read_as_in_a_file(
    database: Path, orders: OrderWorker, tmp_path: Path
) -> None:
    name = f"State {tmp_path.stat().st_ino}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 2, 50.0, pylsl.cf_string, name))
    with running(orders, MarkerStream(name, orders, CODES)):
        listening(outlet)
        outlet.push_sample(["session_start/P01/research", ""])
        for text in ("stimulus_start/joy", "stimulus_end"):
            for _ in range(20):
                outlet.push_sample([text, "block 1"])
        wait_for(marker_count(database, 4))
        outlet.push_sample(["session_end", ""])
        wait_for(sessions(database, 1))
    assert markers(database) == [
        ("stimulus_start", "joy"),
        ("note", "block 1"),
        ("stimulus_end", "joy"),
        ("note", "block 1"),
    ]


def send_until(outlet: Any, order: str, condition: Callable[[], bool]) -> None:
    """Send an order once a second until it has worked."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, f"{order!r} was not heard"
        outlet.push_sample([order])
        with suppress(AssertionError):
            wait_for(condition, 1)


@pytest.mark.parametrize("source_ids", [("a", "a"), ("", ""), ("run-1", "run-2")])
def test_stream_that_comes_again_is_heard_again_whatever_its_source_id(
    database: Path, orders: OrderWorker, tmp_path: Path, source_ids: tuple[str, str]
) -> None:
    name = f"Experiment {tmp_path.stat().st_ino}"
    stream = MarkerStream(name, orders, {})
    begun = stream.stream.since
    with running(orders, stream):
        for turn, source_id in enumerate(source_ids):
            wait_for(lambda: not stream.stream.connected)
            outlet = sender(name, source_id and f"{source_id}-{name}")
            listening(outlet)
            wait_for(lambda: stream.stream.connected)
            # what is sent while the stream is being found again may be lost: it is sent until heard
            order = f"session_start/P01/research//run {turn}"
            send_until(outlet, order, sessions(database, turn + 1, "true"))
            send_until(outlet, "session_end", sessions(database, turn + 1))
            del outlet
        wait_for(lambda: not stream.stream.connected)
    assert [row[0] for row in query(database, "SELECT name FROM session")] == ["run 0", "run 1"]
    assert stream.stream.since > begun, "the doctor tells since when no stream is there"


@pytest.fixture
def line(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A serial line: the device's end, and the port that the agent opens."""
    device, port = os.openpty()
    tty.setraw(port)
    link = tmp_path / "ttyTEST"
    link.symlink_to(os.ttyname(port))
    yield device, link
    for end in (device, port):
        with suppress(OSError):
            os.close(end)


def is_open(link: Path, caplog: pytest.LogCaptureFixture) -> None:
    wait_for(lambda: f"{link}: listening" in caplog.text)


@pytest.fixture
def port(
    orders: OrderWorker, line: tuple[int, Path], caplog: pytest.LogCaptureFixture
) -> Iterator[int]:
    """The device's end of a line to which the agent listens."""
    caplog.set_level("INFO")
    device, link = line
    with running(orders, SerialCodes(str(link), 115_200, orders, CODES)):
        is_open(link, caplog)
        yield device


@pytest.fixture
def in_session(database: Path, port: int) -> int:
    """The same, with a session that it began."""
    os.write(port, bytes([10]))
    wait_for(lambda: bool(query(database, "SELECT 1 FROM session")))
    return port


def test_bytes_of_a_serial_port_run_a_session(
    database: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    begun_ms = clock.now().boot_ms
    # garbage, and the zeros to which a line of codes returns
    os.write(port, bytes([10, 0, 77, 255, 0, 1, 0]))
    wait_for(marker_count(database, 1))
    seen_ms = clock.now().boot_ms
    os.write(port, bytes([2, 0, 11]))
    wait_for(sessions(database, 1))
    assert markers(database) == [("stimulus_start", "anger"), ("stimulus_end", "anger")]
    at_ms = query(database, "SELECT boot_ms FROM marker ORDER BY id")[0][0]
    assert begun_ms <= at_ms <= seen_ms
    assert "the byte 77 is not in [control.codes]" in caplog.text


class EndOfPress(Exception):  # noqa: N818 - ends the program's endless loop, and is no error
    """The time in which the button was pressed has passed."""


def bytes_of_button(presses_ms: list[tuple[int, int]], until_ms: int) -> bytes:
    """Run the documented program of the button; return what it sends.

    Args:
        presses_ms: when the button goes down and up; the contact bounces for 6 ms.
        until_ms: when the program is ended.
    """
    now_ms = 0
    sent = io.BytesIO()

    def value() -> int:
        edges = [edge for press in presses_ms for edge in press]
        bounces = any(edge <= now_ms < edge + 6 for edge in edges) and now_ms % 2 == 1
        is_down = any(down <= now_ms < up for down, up in presses_ms)
        return int(is_down is bounces)

    def sleep_ms(ms: int) -> None:
        nonlocal now_ms
        now_ms += ms
        if now_ms >= until_ms:
            raise EndOfPress

    modules = {
        "machine": SimpleNamespace(Pin=lambda *_: SimpleNamespace(value=value)),
        "time": SimpleNamespace(sleep_ms=sleep_ms),
        "sys": SimpleNamespace(stdout=SimpleNamespace(buffer=sent)),
    }
    modules["machine"].Pin.IN = modules["machine"].Pin.PULL_UP = 0
    program = (ROOT / "docs/button.py").read_text(encoding="utf-8")
    with patch.dict("sys.modules", modules), suppress(EndOfPress):
        exec(compile(program, "button.py", "exec"), {})
    return sent.getvalue()


def test_bytes_of_the_documented_button_declare_whose_face_it_is(
    database: Path, orders: OrderWorker, line: tuple[int, Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    device, link = line
    codes = {1: "declared"}
    assert '[control.codes]\n      1 = "declared"' in (ROOT / "docs/control.md").read_text("utf-8")
    Study(database).start_session(NewSession("P01", Purpose.RESEARCH))
    sent = bytes_of_button([(101, 301), (1000, 1120)], 1500)
    assert sent == b"\x01\x01"

    with running(orders, SerialCodes(str(link), 115_200, orders, codes)):
        is_open(link, caplog)
        os.write(device, sent)
        wait_for(marker_count(database, 2))

    assert markers(database) == [("declared", "participant")] * 2


def test_a_flood_is_cut_off_and_said(
    database: Path, in_session: int, caplog: pytest.LogCaptureFixture
) -> None:
    os.write(in_session, bytes([9] * 3000))
    wait_for(marker_count(database, MOST_PER_SECOND - 1))
    wait_for(lambda: "more than 100 codes in a second" in caplog.text)
    assert MOST_PER_SECOND - 1 <= len(markers(database)) <= 3 * MOST_PER_SECOND


def test_a_port_that_is_unplugged_is_opened_again(
    database: Path, in_session: int, line: tuple[int, Path], caplog: pytest.LogCaptureFixture
) -> None:
    os.close(in_session)
    line[1].unlink()
    wait_for(lambda: "It is opened again when it is there" in caplog.text)
    caplog.clear()
    other, port = os.openpty()
    tty.setraw(port)
    line[1].symlink_to(os.ttyname(port))
    is_open(line[1], caplog)
    os.write(other, bytes([9]))
    wait_for(marker_count(database, 1))
    os.close(other)
    os.close(port)
    assert markers(database) == [("note", "button")]


def test_orders_wait_while_the_database_is_busy_and_keep_their_times(
    database: Path, in_session: int, caplog: pytest.LogCaptureFixture
) -> None:
    with write_transaction(database):
        begun_ms = clock.now().boot_ms
        os.write(in_session, bytes([9, 9]))
        wait_for(lambda: "an order of serial:" in caplog.text)
        free_ms = clock.now().boot_ms
    wait_for(marker_count(database, 2))
    times = [row[0] for row in query(database, "SELECT boot_ms FROM marker")]
    assert all(begun_ms <= at_ms <= free_ms for at_ms in times)

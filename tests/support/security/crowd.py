"""Many who ask one dashboard at the same time, from addresses of their own."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tests.support.dashboard import NAME, PASSWORD

PATIENCE_S = 60.0
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and after how many seconds.

    Attributes:
        status: HTTP status; 0: none, the connection ended.
        retry_after: what the answer said about coming again, in seconds.
        seconds: from the first byte sent to the last one read.
    """

    status: int
    retry_after: int
    seconds: float


def addresses(number: int) -> list[str]:
    """Return addresses of this machine that a server on 127.0.0.1 sees as so many machines."""
    return [f"127.0.7.{last}" for last in range(1, number + 1)]


def post_login(port: int, source: str, name: str = NAME, password: str = PASSWORD) -> Answer:
    """Try to log in once, from an address."""
    return post(port, "/login", {"name": name, "password": password}, source)


def post(port: int, path: str, form: dict[str, str], source: str) -> Answer:
    """Send a form from an address, and read the answer to its end."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=PATIENCE_S, source_address=(source, 0)
    )
    try:
        connection.request("POST", path, urlencode(form), _FORM)
        answer = connection.getresponse()
        answer.read()
        retry = int(answer.headers.get("Retry-After", "0"))
        return Answer(answer.status, retry, time.monotonic() - begun)
    except OSError:
        return Answer(0, 0, time.monotonic() - begun)
    finally:
        connection.close()


def all_at_once(port: int, sources: Sequence[str], path: str, form: dict[str, str]) -> list[Answer]:
    """Send a form from each of these addresses at the same instant."""
    start = threading.Barrier(len(sources))

    def one(source: str) -> Answer:
        start.wait()
        return post(port, path, form, source)

    with ThreadPoolExecutor(len(sources)) as crowd:
        return list(crowd.map(one, sources))


def log_in_obeying(port: int, source: str, within_s: float) -> float:
    """Log in as a person does who comes again when told to; return after how many seconds.

    Fails when it took longer than ``within_s``.
    """
    begun = time.monotonic()
    while True:
        answer = post_login(port, source)
        taken = time.monotonic() - begun
        if answer.status == 303:
            return taken
        assert answer.status == 503 and answer.retry_after > 0, answer
        assert taken + answer.retry_after < within_s, f"not logged in after {taken:.1f} s"
        time.sleep(answer.retry_after)


def peak_mib(pid: int) -> float:
    """Return the most memory that a process had since ``forget_peak``, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} has ended")


def forget_peak(pid: int) -> None:
    """Let the peak of a process's memory begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")

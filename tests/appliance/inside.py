"""Runs commands inside of an emulated machine for `EmulatedMachine`, over a port of virtio.

A request is a line of JSON: ``{"words": [...], "answers": [[prompt, typed], ...], "within_s": 9}``.
The reply is one, too: ``{"code": 0, "output": "..."}``. With answers the command gets a terminal,
and each of them is typed once its prompt is there. It needs nothing but Python, and stands alone.
"""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

PORT = Path("/dev/virtio-ports/test.shell")
TOO_LONG = 124
KILLED_AFTER_S = 5.0


def main() -> None:
    """Answer requests until the other side hangs up."""
    with PORT.open("r+b", buffering=0) as port:
        for line in iter(port.readline, b""):
            request = json.loads(line)
            code, output = run(request["words"], request["answers"], request["within_s"])
            reply = json.dumps({"code": code, "output": output}).encode() + b"\n"
            while reply:
                reply = reply[port.write(reply) :]


def run(words: list[str], answers: list[list[str]], within_s: float) -> tuple[int, str]:
    """Run a command; return its exit status, 124 if it took too long, and what it said."""
    if answers:
        return _at_a_terminal(words, answers, within_s)
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired as ended:
        return TOO_LONG, _text(ended.stdout or b"")
    return done.returncode, _text(done.stdout)


def _at_a_terminal(words: list[str], answers: list[list[str]], within_s: float) -> tuple[int, str]:
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(words[0], words)
    said = b""
    seen = 0
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the command has ended
            piece = b""
        if not piece:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), _text(said)
        said += piece
        if answers and answers[0][0].encode() in said[seen:]:
            seen = len(said)
            time.sleep(0.5)  # a prompt is written before the echo is turned off
            os.write(terminal, answers.pop(0)[1].encode() + b"\n")
    os.kill(child, signal.SIGTERM)
    time.sleep(KILLED_AFTER_S)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return TOO_LONG, _text(said)


def _text(said: Any) -> str:
    return bytes(said).decode(errors="replace")


if __name__ == "__main__":
    main()

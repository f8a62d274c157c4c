"""Sending messages through a process of its own, within a deadline."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

from edge_agent.alerts.addresses import Target
from edge_agent.core import clock
from edge_agent.core.texts.kept import packed

ENGLISH = "en"
_SENDS = "edge_agent.alerts.outgoing"
_SENDS_IN_A_LANGUAGE = "dashboard.commands.send_alerts"
"""The catalogue of texts is the dashboard's; the agent only starts what knows it."""

START_S = 30.0
"""Longest time for the process to start, on a slow machine."""
EACH_S = 15.0
"""Longest time for each message."""
_LOOK_S = 0.5
_LONGEST = 300
_LATE = "no answer in time"


@dataclass(frozen=True, slots=True)
class Post:
    """A message that is ready to be sent.

    Attributes:
        target: where it goes.
        title: its heading.
        body: its text.
        kind: ``warning``, ``success`` or ``info``.
    """

    target: Target
    title: str
    body: str
    kind: str = "info"


def post(
    posts: Sequence[Post], stopping: Event | None = None, language: str = ENGLISH
) -> list[str]:
    """Send messages; return why each did not arrive, empty where it did.

    Args:
        posts: the messages.
        stopping: ends the attempt when it is set.
        language: in which each title and body is said that is a ``Message``.
    """
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", *_program(language)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError as error:
        return [f"the process that sends did not start ({error.strerror})"] * len(posts)
    lines = _talk(process, posts, stopping).splitlines()
    errors = [_error_in(line) for line in lines] + [_LATE] * (len(posts) - len(lines))
    return [
        one.target.without_secrets(error)[:_LONGEST]
        for one, error in zip(posts, errors, strict=False)
    ]


def _program(language: str) -> list[str]:
    if language == ENGLISH:
        return [_SENDS]
    return [_SENDS_IN_A_LANGUAGE, language]


def _talk(process: subprocess.Popen[str], posts: Sequence[Post], stopping: Event | None) -> str:
    """Give the process its messages; return what it has answered when it ends or must end."""
    given: str | None = "".join(f"{_line_of(one)}\n" for one in posts)
    end_s = clock.boot_seconds() + START_S + EACH_S * len(posts)
    with process:
        while clock.boot_seconds() < end_s and not (stopping is not None and stopping.is_set()):
            try:
                return process.communicate(given, timeout=_LOOK_S)[0]
            except subprocess.TimeoutExpired:
                given = None
        process.kill()
        return process.communicate()[0]


def _line_of(one: Post) -> str:
    return json.dumps(
        {
            "address": one.target.address,
            "title": one.title,
            "body": one.body,
            "kind": one.kind,
            "title_parts": packed(one.title),
            "body_parts": packed(one.body),
        }
    )


def _error_in(line: str) -> str:
    try:
        return str(json.loads(line)["error"])
    except (ValueError, KeyError):
        return _LATE

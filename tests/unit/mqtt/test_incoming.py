"""Commands over MQTT: what is obeyed, and what is answered instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent.config.loading import load_settings
from edge_agent.core.clock import Instant, now
from edge_agent.core.errors import ConfigError, StudyError
from edge_agent.core.study import MarkerKind, NewSession, Purpose, SessionSetting
from edge_agent.mqtt.incoming import COMMAND_BYTES, IncomingCommands


class Done:
    """Notes what it was told to do."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.times: list[Instant | None] = []
        self.clocks: list[str] = []
        self.commands = IncomingCommands(
            self.start,
            self.end,
            self.mark,
            lambda on: self.calls.append(("turn", on)),
            lambda sender, _offset: self.clocks.append(sender),
        )

    def start(self, new: NewSession) -> None:
        self.calls.append(("start", new))

    def end(self) -> None:
        raise StudyError("No session is open, so none was ended.")

    def mark(self, kind: MarkerKind, label: str, at: Instant | None) -> None:
        self.calls.append(("mark", kind, label))
        self.times.append(at)


def test_sessions_and_markers_are_commanded() -> None:
    done = Done()
    start = {
        "action": "start",
        "participant": "P-1",
        "purpose": "research",
        "setting": "home",
        "name": "films",
    }
    assert done.commands.session(json.dumps(start).encode(), False) is None
    assert done.commands.marker(b'{"kind": "stimulus_start", "label": "anger"}', False) is None
    assert done.commands.marker(b'{"kind": "stimulus_end"}', False) is None
    assert done.calls == [
        ("start", NewSession("P-1", Purpose.RESEARCH, "films", SessionSetting.HOME)),
        ("mark", MarkerKind.STIMULUS_START, "anger"),
        ("mark", MarkerKind.STIMULUS_END, ""),
    ]


def test_the_camera_is_turned_off_and_on() -> None:
    done = Done()
    assert done.commands.capture(b'{"action": "off"}', False) is None
    assert done.commands.capture(b'{"action": "on"}', False) is None
    assert done.calls == [("turn", False), ("turn", True)]
    for payload in (b"", b"ON", b'{"action": "maybe"}', b'{"action": "on", "for": 3}'):
        refused = done.commands.capture(payload, False)
        assert refused is not None
        assert refused.topic == "command/capture"
    kept = done.commands.capture(b'{"action": "on"}', True)
    assert kept is not None
    assert "retained command is refused" in kept.reason
    assert len(done.calls) == 2


def test_markers_are_as_far_apart_as_the_senders_clock_says() -> None:
    done = Done()
    first = now()
    for number in range(6):
        marker = {"kind": "note", "label": "x", "sent_ms": 7_000 + number, "sender": "lab"}
        assert done.commands.marker(json.dumps(marker).encode(), False) is None
    times = [at.boot_ms for at in done.times if at is not None]
    assert times[0] >= first.boot_ms
    assert times == sorted(times)
    assert times[-1] <= now().boot_ms
    assert done.clocks == ["mqtt:lab"]
    endless = b'{"kind": "note", "label": "x", "sent_ms": 1e999}'
    assert done.commands.marker(endless, False) is not None


@pytest.mark.parametrize(
    ("payload", "retained", "reason"),
    [
        (b"", False, "The command is empty. Send it as JSON."),
        (b'{"action": "end"}', False, "No session is open"),
        (b'{"action": "end"}', True, "without retain"),
        (b'{"action": "start"}', False, "needs participant and purpose"),
        (
            b'{"action": "start", "participant": "P", "purpose": "fun"}',
            False,
            "purpose: Input should be",
        ),
        (b'{"action": "stop"}', False, "action: Input should be 'start' or 'end'"),
        (b'{"action": "end", "now": 1}', False, "now: Extra inputs are not permitted"),
        (b"[]", False, 'Send an object such as {"action": "start"'),
        (b"\xff", False, "Invalid JSON"),
        (b" " * (COMMAND_BYTES + 1), False, "4096 are allowed"),
    ],
)
def test_command_that_is_refused_is_answered_with_the_reason(
    payload: bytes, retained: bool, reason: str
) -> None:
    done = Done()
    answer = done.commands.session(payload, retained)
    assert answer is not None
    assert reason in answer.reason
    assert (answer.topic, len(answer.digest), done.calls) == ("command/session", 16, [])


def test_commands_need_a_broker_that_knows_its_users(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[mqtt]\ncommands = true\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mqtt\.commands.*set mqtt\.username"):
        load_settings(path)
    path.write_text('[mqtt]\ncommands = true\nusername = "a"\npassword = "b"\n', encoding="utf-8")
    assert load_settings(path).mqtt.commands

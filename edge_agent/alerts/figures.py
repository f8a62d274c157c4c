"""Figures of the agent and the machine, which of them are alerts, and the sentence with the cure.

Programs know these by the name ``alarms``. Power and heat of a Raspberry Pi are as its firmware
says (``vcgencmd get_throttled``).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.core.bounds import printable
from edge_agent.core.clock import boot_seconds, iso_utc
from edge_agent.core.owners import rights_of_children
from edge_agent.core.study import MarkerStreamState
from edge_agent.core.texts import N_, Message, as_message, join_sentences, utc_text
from edge_agent.core.threads import STEADY_S, Death
from edge_agent.core.vitals import SensorState
from edge_agent.timeline.upkeep.budget import Space
from edge_agent.timeline.upkeep.copies import CopiesState
from edge_agent.timeline.write.changes import ReplicationStanding
from edge_agent.timeline.write.outbox import Hole

THROTTLING_SECONDS = 30.0
"""Pause between two questions: each starts a process."""
THROTTLING_GIVE_UP_SECONDS = 5.0
"""A question without an answer for this long is ended: the firmware can hang."""
_ERROR_LENGTH = 200
_WELL = frozenset({"connected", "disabled", "stopped"})


def _fleet_alerts(fleet: ReplicationStanding | None, broken_s: float) -> dict[str, str]:
    """Return the alerts of the stream: name → sentence that says what to do.

    Args:
        fleet: how it stands; ``None``: nothing is sent to a collector.
        broken_s: what is wrong for no longer than this is no alarm yet.
    """
    texts: dict[str, str] = {}
    if fleet is None:
        return texts
    if fleet.error is not None and fleet.error_s > broken_s:
        texts["fleet"] = Message(
            N_("{changes} changes of the timeline wait for the collector: {error}"),
            changes=fleet.waiting,
            error=fleet.error,
        )
    if fleet.given_up:
        texts["fleet_backlog_full"] = Message(
            N_(
                "{changes} changes will not reach the collector: it was away until the list of "
                "changes was full. They stay in the timeline on this device. Raise "
                "fleet.backlog_mb, and check that a collector is running."
            ),
            changes=fleet.given_up,
        )
    return texts


@dataclass(frozen=True, slots=True)
class FirmwareThrottling:
    """Power and heat of a Raspberry Pi, now and since its start, as its firmware reports them."""

    under_voltage: bool
    frequency_capped: bool
    throttled: bool
    soft_temperature_limit: bool
    under_voltage_since_start: bool
    throttled_since_start: bool


def parse_throttled(text: str) -> FirmwareThrottling | None:
    """Read a line such as ``throttled=0x50005``; ``None`` when it is something else.

    Bits as documented by Raspberry Pi for ``vcgencmd get_throttled``: 0 under-voltage, 1 frequency
    capped, 2 throttled, 3 soft temperature limit; 16 and 18 say that bits 0 and 2 were set since
    the start.
    """
    name, _, value = text.strip().partition("=")
    try:
        bits = int(value, 16)
    except ValueError:
        return None
    if name != "throttled":
        return None
    return FirmwareThrottling(*(bool(bits >> bit & 1) for bit in (0, 1, 2, 3, 16, 18)))


class ThrottlingProbe:
    """Asks the firmware every half minute and never waits for it.

    ``latest`` returns the answer to an earlier question.

    Args:
        program: the command to ask with; ``None``: ``vcgencmd``, where it is installed.
        clock: counts the seconds between two questions.

    Example:
        >>> probe = ThrottlingProbe()
        >>> probe.latest() is None  # nothing was answered yet
        True
        >>> probe.close()
    """

    def __init__(
        self, program: Path | None = None, clock: Callable[[], float] = boot_seconds
    ) -> None:
        command = str(program) if program else shutil.which("vcgencmd")
        self._command = [command, "get_throttled"] if command else None
        self._clock = clock
        self._running: subprocess.Popen[str] | None = None
        self._asked_s: float | None = None
        self._latest: FirmwareThrottling | None = None

    def latest(self) -> FirmwareThrottling | None:
        """Return the newest answer, and ask again when it is half a minute old."""
        now_s = self._clock()
        if self._running is not None:
            self._collect(now_s)
        elif self._asked_s is None or now_s - self._asked_s >= THROTTLING_SECONDS:
            self._ask(now_s)
        return self._latest

    def close(self) -> None:
        """End a question that was not answered."""
        if self._running is not None:
            self._running.kill()
            self._running.communicate()
            self._running = None

    def _ask(self, now_s: float) -> None:
        if self._command is None:
            return
        self._asked_s = now_s
        try:
            self._running = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                **rights_of_children(),
            )
        except OSError:
            self._command = None  # there, but not for us: not asked again

    def _collect(self, now_s: float) -> None:
        assert self._running is not None
        assert self._asked_s is not None
        if self._running.poll() is not None:
            self._latest = parse_throttled(self._running.communicate()[0])
            self._running = None
        elif now_s - self._asked_s > THROTTLING_GIVE_UP_SECONDS:
            self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFigures:
    """The counters of the agent's threads at one moment.

    Attributes:
        fps: frames taken per second; ``None``: the camera is not meant to run.
        frame_age_s: age of the newest frame; ``None``: none is expected, or none came yet.
        frames_dropped: frames skipped because a newer one was there.
        fps_limit: most frames read per second, to keep to the budget; ``None``: all are read.
        limited_by: ``budget`` or ``heat``, with ``fps_limit``.
        readings_per_second: frames per second in which faces were read; they need it no more often.
        effort: how carefully they are read: ``every_frame``, ``by_need`` or ``sparing``.
        camera_error: why the camera gives no frames, and what to do.
        queue_depth: items that wait to be written.
        waiting_s: how long the oldest of them has waited.
        rows_dropped: rows lost because they could not be written.
        commit_age_s: since the last commit; ``None``: none yet.
        store_error: why the last commit failed.
        unstored_since_ms: when the oldest row came that is not stored for that reason, UTC.
        read_error: why the database could not be read the last time.
        rows_set_aside: rows since the start that the database refused; they are kept.
        damage: what is damaged in the database, until it is dealt with.
        salvage: what became of a database that was damaged, deleted or moved.
        space: how the database stands with its budget; ``None`` before the first look.
        copies: how the copies of the database stand.
        erasure_left: what erasures could not do yet; empty: nothing.
        clock_doubt: why no row is deleted by the clock, and what to do; ``None``: it is believed.
        mqtt_state: of the connection to the broker; ``disabled`` without one.
        mqtt_error: what is wrong with it and what to do.
        mqtt_state_s: how long the state has lasted.
        outbox: messages that the broker has not acknowledged.
        set_aside: messages that could not be sent and are kept aside, by reason.
        left_out: topics whose messages are too large for the broker: suffix → bytes.
        holes: the newest holes in the numbers of messages.
        duplicates: readings that were stored already.
        readings_taken, readings_refused: readings received over MQTT.
        sensors: state of the Bluetooth sensors.
        deaths: the last unexpected end of each worker that begins again, by its name.
        markers: the stream of markers; ``None``: none is configured.
        fleet: the stream to the collector; ``None``: nothing is sent to one.
    """

    fps: float | None = None
    frame_age_s: float | None = None
    frames_dropped: int = 0
    fps_limit: float | None = None
    limited_by: str | None = None
    readings_per_second: float | None = None
    effort: str = "every_frame"
    camera_error: str | None = None
    queue_depth: int = 0
    waiting_s: float = 0.0
    rows_dropped: int = 0
    commit_age_s: float | None = None
    store_error: str | None = None
    unstored_since_ms: int | None = None
    read_error: str | None = None
    rows_set_aside: int = 0
    damage: str | None = None
    salvage: str | None = None
    space: Space | None = None
    copies: CopiesState = field(default_factory=CopiesState)
    erasure_left: str = ""
    clock_doubt: str | None = None
    mqtt_state: str = "disabled"
    mqtt_error: str | None = None
    mqtt_state_s: float = 0.0
    outbox: int = 0
    set_aside: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    holes: Sequence[Hole] = ()
    duplicates: int = 0
    readings_taken: int = 0
    readings_refused: int = 0
    sensors: tuple[SensorState, ...] = ()
    deaths: Mapping[str, Death] = field(default_factory=dict)
    markers: MarkerStreamState | None = None
    fleet: ReplicationStanding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineState:
    """The state of the machine at one moment; ``None``: not known here."""

    uptime_s: float
    temperature: float | None
    throttling: FirmwareThrottling | None
    disk_free_bytes: int | None
    clock_synchronised: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLimits:
    """The limits beyond which a figure is an alarm.

    Attributes:
        hot_celsius: temperature of the processor; a Raspberry Pi slows itself down at 80.
        disk_free_bytes: least free space on the data disk.
        frame_age_s: age of the newest frame.
        waiting_s: wait of the oldest row that is not yet written.
        broker_away_s: how long the broker is not connected.
        start_s: time that a machine has after its start to set its clock.
        battery_percent: charge of a sensor's battery.
    """

    hot_celsius: float = 78.0
    disk_free_bytes: int = 500_000_000
    frame_age_s: float = 15.0
    waiting_s: float = 90.0
    broker_away_s: float = 60.0
    start_s: float = 120.0
    battery_percent: int = 10


def alerts_of(figures: AgentFigures, machine: MachineState, limits: AlertLimits) -> dict[str, str]:
    """Return the alerts in a fixed order: name for programs → sentence that says what to do.

    Each sentence is a :class:`Message`.
    """
    texts = _machine_alerts(machine, limits) | _thread_alerts(figures, limits)
    return {name: as_message(text) for name, text in texts.items()}


def _machine_alerts(machine: MachineState, limits: AlertLimits) -> dict[str, str]:
    texts: dict[str, str] = {}
    celsius = machine.temperature
    power = machine.throttling
    free = machine.disk_free_bytes
    if celsius is not None and celsius >= limits.hot_celsius:
        texts["hot"] = Message(
            N_(
                "The processor has {celsius:.0f} °C and will slow down. Give it air or a heat sink."
            ),
            celsius=celsius,
        )
    if power is not None and power.under_voltage:
        texts["under_voltage"] = N_(
            "The supply voltage is too low. Use the Raspberry Pi's own power supply."
        )
    elif power is not None and power.under_voltage_since_start:
        texts["was_under_voltage"] = N_(
            "The supply voltage has been too low at some time since the start. Check power "
            "supply and cable."
        )
    if power is not None and (power.throttled or power.frequency_capped):
        texts["throttled"] = N_(
            "The processor is slowed down by heat or lack of power. Cool it, or use a stronger "
            "power supply."
        )
    if free is None:
        texts["disk_gone"] = N_(
            "The data folder is gone. Check that its disk is attached, then restart."
        )
    elif free < limits.disk_free_bytes:
        texts["disk_low"] = Message(
            N_(
                "Only {megabytes:.0f} MB are free on the data disk. Delete files, or lower "
                "record.budget_mb."
            ),
            megabytes=free / 1e6,
        )
    if not machine.clock_synchronised and machine.uptime_s > limits.start_s:
        texts["clock_not_synchronised"] = N_(
            "The clock has not been set from the network since the machine started, so times may "
            "be wrong. Connect to a network or fit a clock module."
        )
    return texts


def _thread_alerts(figures: AgentFigures, limits: AlertLimits) -> dict[str, str]:
    texts: dict[str, str] = {}
    age_s = figures.frame_age_s
    if figures.camera_error is not None:
        texts["camera"] = figures.camera_error
    elif age_s is not None and age_s > limits.frame_age_s:
        texts["frame_stale"] = Message(
            N_(
                "The camera has delivered no frame for {seconds:.0f} s. Check its cable, then "
                "restart."
            ),
            seconds=age_s,
        )
    return (
        texts
        | _database_alerts(figures, limits)
        | _broker_alerts(figures, limits)
        | _fleet_alerts(figures.fleet, limits.broker_away_s)
        | _upkeep_alerts(figures)
        | _sensor_alerts(figures, limits)
        | _death_alerts(figures.deaths)
    )


def _database_alerts(figures: AgentFigures, limits: AlertLimits) -> dict[str, str]:
    texts: dict[str, str] = {}
    if figures.store_error is not None:
        texts["store"] = Message(
            N_("Nothing has been stored since {since}: {error}"),
            since=utc_text(figures.unstored_since_ms or 0),
            error=figures.store_error,
        )
    elif figures.waiting_s > limits.waiting_s:
        texts["commit_stale"] = Message(
            N_(
                "Rows have been waiting {seconds:.0f} s to be written. Check the disk: it is "
                "slow or failing."
            ),
            seconds=figures.waiting_s,
        )
    if figures.read_error is not None and figures.store_error is None:
        texts["store_read"] = Message(
            N_("The database cannot be read: {error}"), error=figures.read_error
        )
    if figures.damage is not None:
        texts["database_damaged"] = Message(
            N_(
                "The database is damaged: {damage}. The agent sets it aside and salvages what "
                "is readable. If this alarm stays, replace the card or disk."
            ),
            damage=figures.damage.rstrip("."),
        )
    if figures.salvage is not None:
        texts["database_salvaged"] = figures.salvage
    if figures.rows_set_aside:
        texts["rows_set_aside"] = Message(
            N_(
                "The database has refused {rows} rows since the start and keeps them in its "
                "table set_aside. Look at their reasons there, and report them."
            ),
            rows=figures.rows_set_aside,
        )
    if figures.rows_dropped:
        texts["rows_dropped"] = Message(
            N_(
                "{rows} rows were lost since the start because they could not be written. Free "
                "some space or use a faster disk."
            ),
            rows=figures.rows_dropped,
        )
    return texts


def _broker_alerts(figures: AgentFigures, limits: AlertLimits) -> dict[str, str]:
    texts: dict[str, str] = {}
    if figures.mqtt_state not in _WELL and figures.mqtt_state_s > limits.broker_away_s:
        texts["broker_away"] = Message(
            N_("{messages} messages wait for the MQTT broker ({state}): {error}"),
            messages=figures.outbox,
            state=figures.mqtt_state,
            error=figures.mqtt_error or as_message(N_("it does not answer.")),
        )
    if figures.left_out:
        topics = ", ".join(f"{topic}: {size} bytes" for topic, size in figures.left_out.items())
        texts["message_too_large"] = Message(
            N_(
                "The MQTT broker does not accept messages of this size ({topics}); they are not "
                "published. Raise its limit (mosquitto: max_packet_size, message_size_limit), "
                "then restart the agent."
            ),
            topics=topics,
        )
    if figures.set_aside:
        reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(figures.set_aside.items()))
        texts["message_set_aside"] = Message(
            N_(
                "{messages} messages for the MQTT broker could not be sent since the start and "
                "were set aside ({reasons}). Damaged ones point to a failing card: run "
                "affect-edge doctor. For the others, raise the broker's limit (mosquitto: "
                "max_packet_size, message_size_limit)."
            ),
            messages=sum(figures.set_aside.values()),
            reasons=reasons,
        )
    return texts


def _upkeep_alerts(figures: AgentFigures) -> dict[str, str]:
    texts = _budget_alerts(figures.space) | _copy_alerts(figures.copies)
    if figures.erasure_left:
        texts["erasure_unfinished"] = Message(
            N_(
                "Of somebody who was erased something is left, and the nightly maintenance tries "
                "again: {left}"
            ),
            left=figures.erasure_left,
        )
    if (doubt := figures.clock_doubt) is not None:
        texts["clock_not_believed"] = Message(N_("Old rows are not deleted. {doubt}"), doubt=doubt)
    return texts


def _budget_alerts(space: Space | None) -> dict[str, str]:
    texts: dict[str, str] = {}
    if space is None:
        return texts
    if space.cut_ms is not None:
        texts["disk_budget"] = Message(
            N_(
                "Rows from before {day} were deleted early to stay within the disk budget, none "
                "of a session. Raise record.budget_mb, or lower record.keep_days to what fits."
            ),
            day=iso_utc(space.cut_ms)[:10],
        )
    if space.over_bytes:
        texts["disk_budget_exceeded"] = Message(
            N_(
                "The database is {megabytes:.0f} MB above the disk budget; sessions and the "
                "last day are not deleted for it. Export and erase participants who have "
                "finished, or raise record.budget_mb."
            ),
            megabytes=space.over_bytes / 1e6,
        )
    if space.aside_over_bytes:
        texts["aside_files"] = Message(
            N_(
                "Damaged or replaced databases take {megabytes:.0f} MB beside the database, and "
                "all files together are {over:.0f} MB above record.budget_mb. These databases "
                "are never deleted automatically: copy affect-edge.db.damaged.* and "
                "affect-edge.db.replaced.* elsewhere, then delete them here."
            ),
            megabytes=space.aside_bytes / 1e6,
            over=space.aside_over_bytes / 1e6,
        )
    return texts


def _copy_alerts(copies: CopiesState) -> dict[str, str]:
    texts: dict[str, str] = {}
    if copies.error is not None:
        texts["copy_failed"] = Message(
            N_("The last copy of the database was not made: {error}"), error=copies.error
        )
    if copies.smaller_than is not None:
        texts["copy_smaller"] = Message(
            N_(
                "The database holds much less than its copy {copy}, which is kept. If rows were "
                "lost, stop the agent and restore that copy. If they were deleted on purpose, "
                "move the copy to another folder."
            ),
            copy=copies.smaller_than,
        )
    if copies.overdue and copies.age_s is not None:
        texts["copy_old"] = Message(
            N_(
                "The last good copy of the database is {days:.0f} days old. Check that "
                "`affect-edge maintenance` runs each night, or run `affect-edge backup` now."
            ),
            days=copies.age_s / 86_400,
        )
    elif copies.overdue:
        texts["copy_old"] = N_(
            "There is no good copy of the database. Check that `affect-edge maintenance` runs "
            "each night, or run `affect-edge backup` now."
        )
    if copies.second_error is not None:
        texts["copy_also_failed"] = Message(
            N_("The copy of the database at the second place was not made: {error}"),
            error=copies.second_error,
        )
    return texts


def _sensor_alerts(figures: AgentFigures, limits: AlertLimits) -> dict[str, str]:
    """Return the alerts of the sensors.

    A sensor out of reach is no alarm: straps are taken off, and a cuff sleeps between measurements.
    """
    texts: dict[str, str] = {}
    broken = [one.problem for one in figures.sensors if one.problem and one.reason != "not_found"]
    if broken:
        texts["bluetooth"] = join_sentences(dict.fromkeys(broken))
    template = N_("The battery of {source} has {percent} % left. Change or charge it.")
    weak = [
        Message(template, source=one.source, percent=one.battery_percent)
        for one in figures.sensors
        if one.battery_percent is not None and one.battery_percent <= limits.battery_percent
    ]
    if weak:
        texts["sensor_battery"] = join_sentences(weak)
    return texts


def _death_alerts(deaths: Mapping[str, Death]) -> dict[str, str]:
    """Return the alert of sources that died a short time ago, or wait to begin again."""
    template = N_(
        "{worker} failed at {at} ({times} times since the start) and begins again by itself; what "
        "it missed is a gap. Look at what sends there: {error}"
    )
    texts = [
        Message(
            template,
            worker=name,
            at=utc_text(death.at.wall_ms),
            times=death.times,
            error=_shorten(death.error),
        )
        for name, death in deaths.items()
        if death.back is None or boot_seconds() - death.back.boot_ms / 1000 < STEADY_S
    ]
    return {"source_failed": join_sentences(texts)} if texts else {}


def _shorten(error: Exception) -> str:
    """Return the text of an error, which may hold what a stranger has sent."""
    text = printable(str(error) or type(error).__name__)
    return text if len(text) <= _ERROR_LENGTH else f"{text[: _ERROR_LENGTH - 1]}…"

"""The kinds of faults that reach a recorder, each with how it begins and how it ends."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from pathlib import Path

from tests.faults.box import Box
from tests.faults.checks import check, check_copies
from tests.faults.damage import damage_somewhere
from tests.faults.disk import DiskError, cut_power
from tests.faults.outcome import Outcome

_DAY_MS = 86_400_000
STEPS_MS = (-400 * _DAY_MS, -_DAY_MS, -3_600_000, 3_600_000, _DAY_MS, 400 * _DAY_MS)
LONG_STOP_S = 5.0


class Fault(ABC):
    """A fault that strikes a box and may be lifted.

    Args:
        chance: decides everything that is left to chance.
        outcome: takes what the fault itself finds out.
    """

    name = ""
    never_with: frozenset[str] = frozenset()
    """Kinds after whose meeting nobody could say which of them cost what."""
    needs_disk = False

    def __init__(self, chance: random.Random, outcome: Outcome) -> None:
        self._chance = chance
        self._outcome = outcome

    @abstractmethod
    def strike(self, box: Box) -> None:
        """Let it happen."""

    def lift(self, box: Box) -> None:  # noqa: B027 - most faults end by themselves
        """End it, where it does not end by itself."""


class Kill(Fault):
    """``kill -9``; one time of four it takes long until the process is started again."""

    name = "kill"
    never_with = frozenset({"moved"})

    def strike(self, box: Box) -> None:
        box.kill()
        if self._chance.random() < 0.25:
            time.sleep(LONG_STOP_S)
        box.start()


class Power(Fault):
    """A power cut: what no fsync has brought to the card is whole, torn or not there."""

    name = "power"
    never_with = frozenset({"flipped", "moved", "disk"})
    needs_disk = True

    def strike(self, box: Box) -> None:
        box.kill()
        cut_power(box.database, box.before, box.journal, self._chance)
        box.start()


class Disk(Fault):
    """A disk that is full, read-only or fails for some time."""

    name = "disk"
    never_with = frozenset({"power"})
    needs_disk = True

    def strike(self, box: Box) -> None:
        box.fail_disk(self._chance.choice(list(DiskError)))

    def lift(self, box: Box) -> None:
        box.fail_disk(None)


class Clock(Fault):
    """A wall clock that steps while rows are recorded, meets the retention, and is set again."""

    name = "clock"

    def strike(self, box: Box) -> None:
        wrong_ms = self._chance.choice(STEPS_MS)
        box.ledger.set_clock(wrong_ms, set_by_network=False)
        box.run_for(0.4)
        box.ledger.set_clock(wrong_ms, set_by_network=False, retention=1)

    def lift(self, box: Box) -> None:
        box.ledger.set_clock(0, set_by_network=True, retention=2)


class Flipped(Fault):
    """64 bytes flipped in any kind of page, while the process runs or is stopped."""

    name = "flipped"
    never_with = frozenset({"power", "moved"})

    def strike(self, box: Box) -> None:
        if self._chance.random() < 0.5:
            with box.held_still():
                self._flip(box)
        else:
            box.kill()
            self._flip(box)
            box.start()

    def _flip(self, box: Box) -> None:
        if not box.database.exists():
            return  # it was set aside just now; the new one is being made
        written = box.written()
        damage_somewhere(box.database, self._chance)
        box.note_destroyed(written, self._outcome)


class Moved(Fault):
    """The database deleted, moved away or emptied under the process."""

    name = "moved"
    never_with = frozenset({"power", "flipped", "kill"})

    def strike(self, box: Box) -> None:
        what = self._chance.choice(("deleted", "moved", "emptied"))
        with box.held_still():
            if what == "emptied":
                written = box.written()
                box.database.write_bytes(b"")
                box.note_destroyed(written)
                return
            for part in ("", "-wal", "-shm"):
                self._take(box.database.with_name(box.database.name + part), what)

    @staticmethod
    def _take(file: Path, what: str) -> None:
        if not file.exists():
            return
        if what == "deleted":
            file.unlink()
            return
        target = file.parent / "elsewhere" / file.name
        target.parent.mkdir(exist_ok=True)
        file.rename(target)


FAULTS: dict[str, type[Fault]] = {
    kind.name: kind for kind in (Kill, Power, Disk, Clock, Flipped, Moved)
}


def partners(name: str, has_disk: bool) -> list[str]:
    """Return the kinds during which a kind may strike, itself included where that makes sense."""
    fault = FAULTS[name]
    return [
        other
        for other, kind in FAULTS.items()
        if other not in fault.never_with
        and name not in kind.never_with
        and other != name
        and (has_disk or not kind.needs_disk)
    ]


def run_trial(
    name: str, other: str, seed: int, folder: Path, sound: Path, library: Path | None
) -> Outcome:
    """Let a fault strike a recorder, during another one where one is named, and check what is left.

    Returns:
        What it came to; an error of the harness stands in ``wrong``.
    """
    chance = random.Random(f"{name}/{other}/{seed}")
    outcome = Outcome(name, other, seed)
    box = Box(folder, sound, library, journaled="power" in (name, other))
    try:
        _strike(box, name, other, chance, outcome)
        check(box, outcome)
        check_copies(box, outcome, time.time_ns() // 1_000_000)
    except Exception as error:  # noqa: BLE001 - one bad trial must not hide the others
        outcome.wrong.append(f"{type(error).__name__}: {error}")
    finally:
        box.close()
    return outcome


def _strike(box: Box, name: str, other: str, chance: random.Random, outcome: Outcome) -> None:
    faults = [FAULTS[kind](chance, outcome) for kind in (other, name) if kind]
    box.start()
    box.records_again()
    box.run_for(chance.uniform(0.1, 0.8))
    for fault in faults:
        fault.strike(box)
        box.run_for(chance.uniform(0.1, 0.6))
    for fault in reversed(faults):
        fault.lift(box)
    outcome.note_time(box.records_again())
    box.wait_for_salvage()
    box.wait_for_right_times()
    if "flipped" in (name, other):  # a page that nobody read meanwhile is found at a start
        box.stop()
        box.start()
        box.records_again()
        box.wait_for_salvage()
    code = box.stop()
    if code and box.said:
        outcome.wrong.append(f"exit code {code}: {box.said[-600:]}")

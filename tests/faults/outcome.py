"""What one trial came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.timeline.upkeep.soundness import look_at
from tests.faults.stopwatch import Stopwatch

RECORDS_AGAIN_S = 10.0
_LOOK_S = 60.0


@dataclass(slots=True)
class Outcome:
    """What a trial came to.

    Attributes:
        expected: rows that were safe before, and that the fault itself did not destroy.
        lost: of those, the ones that are missing.
        destroyed: rows that were safe and that nobody can read after the fault, whatever is done.
        not_saved: rows that were sent, and not yet safe.
        duplicates: rows that are there twice.
        copies_lost: good copies that three nights after the fault cost.
        seconds: until a new row was safe again.
        held_up: seconds of these in which other programs had the processor that it wanted.
        unexplained: times without rows that no gap and no hole in the numbers tells of.
        left_to_doctor: 1 where damage to old rows is still in the file, and the doctor sees it.
        check_finds: 1 where SQLite's whole check finds the damage that was done on purpose.
        doctor_finds: 1 where the doctor's short one does.
        wrong: what else is not as promised, for people.
    """

    kind: str
    other: str = ""
    seed: int = 0
    expected: int = 0
    lost: int = 0
    destroyed: int = 0
    not_saved: int = 0
    duplicates: int = 0
    copies_lost: int = 0
    seconds: float = 0.0
    held_up: float = 0.0
    unexplained: int = 0
    left_to_doctor: int = 0
    check_finds: int = 0
    doctor_finds: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def own_seconds(self) -> float:
        """Seconds until a new row was safe again, without those that other programs took."""
        return self.seconds - self.held_up

    @property
    def is_good(self) -> bool:
        """Whether everything is as promised."""
        counts = (self.lost, self.duplicates, self.copies_lost, self.unexplained)
        return not any(counts) and not self.wrong and self.own_seconds <= RECORDS_AGAIN_S

    def note_time(self, watch: Stopwatch) -> None:
        """Note how long it took until a new row was safe; the longest of several times counts."""
        if watch.seconds - watch.held_up > self.own_seconds:
            self.seconds = watch.seconds
            self.held_up = watch.held_up

    def note_looks(self, database: Path) -> None:
        """Note what the two checks say of a database that was just damaged."""
        self.check_finds = int(bool(look_at(database, deep=True, within_s=_LOOK_S).faults))
        self.doctor_finds = int(bool(look_at(database, deep=False, within_s=_LOOK_S).faults))

    def __str__(self) -> str:
        during = f" during {self.other}" if self.other else ""
        return f"{self.kind}{during}, seed {self.seed}: {self._figures()} {self.wrong or ''}"

    def _figures(self) -> str:
        return (
            f"{self.lost} of {self.expected} lost, {self.duplicates} twice, {self.copies_lost} "
            f"copies lost, {self.unexplained} unexplained, again after {self.seconds:.1f} s ("
            f"{self.held_up:.1f} s of it held up by other programs)"
        )

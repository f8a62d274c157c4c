"""What whoever imports a study decides, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_agent.core.attributes import AttributeUse
from edge_agent.core.study import Purpose, SessionSetting
from edge_agent.store.intake.problems import Problem, SourceRow


@dataclass(frozen=True, slots=True)
class StatedConsent:
    """A consent that whoever imports states for participants of whom the files have none.

    Attributes:
        text_version: which text they agreed to.
        given_ms: when, UTC milliseconds.
        attributes: what they agreed to about their attributes.
    """

    text_version: str
    given_ms: int
    attributes: AttributeUse = AttributeUse.NONE


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a study is imported.

    Attributes:
        purposes: which purposes a session may have here.
        prefix: goes before every code, so that none meets one that is there.
        leave_out: codes, as the files have them, of whom nothing is taken.
        consent: stated for those of whom the files have none.
        purpose: of sessions whose purpose the files do not say.
        setting: of sessions whose setting the files do not say.
        join_recorded: whether what was recorded here in the time of an imported session may belong
            to it.
        keep_days: for how many days expressions are kept here; ``None``: nobody knows.
    """

    purposes: tuple[Purpose, ...] = tuple(Purpose)
    prefix: str = ""
    leave_out: frozenset[str] = frozenset()
    consent: StatedConsent | None = None
    purpose: Purpose | None = None
    setting: SessionSetting = SessionSetting.OTHER
    join_recorded: bool = False
    keep_days: int | None = None


@dataclass(slots=True)
class FileCount:
    """What is in one table of a study.

    Attributes:
        file: its file.
        rows: how many rows there are.
        taken: how many belong to the study, and are imported.
        outside: how many lie in no session, and are not.
        left_out: how many belong to somebody who is left out.
    """

    file: str
    rows: int = 0
    taken: int = 0
    outside: int = 0
    left_out: int = 0


@dataclass(slots=True)
class StudyImport:
    """What became of the files of a study.

    Attributes:
        source: name of the file or folder.
        imported: whether it is in the database now.
        counts: by table.
        sessions: number of a session in the files → its number here.
        notes: what is worth knowing, in sentences.
        problems: why nothing was imported: the first ones.
        problem_count: how many there are.
    """

    source: str
    imported: bool = False
    counts: dict[str, FileCount] = field(default_factory=dict)
    sessions: dict[int, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0

    def count(self, table: str, row: SourceRow) -> FileCount:
        """Return the count of the table of a row, begun where there is none."""
        return self.counts.setdefault(table, FileCount(row.counted_as or row.file))

    @property
    def as_json(self) -> Mapping[str, Any]:
        """The same for programs."""
        return {
            "source": self.source,
            "imported": self.imported,
            "files": {
                table: {
                    "file": count.file,
                    "rows": count.rows,
                    "taken": count.taken,
                    "outside_sessions": count.outside,
                    "left_out": count.left_out,
                }
                for table, count in self.counts.items()
            },
            "sessions": {str(there): here for there, here in self.sessions.items()},
            "notes": self.notes,
            "problems": [
                {
                    "file": one.file,
                    "line": one.line,
                    "column": one.column,
                    "value": one.value,
                    "message": one.sentence,
                }
                for one in self.problems
            ],
            "problem_count": self.problem_count,
        }

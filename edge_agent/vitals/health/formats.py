"""Which export a file is, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core.errors import DataFileError
from edge_agent.vitals.health import apple, fitbit, garmin, samsung, withings
from edge_agent.vitals.health.members import Member, members_of, readable
from edge_agent.vitals.health.rows import DamagedFileError, NotRead, Remark, Rows, RowValidator


@dataclass(frozen=True, slots=True)
class HealthFormat:
    """A kind of export.

    Attributes:
        name: whose it is, for people.
        is_ours: tells it by a file's name and first bytes.
        read: reads one file row by row; raises ``DataFileError`` where the file itself is broken.
    """

    name: str
    is_ours: Callable[[str, bytes], bool]
    read: Callable[[Member, RowValidator], Rows]


FORMATS = (
    HealthFormat("Apple Health", apple.is_ours, apple.read),
    HealthFormat("Fitbit", fitbit.is_ours, fitbit.read),
    HealthFormat("Samsung Health", samsung.is_ours, samsung.read),
    HealthFormat("Withings", withings.is_ours, withings.read),
    HealthFormat("Garmin (FIT)", garmin.is_ours, garmin.read),
)


@dataclass(frozen=True, slots=True)
class HealthExport:
    """The files of an export that hold readings.

    Attributes:
        name: of the file that was named.
        files: each with its format.
        remarks: what is worth knowing of others.
        unknown: names of the files that are of no known kind.
    """

    name: str
    files: Sequence[tuple[HealthFormat, Member]]
    remarks: Sequence[Remark] = ()
    unknown: Sequence[str] = ()

    @property
    def formats(self) -> list[str]:
        """Whose they are, each once."""
        return list(dict.fromkeys(form.name for form, _ in self.files))

    def rows(self, validator: RowValidator) -> Rows:
        """Return row after row; a FIT file that is damaged is left out beside others.

        Raises:
            DataFileError: a file is broken: what came before must not be kept alone.
        """
        yield from self.remarks
        for form, member in self.files:
            with readable(member.name):
                rows = form.read(member, validator)
                if form.read is garmin.read and len(self.files) > 1:
                    try:
                        rows = iter(list(rows))  # an activity, not years: none of it is taken yet
                    except DamagedFileError as error:
                        rows = iter([NotRead(member.name, str(error).partition(": ")[2])])
                yield from rows


@contextmanager
def open_export(path: Path) -> Iterator[HealthExport | None]:
    """Give the export that a file, an archive or a folder is, for the length of the block.

    ``None``: it is a single file of another kind.

    Raises:
        DataFileError: it cannot be read, or an archive or folder holds no file that is known.
    """
    with members_of(path) as members:
        names = {member.name.lower() for member in members}
        twice = [one.name for one in members if fitbit.table_of_day(one.name.lower()) in names]
        files = [
            (form, member)
            for member in members
            if member.name not in twice and (form := _format_of(member))
        ]
        if files:
            read = {member.name for _, member in files}
            unknown = [one.name for one in members if one.name not in {*read, *twice}]
            yield HealthExport(path.name, files, _remarks(twice), unknown)
        elif len(members) == 1 and path.is_file() and members[0].name == path.name:
            yield None
        else:
            known = ", ".join(form.name for form in FORMATS)
            raise DataFileError(
                f"{path.name}: none of its {len(members)} files is one that is known here. Known: "
                f"{known}; docs/data.md lists the files of each."
            )


def _remarks(twice: Sequence[str]) -> list[NotRead]:
    if not twice:
        return []
    files = twice[0] if len(twice) == 1 else f"{len(twice)} files, {twice[0]} to {twice[-1]}"
    return [NotRead(files, "not read; the tables of the same days (.csv) have the same beats.")]


def _format_of(member: Member) -> HealthFormat | None:
    if not member.size:
        return None
    with readable(member.name):
        head = member.head()
    return next((form for form in FORMATS if form.is_ours(member.name, head)), None)

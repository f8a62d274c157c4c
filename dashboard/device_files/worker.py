"""``python -m dashboard.device_files.worker ZONE FORM``: the process that reads a device's file.

Name and content of the file come through a pipe, and its readings, or why there are none, go back
through another as JSON. Before it looks at the file it gives up all rights but these pipes. ZONE is
the time zone of times that name none; empty: there is none. FORM is the name of its format, whose
libraries are loaded before.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress

from dashboard.device_files.answer import FileReadings, FileRefusal, answer_type
from edge_agent.core import clock
from edge_agent.core.bounds import limited_work
from edge_agent.core.errors import AffectEdgeError, DataFileError
from edge_agent.core.helper.answering import answer_questions
from edge_agent.core.helper.rights import forbid
from edge_agent.core.readings import LocalTimes, VitalReading
from edge_agent.core.texts import N_, pack_text, text_of
from edge_agent.timeline.intake.staged_rows import StagedReadings
from edge_agent.timeline.write.reading_imports import ReadingTable
from edge_agent.vitals.health.exports import XDF, export_of_file
from edge_agent.vitals.health.files import RowValidator
from edge_agent.vitals.health.xdf.samples import load_libraries
from edge_agent.vitals.passed_over import PassedOver, Rows
from edge_agent.vitals.zone_names import local_times

log = logging.getLogger(__name__)

MEMORY_BYTES = 384 * 1024 * 1024
"""Most that it may ask for."""
MOST_READINGS = 250_000
"""Readings of one file: 17 hours of skin conductance, four a second."""
_MOST_ROWS = 1_000_000
"""Rows of any kind: most of a file may have no reading."""
_COLUMNS_TOLD = 100
_EXAMPLE = b"date,heart rate,systolic,diastolic\n2026-01-05 08:00:00Z,61,120,80\n"
_TOO_MANY = N_("{file}: has more than {most} readings, which is the most that this page takes.")
_MANY_ROWS = N_("{file}: has more than {most} rows, which is the most that this page takes.")
_LONG = N_("{file}: takes longer to read than any file with so many readings.")
_TOO_MUCH = N_("{file}: needs more memory than this page allows.")


class _TooManyError(DataFileError):
    """The file has more than ``MOST_READINGS``."""


def main() -> None:
    """Answer the dashboard that started this process."""
    zone = local_times(sys.argv[1])
    with suppress(ImportError):  # optional parts; who reads such a file without them says so
        import fitdecode  # noqa: F401
    if sys.argv[2] == XDF:
        with suppress(DataFileError):
            load_libraries()
    # Libraries load at their first use what they cannot load later.
    answer_type().dump_json(read("bp.csv", _EXAMPLE, local_times("UTC")))
    answer_questions(lambda question: _answer(question, zone), memory_bytes=MEMORY_BYTES, nice=10)


def _answer(question: bytes, zone: LocalTimes | None) -> bytes:
    if not forbid(network=False):
        log.warning(
            "this system does not let the process that reads files give up its rights; its limits "
            "hold"
        )
    name, _, content = question.partition(b"\n")
    return answer_type().dump_json(_read_or_refuse(name.decode(), content, zone))


def _read_or_refuse(
    name: str, content: bytes, zone: LocalTimes | None
) -> FileReadings | FileRefusal:
    try:
        return read(name, content, zone)
    # The limit of memory makes an allocation fail here, instead of in other programs.
    except MemoryError:
        error: AffectEdgeError = _TooManyError(_TOO_MUCH, file=name)
    except AffectEdgeError as refused:
        error = refused
    text = text_of(error)
    return FileRefusal(text, pack_text(text), isinstance(error, _TooManyError))


def read(name: str, content: bytes, zone: LocalTimes | None) -> FileReadings:
    """Return the readings of a file, as the command ``import-vitals`` reads and stages them.

    Raises:
        DataFileError: it is damaged, or has no reading or too many.
    """
    export = export_of_file(name, content)
    if export is None:
        raise DataFileError(f"{name}: its format is not known.")
    passed_over = PassedOver()
    too_long = _TooManyError(_LONG, file=name)
    with StagedReadings(name, in_memory=True) as staged, limited_work(too_long):
        validator = RowValidator(clock.now(), zone)
        readings = passed_over.readings_of(_bounded_rows(export.rows(validator), name))
        staged.add(_bounded(readings, name))
        if zone is not None and zone.twice:
            passed_over.remarks.append(zone.sentence)
        table = ReadingTable.of(staged)
        if not table.rows:
            raise passed_over.no_reading_error(name)
        return FileReadings(
            table,
            staged.repeated,
            staged.differing,
            passed_over.left_out,
            passed_over.reasons,
            passed_over.columns[:_COLUMNS_TOLD],
            passed_over.remarks,
            {source: sorted(names) for source, names in validator.former.items()},
            sorted(validator.certain),
        )


def _bounded_rows(rows: Rows, name: str) -> Rows:
    for count, row in enumerate(rows):
        if count == _MOST_ROWS:
            raise _TooManyError(_MANY_ROWS, file=name, most=_MOST_ROWS)
        yield row


def _bounded(readings: Iterable[VitalReading], name: str) -> Iterator[VitalReading]:
    for count, reading in enumerate(readings):
        if count == MOST_READINGS:
            raise _TooManyError(_TOO_MANY, file=name, most=MOST_READINGS)
        yield reading


if __name__ == "__main__":
    main()

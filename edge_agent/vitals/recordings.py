"""Recordings of laboratories as text, known by their first lines.

``FORMATS`` is the register: what a program's files begin with, and what of their first lines makes
them a table: the names of its columns with their units, its rate and its start. Such a table is
read as any other one; its columns are chosen by name. A file that is no table of readings is named,
with the way to one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from edge_agent.core.brought_tables import Opens, encoding_of
from edge_agent.core.errors import DataFileError
from edge_agent.core.texts import N_, Message
from edge_agent.vitals.recording_layouts import (
    PER_SAMPLE,
    DescribedRecording,
    RecordingFormat,
    layout_of_acqknowledge,
    layout_of_kubios,
    layout_of_opensignals,
    layout_of_polar_ppi,
)

HEAD_BYTES = 65_536
_LINES = 400
_MINDWARE_WAY = N_(
    "is a file of MindWare without a table of readings. Export the intervals between beats (IBI) "
    "as text, one in each line, and give their beginning (--start)."
)
_KUBIOS_WAY = N_(
    "has results of Kubios without the intervals. Let Kubios save the RR data as text, or its "
    "results with the RR intervals, and give their beginning (--start)."
)
_ACQ_WAY = N_(
    "begins as a text of AcqKnowledge, and its channels could not be found. Export it as text with "
    "the header, and with horizontal scale values in seconds."
)
_OPENSIGNALS_WAY = N_(
    "begins as a file of OpenSignals, and its header could not be read. Save the recording again "
    "in OpenSignals as text."
)
FORMATS = (
    RecordingFormat(
        "OpenSignals",
        re.compile(r"#\s*OpenSignals Text File Format", re.IGNORECASE),
        layout_of_opensignals,
        _OPENSIGNALS_WAY,
    ),
    RecordingFormat("AcqKnowledge", PER_SAMPLE, layout_of_acqknowledge, _ACQ_WAY),
    RecordingFormat(
        "Kubios HRV", re.compile(r"\W*Kubios HRV", re.IGNORECASE), layout_of_kubios, _KUBIOS_WAY
    ),
    RecordingFormat(
        "Polar PPI",
        re.compile(r"Polar Device ID|PPI Recording", re.IGNORECASE),
        layout_of_polar_ppi,
        "",
    ),
    RecordingFormat(
        "MindWare",
        # without its name: a row for each segment of a recording, with means of its beats
        re.compile(r'.*mind ?ware|"?segment\b.*\b(ibi|rsa)\b', re.IGNORECASE),
        None,
        _MINDWARE_WAY,
    ),
)
"""The programs, each known by one of a file's first five lines."""


def recording_of(name: str, opens: Opens) -> DescribedRecording | None:
    """Return a file as a recording of a known program; ``None``: it is of none.

    Raises:
        DataFileError: it is of a known program and holds no table.
    """
    lines = _first_lines(opens)
    form = _format_of(lines)
    if form is None:
        return None
    recording = None if form.read is None else form.read(name, lines)
    if recording is None and form.way:
        raise DataFileError("{file}: {problem}", file=name, problem=Message(form.way))
    return recording


def is_recording(opens: Opens) -> bool:
    """Return whether a file is of a known program and holds a table."""
    lines = _first_lines(opens)
    form = _format_of(lines)
    return form is not None and form.read is not None and form.read("", lines) is not None


def _format_of(lines: Sequence[str]) -> RecordingFormat | None:
    first = lines[:5]
    return next((one for one in FORMATS if any(map(one.begins.match, first))), None)


def _first_lines(opens: Opens) -> list[str]:
    try:
        with opens() as file:
            head = file.read(HEAD_BYTES)
    except OSError:  # who reads the file says so
        return []
    text = head.decode(encoding_of(head), errors="replace")
    return list(islice(text.splitlines(), _LINES))

"""Recordings of laboratories as text, known by their first lines.

``FORMATS`` is the register: what a program's files begin with, and what of their first lines makes
them a table: the names of its columns with their units, its rate and its start. Such a table is
read as any other one; its columns are chosen by name. A file that is no table of readings is named,
with the way to one.

Forms: OpenSignals (PLUX, its file specification), AcqKnowledge (BIOPAC, text export), Kubios HRV
(results as text or CSV), PPI of Polar sensors as public programs write it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from edge_agent.core.brought_tables import Opens, TableForm, cells_of, encoding_of, separator_of
from edge_agent.core.errors import DataFileError
from edge_agent.core.texts import N_, Message
from edge_agent.vitals.row_times import SECONDS, Elapsed

HEAD_BYTES = 65_536
_LINES = 400
_RAW = "raw"
_EDA_FULL_SCALE_US = 25.0
"""Of the EDA sensors of BITalino (r)evolution, 3.3 V / 0.132, and biosignalsplux, 3 V / 0.12
(PLUX, data sheets): µS = 25 · number / 2 ^ bits."""
_EDA_DEVICES = re.compile(r"bitalino_rev|biosignalsplux|opensignals.*", re.IGNORECASE)
_UNITS_OF_SENSORS = {"EDA": "µS", "ECG": "mV", "EMG": "mV", "TEMP": "°C"}
_MODULE = re.compile(r"\b([A-Z]{2,4})100[A-Z]?\b")
"""An amplifier of BIOPAC: EDA100C measures EDA."""
_SIGNALS = {"SKT": "skin temperature", "PPG": "PPG", "RSP": "respiration signal"}
_PER_SAMPLE = re.compile(r"\s*([\d.,]+)\s*(\w+)\s*/\s*sample\s*", re.IGNORECASE)
_CHANNELS = re.compile(r"\s*(\d{1,3})\s+channels?\s*", re.IGNORECASE)
_START = re.compile(
    r"start.*?(\d{4}-\d\d-\d\d[ T]\d\d?:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)",
    re.IGNORECASE,
)
_EDA_CONVERTED = N_(
    "{file}: {column} has numbers of a converter of {bits} bits. They become µS by 25 · "
    "number / 2^{bits}, which PLUX publishes for this sensor."
)
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


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording as its first lines describe it.

    Attributes:
        form: where its table stands.
        elapsed: how its rows have times.
        at: its column of times since the start; empty: it has none.
        factors: place of a column → by what its numbers are multiplied.
        poor: column → texts of a cell that say that the signal was poor.
        remarks: sentences about how it is read.
    """

    form: TableForm
    elapsed: Elapsed
    at: str = ""
    factors: Mapping[int, float] = field(default_factory=dict)
    poor: Mapping[str, frozenset[str]] = field(default_factory=dict)
    remarks: tuple[Message, ...] = ()


Lines = Sequence[str]


class RecordingFormat(NamedTuple):
    """A program whose text files are known.

    Attributes:
        program: its name.
        begins: matches one of its first lines.
        read: makes a recording of the first lines; ``None``: they hold no table.
        way: what such a file is without a table, and the way to one, as the rest of a sentence;
            empty: it may be a table of another form.
    """

    program: str
    begins: re.Pattern[str]
    read: Callable[[str, Lines], Recording | None]
    way: str


def recording_of(name: str, opens: Opens) -> Recording | None:
    """Return a file as a recording of a known program; ``None``: it is of none.

    Raises:
        DataFileError: it is of a known program and holds no table.
    """
    lines = _first_lines(opens)
    form = _format_of(lines)
    if form is None:
        return None
    recording = form.read(name, lines)
    if recording is None and form.way:
        raise DataFileError("{file}: {problem}", file=name, problem=Message(form.way))
    return recording


def is_recording(opens: Opens) -> bool:
    """Return whether a file is of a known program and holds a table."""
    lines = _first_lines(opens)
    form = _format_of(lines)
    return form is not None and form.read("", lines) is not None


def _format_of(lines: Lines) -> RecordingFormat | None:
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


def _of_opensignals(name: str, lines: Lines) -> Recording | None:
    end = next((at for at, line in enumerate(lines) if "EndOfHeader" in line), None)
    try:
        told = json.loads(next(line for line in lines if line.startswith("# {")).lstrip("# "))
        devices: list[dict[str, Any]] = list(told.values())
        names: list[str] = []
        factors: dict[int, float] = {}
        remarks: list[Message] = []
        rate = float(devices[0]["sampling rate"])
        for device in devices:
            for column, bits in _columns_of(device):
                if bits:
                    factors[len(names)] = _EDA_FULL_SCALE_US / 2**bits
                    remarks.append(Message(_EDA_CONVERTED, file=name, column=column, bits=bits))
                names.append(column)
        start = _start_of(devices[0])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, StopIteration):
        return None
    if end is None or not 0 < rate < 1e6:
        return None
    form = TableForm(above=end + 1, separator="\t", names=tuple(names))
    return Recording(form, Elapsed(start, step_s=1 / rate), factors=factors, remarks=tuple(remarks))


def _columns_of(device: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the name of each column, and the bits of the numbers that become µS; 0: none do."""
    sensors = dict(zip(device["label"], device["sensor"], strict=True))
    is_converted = str(device.get("convertedValues", 0)) in {"1", "True"}
    columns = list(device["column"])
    bits = list(device["resolution"])
    if len(bits) != len(columns):  # of the channels alone
        bits = [0] * (len(columns) - len(bits)) + bits
    several = [_sensor(sensor) for sensor in device["sensor"]]
    for column, resolution in zip(columns, bits, strict=True):
        sensor = _sensor(sensors.get(column, ""))
        known = bool(_EDA_DEVICES.fullmatch(str(device.get("device", ""))))
        is_raw_eda = sensor == "EDA" and known and not is_converted and int(resolution) > 0
        unit = _UNITS_OF_SENSORS.get(sensor, "") if is_converted or is_raw_eda else _RAW
        if not sensor:
            yield str(column), 0
        else:
            label = sensor if several.count(sensor) == 1 else f"{sensor} {column}"
            named = f"{label} ({unit})" if unit else label
            yield named, int(resolution) if is_raw_eda else 0


def _sensor(name: object) -> str:
    """Return a sensor's name, that of one for BITalino without its kind: EDABITREV is EDA."""
    return re.sub(r"BIT(REV)?$", "", str(name).upper())


def _start_of(device: Mapping[str, Any]) -> str:
    """Return the local time of the start, which is written without leading zeros."""
    hour, minute, second = str(device["time"]).split(":")
    whole, _, part = second.partition(".")
    return f"{device['date']}T{int(hour):02}:{int(minute):02}:{int(whole):02}.{part or '0':0<3}"


def _of_acqknowledge(_name: str, lines: Lines) -> Recording | None:
    rate, channels = _PER_SAMPLE.fullmatch(lines[1]), _CHANNELS.fullmatch(lines[2])
    unit_s = SECONDS.get(rate[2].lower(), 0.0) if rate else 0.0
    if rate is None or channels is None or not unit_s:
        return None
    count = int(channels[1])
    pairs = [lines[place : place + 2] for place in range(3, min(3 + 2 * count, len(lines) - 1), 2)]
    # Behind the first comma stand the modules of wireless amplifiers.
    short = [label.strip().strip('"').split(",")[0] for label, _ in pairs]
    labels = [
        _channel(own if short.count(own) == 1 else label, unit)
        for own, (label, unit) in zip(short, pairs, strict=True)
    ]
    for place in range(3 + 2 * count, len(lines)):
        separator = separator_of(lines[place])
        cells = cells_of(lines[place], separator)
        is_names = len(cells) >= count and sum(cell.upper().startswith("CH") for cell in cells)
        if not is_names:
            continue
        above = place + 1
        following = cells_of(lines[above], separator) if above < len(lines) else []
        if following and not following[0]:  # numbers of samples, below the channels alone
            above += 1
        has_times = cells[0].lower() in SECONDS
        at = "time since the start" if has_times else ""
        names = ([at] if at else []) + labels
        column_s = SECONDS.get(cells[0].lower(), 1.0)
        step_s = 0.0 if has_times else float(rate[1].replace(",", ".")) * unit_s
        form = TableForm(above=above, separator=separator, names=tuple(names))
        return Recording(form, Elapsed(unit_s=column_s, step_s=step_s), at)
    return None


def _channel(label: str, unit: str) -> str:
    """Return the name of a channel, with its unit; that of a module of BIOPAC without its number.

    Example:
        >>> _channel("EDA100C", "microsiemens"), _channel("EDA filtered, EDA100C", "V")
        ('EDA (microsiemens)', 'EDA filtered, EDA (V)')
    """
    bare = _MODULE.sub(lambda match: _SIGNALS.get(match[1], match[1]), label.strip().strip('"'))
    unit = unit.strip().strip('"')
    return f"{bare} ({unit})" if unit else bare


def _of_kubios(_name: str, lines: Lines) -> Recording | None:
    for place, line in enumerate(lines[:-1]):
        separator = separator_of(line)
        cells = [cell.lower() for cell in cells_of(line, separator)]
        times = [at for at, cell in enumerate(cells) if re.fullmatch(r"(rr )?time", cell)]
        if not times or not any(re.match(r"rr.?interval", cell) for cell in cells):
            continue
        units = cells_of(lines[place + 1], separator)
        units += [""] * (len(cells) - len(units))
        names = [
            f"{cell} ({_bare_unit(unit)})" if unit else cell
            for cell, unit in zip(cells_of(line, separator), units, strict=False)
        ]
        has_units = bool(units[times[0]]) and not units[times[0]][0].isdigit()
        form = TableForm(above=place + 1 + has_units, separator=separator, names=tuple(names))
        return Recording(form, Elapsed(), names[times[0]])
    return None


def _bare_unit(text: str) -> str:
    """Return a unit without the brackets around it: ``(s)``, but not ``PSD (s^2/Hz)``."""
    return text.removeprefix("(").removesuffix(")") if text.startswith("(") else text


def _of_polar_ppi(_name: str, lines: Lines) -> Recording | None:
    start = next((told[1] for line in lines[:20] if (told := _START.search(line))), "")
    for place, line in enumerate(lines[:20]):
        separator = separator_of(line)
        cells = cells_of(line, separator)
        if {"ppi", "blockerbit"} <= {cell.lower() for cell in cells}:
            interval = next(cell for cell in cells if cell.lower() == "ppi")
            names = {cell.lower(): cell for cell in cells}
            poor = {names["blockerbit"]: frozenset({"1"})}
            if "skincontactstatus" in names:
                poor[names["skincontactstatus"]] = frozenset({"0"})
            form = TableForm(above=place, separator=separator)
            return Recording(form, Elapsed(start, 0.001, sum_of=interval), poor=poor)
    return None


def _of_none(_name: str, _lines: Lines) -> None:
    return None


FORMATS = (
    RecordingFormat(
        "OpenSignals",
        re.compile(r"#\s*OpenSignals Text File Format", re.IGNORECASE),
        _of_opensignals,
        _OPENSIGNALS_WAY,
    ),
    RecordingFormat("AcqKnowledge", _PER_SAMPLE, _of_acqknowledge, _ACQ_WAY),
    RecordingFormat(
        "Kubios HRV", re.compile(r"\W*Kubios HRV", re.IGNORECASE), _of_kubios, _KUBIOS_WAY
    ),
    RecordingFormat(
        "Polar PPI", re.compile(r"Polar Device ID|PPI Recording", re.IGNORECASE), _of_polar_ppi, ""
    ),
    RecordingFormat(
        "MindWare", re.compile(r".*mind ?ware", re.IGNORECASE), _of_none, _MINDWARE_WAY
    ),
)
"""The programs, each known by one of a file's first five lines."""

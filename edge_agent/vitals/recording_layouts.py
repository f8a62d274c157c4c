"""Places of tables in files of laboratories' programs, as their first lines say.

Forms: OpenSignals (PLUX, its file specification), AcqKnowledge (BIOPAC, text export), Kubios HRV
(results as text or CSV), PPI of Polar sensors as public programs write it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from edge_agent.core.brought_tables import TableForm, cells_of, separator_of
from edge_agent.core.brought_values import parse_json
from edge_agent.core.texts import N_, Message
from edge_agent.vitals.row_times import SECONDS, Elapsed

_RAW = "raw"
_MOST_BITS = 32
_EDA_FULL_SCALE_US = 25.0
"""Of the EDA sensors of BITalino (r)evolution, 3.3 V / 0.132, and biosignalsplux, 3 V / 0.12
(PLUX, data sheets): µS = 25 · number / 2 ^ bits."""
_EDA_DEVICES = re.compile(r"bitalino_rev|biosignalsplux|opensignals.*", re.IGNORECASE)
_UNITS_OF_SENSORS = {"EDA": "µS", "ECG": "mV", "EMG": "mV", "TEMP": "°C"}
_MODULE = re.compile(r"\b([A-Z]{2,4})100[A-Z]?\b")
"""An amplifier of BIOPAC: EDA100C measures EDA."""
_SIGNALS = {"SKT": "skin temperature", "PPG": "PPG", "RSP": "respiration signal"}
PER_SAMPLE = re.compile(r"\s*(\d{1,9}(?:[.,]\d{1,9})?)\s*(\w+)\s*/\s*sample\s*", re.IGNORECASE)
_OF_ODD_HEADERS = (
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, StopIteration),
    *(OverflowError, RecursionError),
)
_CHANNELS = re.compile(r"\s*(\d{1,3})\s+channels?\s*", re.IGNORECASE)
_START = re.compile(
    r"start.*?(\d{4}-\d\d-\d\d[ T]\d\d?:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)",
    re.IGNORECASE,
)
_EDA_CONVERTED = N_(
    "{file}: {column} has numbers of a converter of {bits} bits. They become µS by 25 · "
    "number / 2^{bits}, which PLUX publishes for this sensor."
)
Lines = Sequence[str]


@dataclass(frozen=True, slots=True)
class DescribedRecording:
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


class RecordingFormat(NamedTuple):
    """A program whose text files are known.

    Attributes:
        program: its name.
        begins: matches one of its first lines.
        read: makes a recording of the first lines, or says that they hold no table; ``None``: no
            such file holds one.
        way: what such a file is without a table, and the way to one, as the rest of a sentence;
            empty: it may be a table of another form.
    """

    program: str
    begins: re.Pattern[str]
    read: Callable[[str, Lines], DescribedRecording | None] | None
    way: str


def layout_of_opensignals(name: str, lines: Lines) -> DescribedRecording | None:
    end = next((at for at, line in enumerate(lines) if "EndOfHeader" in line), None)
    try:
        told = parse_json(next(line for line in lines if line.startswith("# {")).lstrip("# "))
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
    except _OF_ODD_HEADERS:
        return None
    if end is None or not 0 < rate < 1e6:
        return None
    form = TableForm(above=end + 1, separator="\t", names=tuple(names))
    return DescribedRecording(
        form, Elapsed(start, step_s=1 / rate), factors=factors, remarks=tuple(remarks)
    )


def _columns_of(device: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the name of each column, and the bits of the numbers that become µS; 0: none do."""
    sensors = dict(zip(device["label"], device["sensor"], strict=True))
    is_converted = str(device.get("convertedValues", 0)) in {"1", "True"}
    columns = list(device["column"])
    bits = list(device["resolution"])
    if len(bits) != len(columns):  # of the channels alone
        bits = [0] * (len(columns) - len(bits)) + bits
    several = Counter(map(_sensor, device["sensor"]))
    for column, resolution in zip(columns, bits, strict=True):
        sensor = _sensor(sensors.get(column, ""))
        known = bool(_EDA_DEVICES.fullmatch(str(device.get("device", ""))))
        is_raw_eda = sensor == "EDA" and known and not is_converted
        is_raw_eda = is_raw_eda and 0 < int(resolution) <= _MOST_BITS
        unit = _UNITS_OF_SENSORS.get(sensor, "") if is_converted or is_raw_eda else _RAW
        if not sensor:
            yield str(column), 0
        else:
            label = sensor if several[sensor] == 1 else f"{sensor} {column}"
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


def layout_of_acqknowledge(_name: str, lines: Lines) -> DescribedRecording | None:
    rate, channels = (
        pattern.fullmatch(line)
        for pattern, line in zip((PER_SAMPLE, _CHANNELS), [*lines, "", "", ""][1:3], strict=True)
    )
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
        if not has_times and not step_s:
            return None
        form = TableForm(above=above, separator=separator, names=tuple(names))
        return DescribedRecording(form, Elapsed(unit_s=column_s, step_s=step_s), at)
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


def layout_of_kubios(_name: str, lines: Lines) -> DescribedRecording | None:
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
        return DescribedRecording(form, Elapsed(), names[times[0]])
    return None


def _bare_unit(text: str) -> str:
    """Return a unit without the brackets around it: ``(s)``, but not ``PSD (s^2/Hz)``."""
    return text.removeprefix("(").removesuffix(")") if text.startswith("(") else text


def layout_of_polar_ppi(_name: str, lines: Lines) -> DescribedRecording | None:
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
            return DescribedRecording(form, Elapsed(start, 0.001, sum_of=interval), poor=poor)
    return None

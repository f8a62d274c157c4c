"""The meaning of a table's columns by their names, and the doubts that names leave.

A name that may mean something else is a doubt and no guess: one of several columns of a kind, an
abbreviation of several things, the least or the largest value of a time.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.core.interleaving import names_devices
from edge_agent.core.texts import N_, Message, as_message
from edge_agent.core.vitals import SPECS, VitalKind
from edge_agent.vitals.zone_names import says_local, without_zone, zone_in_name

PAIRS = re.compile(
    r"bp|nibp|rr|ta|blood ?pressure|blutdruck|bloeddruk|blodtr[yi]c?k|presi[óo]n( arterial)?|"
    r"(pression|tension)( art[ée]rielle)?|pressione( arteriosa)?|press[ãa]o( arterial)?|"
    r"血圧|血压|血壓"
)
"""Names of a column with both pressures in one cell, such as 121/79."""
_DAY = (
    r"date|(measurement|reading) date|date of (reading|measurement)|(mess)?datum|fecha|data|dato|"
    r"測定日|日付|日期"
)
_TIMES: Mapping[str, str] = {
    "at": rf"{_DAY}|at|ts|iso ?date( ?time)?|last (changed|updated)|"
    r"((local|phone|sensor|utc|unix) ?)?time ?stamp( (unix|iso|utc|local))?|"
    r"date( ?/ ?| and | )?time|measured( at)?|datum ?/ ?uhrzeit|zeit(punkt|stempel)|"
    r"fecha( y | ?/ ?)hora|date( et | ?/ ?)heure|horodatage|data( e | ?/ ?)h?ora|"
    r"(測定|計測)?日時|日期(时间|時間)|(测量|記録|记录)(时间|日期)",
    "time": r"time|time of day|(measurement|reading) time|time of (reading|measurement)|zeit|"
    r"uhrzeit|hora|heure|ora|orario|tijd(stip)?|tid|klok(kesl[æe]t|slag)|(測定)?時刻|時間|时间",
}
# "data" is a date in Italian and Portuguese, beside their words for the time of day alone.
_BESIDE_DATA = {"ora", "orario", "hora"}
_TEMPERATURE = re.compile(r"temp(erat(ure|ur|ura))?|temp[ée]rature|温度|溫度")
_LEAST_OR_LARGEST = re.compile(
    r"max(imum|imal)?|highest|m[áa]xim[ao]|massim[ao]|min(imum|imal)?|lowest|m[íi]nim[ao]"
)
_MEAN = re.compile(
    r"avg|average|mean|median|mittel(wert)?|durchschnitt|moyen(ne)?|m[ée]di[ao]|promedio"
)
_LEAST_OR_LARGEST_PART = re.compile(r"最大|最小|最高|最低")
_MEAN_PART = re.compile(r"平均")
_CAPITALS = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_IN_BRACKETS = re.compile(r"[\[(]\s*([^\])]*)\s*[\])]")
# PR is a pulse rate, or an interval of an ECG; Hr is a heart rate, or an hour.
_ABBREVIATIONS = {"PR", "Pr", "pr", "Hr"}
_GALVANIC = {"gsr", "galvanic skin response"}
"""A conductance or a resistance, which only the unit tells; without one it is a doubt."""
_BY_UNIT_ALONE = {"scl", "sc"}
"""Names of skin conductance where a unit of it stands beside them, and of something else else."""

_GALVANIC_WORDS = r"((gsr|eda|galvanic|skin|response|electrodermal) )+"
_CONDUCTANCE = re.compile(rf"{_GALVANIC_WORDS}conductance( level)?|(.* )?gsc")
"""Names that say what was measured; a device may stand before the short one."""
_RESISTANCE = re.compile(rf"{_GALVANIC_WORDS}resistance")
_SEVERAL_DEVICES = N_(
    "Column {column} names {n} devices or arms ({names}). Choose it as the source, so that "
    "their readings stay apart; on the command line: {option}."
)
_SEVERAL_STREAMS = N_(
    "Column {column} names {n} devices, arms or people ({names}): by their times and values the "
    "readings are not of one. Choose it as the source, so that they stay apart; on the command "
    "line: {option}. Of several people give each a file instead."
)
_SEVERAL_THINGS = N_(
    "Column {column} names {n} different things ({names}), and column {values} has the values of "
    "all of them. Keep the rows of one, or choose it as the source, so that they stay apart; on "
    "the command line: {option}."
)
_WITHIN_SOURCE = N_(
    "Column {column} names {n} devices, arms or people ({names}): their readings lie between each "
    "other in time, and would be one source ({source}). Give each a file, with a source of its "
    "own; on the command line, such as --source left."
)


class ColumnDoubt(NamedTuple):
    """Why no column was guessed for a target.

    Attributes:
        columns: the columns that may hold the target.
        sentence: names these columns, and how to choose one.
    """

    columns: tuple[str, ...]
    sentence: Message


@dataclass(frozen=True, slots=True)
class Names:
    """What the names of a table's columns tell.

    Attributes:
        columns: target → the only column that it can be.
        units: kind → unit in the name of its column.
        doubts: target → why no column was taken for it.
    """

    columns: Mapping[str, str]
    units: Mapping[str, str]
    doubts: Mapping[str, ColumnDoubt]


def read_names(header: Sequence[str]) -> Names:
    """Return what the names of columns tell; each column has one meaning at most."""
    columns: dict[str, str] = {}
    units: dict[str, str] = {}
    doubts: dict[str, ColumnDoubt] = {}
    for target in ("at", "time", *VitalKind):
        names = [name for name in _candidates(target, header) if name not in columns.values()]
        # A name that occurs twice is refused as such by whoever reads the table.
        if len(set(names)) > 1:
            doubts[target] = _several(target, names)
        elif names and _is_doubtful(target, names[0]):
            doubts[target] = doubtful(target, names[0])
        elif names:
            columns[target] = names[0]
            unit = _unit_of(target, names[0])
            units |= {target: unit} if unit else {}
    if "time" in columns and "at" not in doubts:
        if "at" not in columns:  # a column named time that holds whole instants
            columns["at"] = columns.pop("time")
        elif not re.fullmatch(_DAY, _name_of_times(columns["at"])):  # the other holds them
            del columns["time"]
    if not set(VitalKind) & {*columns, *doubts}:
        doubts |= _doubt_of_temperature(header)
    return Names(columns, units, doubts)


def names_readings(header: Sequence[str]) -> bool:
    """Return whether a row can be the names of the columns of a table of readings."""
    names = read_names(header)
    targets = {*names.columns, *names.doubts}
    has_pairs = any(PAIRS.fullmatch(bare_name(name)) for name in header)
    return "at" in targets and (has_pairs or bool(set(VitalKind) & targets))


def bare_name(column: str) -> str:
    """Return a column's name in small letters without brackets and punctuation.

    Example:
        >>> bare_name("beatsPerMinute"), bare_name("SpO2 (%)"), bare_name("HEART_RATE")
        ('beats per minute', 'spo2', 'heart rate')
    """
    name = _CAPITALS.sub(" ", _IN_BRACKETS.sub("", unicodedata.normalize("NFKC", column)))
    return " ".join(name.replace("_", " ").replace(".", " ").lower().split())


def unit_in_name(column: str) -> str:
    """Return the unit in brackets in a column's name; empty if there is none."""
    texts = (text.strip() for text in _IN_BRACKETS.findall(unicodedata.normalize("NFKC", column)))
    return next((text for text in texts if not _is_statistic(text.lower())), "")


def _is_of_kind(kind: VitalKind, column: str) -> bool:
    """Return whether a column's name can be one of a kind, also of a statistic of its values.

    With the unit of a rate, the word *rate* may be missing: ``Respiration (1/min)``.
    """
    name = _without_unit(kind, column)
    names = {name, _without_statistic(name)} | (
        {f"{name} rate"} if _unit_of(kind, column) else set()
    )
    if kind is VitalKind.SKIN_CONDUCTANCE:
        if name in _BY_UNIT_ALONE or _RESISTANCE.fullmatch(name):
            return bool(_unit_of(kind, column))
        if name in _GALVANIC or _is_conductance(column):
            return True
    return any(re.fullmatch(kind.spec.headers, one) for one in names) or (
        kind is VitalKind.HEART_RATE and name == "pr"
    )


def _is_conductance(column: str) -> bool:
    """Return whether a column's name says that it is a conductance of the skin."""
    name = _without_unit(VitalKind.SKIN_CONDUCTANCE, column)
    return _CONDUCTANCE.fullmatch(name) is not None


def how_to_choose(target: str, column: str) -> str:
    """Return the option that takes a column for a target, as a shell wants it."""
    return f"--map {target}={shlex.quote(column)}"


def _candidates(target: str, header: Sequence[str]) -> list[str]:
    if target in SPECS:
        kind = VitalKind(target)
        names = [name for name in header if _is_of_kind(kind, name)]
        # A resistance beside the conductance says the same once more.
        if kind is VitalKind.SKIN_CONDUCTANCE and any(map(_is_conductance, names)):
            names = [name for name in names if _is_conductance(name)]
        # A column whose unit belongs to another kind counts only where no other column fits.
        return [name for name in names if _unit_of(kind, name) or not unit_in_name(name)] or names
    names = [name for name in header if re.fullmatch(_TIMES[target], _name_of_times(name))]
    bare = {_name_of_times(name) for name in header}
    if not _BESIDE_DATA & bare:
        names = [name for name in names if bare_name(name) != "data"]
    # A date beside a time of day is taken before other columns with both.
    days = [name for name in names if re.fullmatch(_DAY, _name_of_times(name))]
    has_time = any(re.fullmatch(_TIMES["time"], name) for name in bare)
    return days if target == "at" and days and has_time else _certain_times(names, header)


def _name_of_times(column: str) -> str:
    """Return a column's name without brackets, punctuation and words about its zone."""
    name = bare_name(column)
    if re.fullmatch(_TIMES["at"], name) or not (zone_in_name(column) or says_local(column)):
        return name
    return without_zone(name)


def names_times(column: str) -> bool:
    """Return whether the name of a column is that of times, with date or of day alone."""
    name = _name_of_times(column)
    return any(re.fullmatch(pattern, name) for pattern in _TIMES.values())


def _certain_times(names: list[str], header: Sequence[str]) -> list[str]:
    """Return of several columns of whole moments the one that names its zone, beside local ones."""
    certain = [name for name in names if zone_in_name(name) is not None]
    others = [name for name in names if name not in certain]
    has_days = any(re.fullmatch(_DAY, _name_of_times(name)) for name in header)
    is_certain = len(certain) == 1 and all(map(says_local, others)) and not has_days
    return certain if is_certain else names


def _unit_of(target: str, column: str) -> str:
    """Return the unit of a kind in a column's name, in brackets or as its last words."""
    if target not in SPECS:
        return ""
    unit = unit_in_name(column) or _last_words(VitalKind(target), column)
    spec = VitalKind(target).spec
    scale = spec.scale_of(unit)
    # Spelt as people can choose it, where they can.
    choices = (choice for choice in spec.unit_choices if spec.scale_of(choice) == scale)
    return "" if scale is None else next(choices, unit)


def _last_words(kind: VitalKind, column: str) -> str:
    """Return the last words of a column's name that are a unit, such as ``deg c``; else nothing.

    A name of the kind that ends like a unit (``beats per minute``) has none.
    """
    words = bare_name(column).split()
    is_name = re.fullmatch(kind.spec.headers, " ".join(words)) is not None
    for first in range(len(words) - 1 if is_name else max(1, len(words) - 3), len(words)):
        unit = " ".join(words[first:])
        if first and kind.spec.scale_of(unit) is not None:
            return unit
    return ""


def _without_unit(kind: VitalKind, column: str) -> str:
    name = bare_name(column)
    unit = "" if unit_in_name(column) else _last_words(kind, column)
    return name.removesuffix(unit).rstrip() if unit else name


def _is_statistic(word: str) -> bool:
    return bool(_LEAST_OR_LARGEST.fullmatch(word) or _MEAN.fullmatch(word))


def _without_statistic(name: str) -> str:
    words = [word for word in name.split() if not _is_statistic(word)]
    return _MEAN_PART.sub("", _LEAST_OR_LARGEST_PART.sub("", " ".join(words)))


def _is_doubtful(target: str, column: str) -> bool:
    """Return whether the only column of a target may be something else."""
    if target not in SPECS:
        return False
    kind = VitalKind(target)
    name = _without_unit(kind, column)
    if column.strip() in _ABBREVIATIONS or (name in _GALVANIC and not _unit_of(target, column)):
        return True
    if name != _without_statistic(name) and not re.fullmatch(kind.spec.headers, name):
        if kind is VitalKind.RR_INTERVAL:  # the mean of a segment is no interval
            return True
        words = name.split()
        return any(map(_LEAST_OR_LARGEST.fullmatch, words)) or bool(
            _LEAST_OR_LARGEST_PART.search(name)
        )
    texts = _IN_BRACKETS.findall(unicodedata.normalize("NFKC", column))
    return any(_LEAST_OR_LARGEST.fullmatch(text.strip().lower()) for text in texts)


def _label(target: str) -> Message:
    if target in SPECS:
        return as_message(VitalKind(target).spec.name_in_text)
    return as_message(N_("the time") if target == "at" else N_("the time of day"))


def _several(target: str, names: Sequence[str]) -> ColumnDoubt:
    example = min(names, key=lambda name: _is_doubtful(target, name))
    sentence = Message(
        N_(
            "Several columns can be {what}: {columns}. Choose one; on the command line, such as "
            "{option}."
        ),
        what=_label(target),
        columns=", ".join(dict.fromkeys(names)),
        option=how_to_choose(target, example),
    )
    return ColumnDoubt(tuple(names), sentence)


def doubtful(target: str, column: str) -> ColumnDoubt:
    """Return the doubt about a column whose name, or file, may say something else."""
    sentence = Message(
        N_(
            "Column {column} can be {what}, or something else. If it is, choose it; on the command "
            "line: {option}."
        ),
        column=column,
        what=_label(target),
        option=how_to_choose(target, column),
    )
    return ColumnDoubt((column,), sentence)


def _doubt_of_temperature(header: Sequence[str]) -> dict[str, ColumnDoubt]:
    """Return the doubt about a temperature in a table without other values: its place on the body
    is unknown.
    """
    kinds = VitalKind.SKIN_TEMPERATURE, VitalKind.BODY_TEMPERATURE
    for name in header:
        if any(_TEMPERATURE.fullmatch(_without_unit(kind, name)) for kind in kinds):
            sentence = Message(
                N_(
                    "Column {column} can be {what} or {other}. Choose; on the command line: "
                    "{option} or {other_option}."
                ),
                column=name,
                what=_label(kinds[0]),
                other=_label(kinds[1]),
                option=how_to_choose(kinds[0], name),
                other_option=how_to_choose(kinds[1], name),
            )
            return {kinds[0]: ColumnDoubt((name,), sentence)}
    return {}


def doubt_of_values(kind: VitalKind, column: str, value: str) -> ColumnDoubt:
    """Return the doubt about a column of which no value is plausible."""
    sentence = Message(
        N_(
            "Column {column} has a name of {what}, and no plausible value of it (the first is "
            "{value}). If it is, choose it, and its unit; on the command line: {option}."
        ),
        column=column,
        what=_label(kind),
        value=value,
        option=how_to_choose(kind, column),
    )
    return ColumnDoubt((column,), sentence)


def doubt_of_devices(column: str, names: Sequence[str]) -> ColumnDoubt:
    """Return the doubt about readings of several devices, arms or people in one file."""
    is_named = names_devices(bare_name(column))
    sentence = Message(
        _SEVERAL_DEVICES if is_named else _SEVERAL_STREAMS,
        column=column,
        n=len(names),
        names=", ".join(names[:5]),
        option=how_to_choose("source", column),
    )
    return ColumnDoubt((column,), sentence)


def doubt_of_things(column: str, names: Sequence[str], values: str) -> Message:
    """Return the doubt about a column of values of several things, which another one names."""
    return Message(
        _SEVERAL_THINGS,
        column=column,
        n=len(names),
        names=", ".join(names[:5]),
        values=values,
        option=how_to_choose("source", column),
    )


def name_several_kinds(texts: Sequence[str], kinds: Collection[VitalKind]) -> bool:
    """Tell whether texts name what was measured, and not these kinds of vitals alone.

    Their last words name kinds, and no text is empty, as of a remark.

    Example:
        >>> rates = [VitalKind.HEART_RATE]
        >>> name_several_kinds(["sensor.watch_heart_rate", "sensor.cuff_systolic"], rates)
        True
        >>> name_several_kinds(["sensor.watch_heart_rate", "sensor.strap_heart_rate"], rates)
        False
    """
    named = [one for text in texts if (one := _kinds_in(text))]
    others = [one for one in named if not one & {*kinds}]
    return all(texts) and len(named) > 1 and bool(others)


def _kinds_in(text: str) -> set[VitalKind]:
    """Return the kinds that the last words of a text may name."""
    words = re.findall(r"[^\W_]+", text.lower())
    ends = [" ".join(words[first:]) for first in range(len(words))]
    return {
        kind
        for kind in VitalKind
        for end in ends
        if not _is_statistic(end)
        and (kind.value == end.replace(" ", "_") or re.fullmatch(kind.spec.headers, end))
    }


def doubt_within_source(column: str, names: Sequence[str], source: str) -> Message:
    """Return the doubt about readings of several devices, arms or people in one source."""
    shown = ", ".join(names[:5])
    return Message(_WITHIN_SOURCE, column=column, n=len(names), names=shown, source=source)

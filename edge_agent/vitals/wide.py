"""Wide tables of published studies: a row for each person, a column for each state and vital.

Columns are known by the words of their names (``hr_anger``, ``SBP happy (mmHg)``), or explained by
the user. A word that is not known, as in ``hr_anger_sd``, may change the meaning of a column: such
a column is never guessed.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from edge_agent.core import clock
from edge_agent.core.errors import DataFileError, ReadingError, StudyError, shown_value
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.given_readings import ReadingOrigin, is_no_value, reading_of
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import AGE_BAND, SEX, attribute_of, checked_attribute
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.column_names import unit_in_name
from edge_agent.vitals.csv_files import CsvFile

PARTICIPANT = "participant"
AGE = "age"
REST = "baseline"
FORM = "STATE:KIND[:UNIT], participant, age, sex, or an empty value to leave it out"

_STATES = {emotion.value: emotion.value for emotion in EMOTIONS} | {
    "happy": "happiness",
    "joy": "happiness",
    "angry": "anger",
    "sad": "sadness",
    "afraid": "fear",
    "fearful": "fear",
    "surprised": "surprise",
    "disgusted": "disgust",
    REST: REST,
    "rest": REST,
    "resting": REST,
}
"""Words that a person writes for a column → the label of the condition."""
_GUESSED_STATES = _STATES | {
    word: state
    for state, words in {
        "neutral": "neutro neutre neutrale",
        "happiness": "freude glück felicidad felicidade alegría alegria joie felicità gioia",
        "anger": "ärger wut ira enojo colère rabbia raiva",
        "sadness": "trauer traurigkeit tristeza tristesse tristezza",
        "fear": "angst furcht miedo peur paura medo",
        "surprise": "überraschung sorpresa surpresa",
        "disgust": "ekel asco dégoût disgusto nojo",
        REST: "ruhe reposo repos riposo repouso",
    }.items()
    for word in words.split()
}
"""Words of a column's name in six languages → the label of the condition."""
_CAPITALS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CODES = re.compile(
    r"(participante?|teilnehmer|partecipante|subject|suj(et|eto|eito)|soggetto|person|proband|"
    r"patient|sub|subj|vp)?( ?(id|code|nr|no|number))?"
)
_FILLERS = frozenset(
    {"mean", "avg", "average", "during", "in", "at", "under", "the", "condition", "state", "phase"}
)
# Both are kinds by themselves elsewhere; here the first is a filler, and the second an emotion.
_NO_KINDS = frozenset({"mean", "mad"})
_SUMMARIES = frozenset({"mean", "average", "median", "sd", "se", "sem", "total", "n", "min", "max"})
_SHOWN = 5
_LOOKED_AT = 1000
_IMPOSSIBLE = "without a possible value, and not taken"
_ATTRIBUTES = {"age": AGE, "sex": SEX, "gender": SEX}


class Cell(NamedTuple):
    """The state and vital of a column; both empty: it has the participants' codes.

    Attributes:
        state: label of the condition; without a kind ``age`` or ``sex``.
        kind: what was measured; ``None``: codes, age or sex.
        unit: of its values; empty: that of the kind.
    """

    state: str = ""
    kind: VitalKind | None = None
    unit: str = ""


CODES = Cell()
_OF_PERSON = {
    PARTICIPANT: (CODES, "the codes"),
    AGE: (Cell(AGE), "the age"),
    SEX: (Cell(SEX), "the sex"),
}
"""Meanings of columns about a person."""


class WideRow(NamedTuple):
    """A row with at least one value.

    Attributes:
        line: its number in the file.
        code: the participant's code.
        values: state → the values of its columns, in the units of the kinds.
        about: attributes, such as the age band.
    """

    line: int
    code: str
    values: Mapping[str, Sequence[tuple[VitalKind, float]]]
    about: Mapping[str, str]


@dataclass(slots=True)
class WideTable:
    """The persons of a wide table, and everything that is not taken from it.

    Attributes:
        name: of the file.
        columns: column → its state and vital.
        persons: those with a value.
        not_taken: names of the other columns.
        notes: sentences on columns, cells and persons that are not taken.
    """

    name: str
    columns: Mapping[str, Cell]
    persons: list[WideRow] = field(default_factory=list)
    not_taken: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def _words(name: str) -> list[str]:
    """Return the words of a column's name without the unit in brackets; ``HRAnger`` has two."""
    bare = name.replace(f"({unit_in_name(name)})", " ").replace(f"[{unit_in_name(name)}]", " ")
    words: list[str] = []
    for word in re.findall(r"[^\W_]+", bare):
        # Units have capitals within: mmHg, kPa.
        is_unit = any(kind.spec.scale_of(word) for kind in VitalKind)
        parts = [word] if is_unit else _CAPITALS.split(word)
        words += [part.lower() for part in parts]
    return words


def _kind_of(words: Sequence[str]) -> VitalKind | None:
    name = " ".join(words)
    if name in _NO_KINDS:
        return None
    for kind in VitalKind:
        if name == kind.value.replace("_", " ") or re.fullmatch(kind.spec.headers, name):
            return kind
    return None


def _kinds_in(words: Sequence[str]) -> Iterator[tuple[VitalKind, list[str]]]:
    """Yield each kind that some neighbouring words name, and the other words; longest first."""
    for length in range(len(words), 0, -1):
        for start in range(len(words) - length + 1):
            kind = _kind_of(words[start : start + length])
            if kind is not None:
                yield kind, [*words[:start], *words[start + length :]]


def guessed_cell(name: str) -> Cell | None:
    """Return the state and vital that all words of a column's name tell; ``None``: they do not.

    Example:
        >>> guessed_cell("SBP happy (mmHg)")
        Cell(state='happiness', kind=<VitalKind.SYSTOLIC: 'systolic'>, unit='mmHg')
        >>> guessed_cell("hr_anger_sd") is None
        True
    """
    words = _words(name)
    if not unit_in_name(name) and words and _CODES.fullmatch(" ".join(words)):
        return CODES
    for kind, others in _kinds_in(words):
        units = [word for word in others if kind.spec.scale_of(word)]
        states = [word for word in others if word in _GUESSED_STATES]
        known = len(units) + len(states) + sum(word in _FILLERS for word in others)
        if len(states) == 1 and len(units) <= 1 and known == len(others):
            unit = unit_in_name(name) or "".join(units)
            is_clear = kind.spec.scale_of(unit) if unit else not kind.spec.unit_needed
            return Cell(_GUESSED_STATES[states[0]], kind, unit) if is_clear else None
    return None


def is_half_known(name: str) -> bool:
    """Tell whether some word of a column's name is a state or a vital, so that it is worth asking
    about.
    """
    words = _words(name)
    return any(word in _GUESSED_STATES for word in words) or any(True for _ in _kinds_in(words))


def how_to_take(name: str) -> str:
    """Return the option that takes a column of which all but the state is known; empty: none does.

    Example:
        >>> how_to_take("hr_amusement"), how_to_take("Age"), how_to_take("hr_anger_sd")
        ('--column hr_amusement=amusement:hr', '--column Age=age', '')
    """
    words = _words(name)
    if len(words) == 1 and words[0] in _ATTRIBUTES:
        return f"--column {shlex.quote(f'{name}={_ATTRIBUTES[words[0]]}')}"
    for kind, others in _kinds_in(words):
        units = [word for word in others if kind.spec.scale_of(word)]
        state = "_".join(word for word in others if word not in {*units, *_FILLERS})
        unit = "".join(f":{word}" for word in units[:1])
        if state and not any(word in _GUESSED_STATES or word in _SUMMARIES for word in others):
            of = "_".join(word for word in words if word not in others)
            meaning = f"{state}:{of}{unit}"
            with suppress(DataFileError):
                told_cell(name, meaning)
                return f"--column {shlex.quote(f'{name}={meaning}')}"
    return ""


def columns_not_read(table: WideTable, told: Mapping[str, str]) -> list[str]:
    """Return the columns that are left out, each with the option that would take it.

    Args:
        table: what was read.
        told: column → its meaning, for those that a person has named.
    """
    columns = []
    for name in table.not_taken:
        how = "" if name in told else how_to_take(name)
        columns.append(f"column {name or '(no name)'}{f' ({how})' if how else ''}")
    return columns


def told_cell(column: str, text: str) -> Cell | None:
    """Return the meaning of a column as a user wrote it; ``None``: it is left out.

    Raises:
        DataFileError: it is not written as ``FORM`` says.
    """
    parts = [part.strip() for part in text.split(":")]
    if text.strip().lower() in _OF_PERSON:
        return _OF_PERSON[text.strip().lower()][0]
    if parts == [""]:
        return None
    kind = _kind_of(_words(parts[1])) if len(parts) > 1 else None
    if len(parts) > 3 or not parts[0] or kind is None:
        raise DataFileError(
            f"Column {column}: {shown_value(text)} is not {FORM}. Kinds: {', '.join(VitalKind)}."
        )
    unit = parts[2] if len(parts) == 3 else unit_in_name(column)
    if not kind.spec.scale_of(unit) if unit else kind.spec.unit_needed:
        raise DataFileError(
            f"Column {column}: {shown_value(unit)} is no unit of {kind}. Write one of "
            f"{', '.join(kind.spec.units)}, such as {column}={parts[0]}:{kind}:"
            f"{next(iter(kind.spec.units))}."
        )
    return Cell(_STATES.get(parts[0].lower(), parts[0]), kind, unit)


def wide_columns(
    file: CsvFile, told: Mapping[str, str], ask: Callable[[str], str] | None = None
) -> dict[str, Cell]:
    """Return the columns of a wide table that are taken.

    Args:
        file: the table.
        told: column → its meaning, as ``told_cell`` takes it.
        ask: asks for the meaning of a column that its name half tells; ``None``: nobody is there.

    Raises:
        DataFileError: a column is not there or is there twice, or none has codes or values.
    """
    header = file.header
    for name in told:
        if header.count(name) != 1:
            times = "occurs twice" if name in header else "is not there"
            raise DataFileError(
                f"{file.name}: column {shown_value(name)} {times}. Columns: {', '.join(header)}."
            )
    columns = {name: cell for name, text in told.items() if (cell := told_cell(name, text))}
    guesses = {
        name: cell
        for name in header
        if name not in told and header.count(name) == 1 and (cell := guessed_cell(name))
    }
    # Two columns of one meaning: which of them is meant, or both, only a person knows.
    of_cell = Counter(cell[:2] for cell in (*columns.values(), *guesses.values()))
    # Two columns of codes are refused below.
    of_cell[CODES[:2]] = 1 + (CODES in columns.values())
    columns |= {name: cell for name, cell in guesses.items() if of_cell[cell[:2]] == 1}
    if ask is not None:
        for name in header:
            is_open = name not in columns and name not in told and header.count(name) == 1
            if is_open and (name in guesses or is_half_known(name)):
                cell = told_cell(name, ask(name))
                columns |= {} if cell is None else {name: cell}
    missing = "" if any(cell.kind for cell in columns.values()) else "no column has values"
    if CODES not in columns.values():
        missing = "no column has the codes"
    for cell, what in _OF_PERSON.values():
        names = [name for name, of in columns.items() if of == cell]
        if len(names) > 1:
            missing = f"several columns have {what} ({', '.join(names)})"
    if missing:
        _refuse_long(file)
        raise DataFileError(
            f"{file.name}: {missing}. Explain columns with --column NAME=MEANING: {FORM}. "
            f"Columns: {', '.join(header)}."
        )
    # In the order of the file: the made-up times follow it.
    return {name: columns[name] for name in header if name in columns}


def _refuse_long(file: CsvFile) -> None:
    """Refuse a table with a row for each person and state, and the state in a column.

    Raises:
        DataFileError: the code of a person comes in several rows, and a column has the vital alone.
    """
    header = [name for name in file.header if file.header.count(name) == 1]
    codes = [name for name in header if guessed_cell(name) == CODES]
    values = [name for name in header if _kind_of(_words(name)) is not None]
    if len(codes) != 1 or not values:
        return
    rows = [
        dict(zip(file.header, row.cells, strict=True))
        for row in islice(file.rows(), _LOOKED_AT)
        if not row.fault
    ]
    people = {row[codes[0]] for row in rows}
    for name in header:
        # Each person has each text once.
        pairs = {(row[codes[0]], row[name]) for row in rows}
        texts = [text for text in dict.fromkeys(row[name] for row in rows) if text]
        is_state = name not in (*codes, *values) and not any(map(_has_no_letter, texts))
        if is_state and len(texts) > 1 and len(people) < len(rows) == len(pairs):
            example = f"{values[0]}_{texts[0]}"
            raise DataFileError(
                f"{file.name}: has a row for each person and state: the state stands in column "
                f"{name}. Make it wide: one row for each person, and a column for each state, such "
                f"as {codes[0]}, {example}, {values[0]}_{texts[1]}. Nothing was imported."
            )


def _has_no_letter(text: str) -> bool:
    return not any(map(str.isalpha, text))


def read_wide(
    file: CsvFile, columns: Mapping[str, Cell], told: Mapping[str, str] | None = None
) -> WideTable:
    """Return the persons of a wide table, and notes on what is not taken, or taken for another
    state than was written.

    Args:
        file: the table.
        columns: those that are taken.
        told: column → its meaning as somebody wrote it.

    Raises:
        DataFileError: rows have too few or too many cells, no code, the code of another row, or a
            summary such as the mean: they are named.
    """
    table = WideTable(file.name, columns)
    table.not_taken = tuple(name for name in file.header if name not in columns)
    lines: dict[str, int] = {}
    problems: list[str] = []
    without: list[str] = []
    odd: dict[tuple[str, str], list[str]] = {}
    for line, cells, torn, _ in file.only_rows():
        if torn:
            problems.append(f"{file.name}, row {line}: {torn}")
            continue
        row = dict(zip(file.header, cells, strict=True))
        code = next(row[name] for name, cell in columns.items() if cell == CODES)
        fault = _fault_of(code, lines)
        if fault:
            problems.append(f"{file.name}, row {line}: {fault}")
            continue
        lines[code.casefold()] = line
        values = _values_of(row, code, columns, odd)
        if values:
            about = _attributes_of(row, code, columns, odd)
            table.persons.append(WideRow(line, code, values, about))
        else:
            without.append(code)
    if problems:
        more = [f"… and {len(problems) - _SHOWN} more."] if len(problems) > _SHOWN else []
        raise DataFileError("\n".join([*problems[:_SHOWN], *more, "Nothing was imported."]))
    table.notes = [
        f"{name} is {cell.state}{', which becomes an age band' if cell == Cell(AGE) else ''}"
        f"{f', {cell.kind}' if cell.kind else ''}{f' ({cell.unit})' if cell.unit else ''}."
        f"{_taken_for(cell, (told or {}).get(name, ''))}"
        for name, cell in columns.items()
        if cell != CODES
    ]
    table.notes += _reasons(odd, columns)
    if not table.persons:
        reasons = _reasons(odd, columns)
        raise DataFileError(
            "\n".join(
                [
                    f"{file.name}: has no session: no person has a value. Nothing was imported.",
                    *reasons,
                ]
            )
        )
    if without:
        persons = "1 person has" if len(without) == 1 else f"{len(without)} persons have"
        table.notes.append(f"{persons} no value, and no session here: {_some(without)}.")
    return table


def _reasons(
    odd: Mapping[tuple[str, str], Sequence[str]], columns: Mapping[str, Cell]
) -> list[str]:
    """Return a sentence for each column with cells that give no value, or one in doubt."""
    return [
        f"{name}: {len(cells)} {'cell' if len(cells) == 1 else 'cells'} {why} ({_some(cells)})."
        f"{_other_unit(name, columns[name], cells) if why == _IMPOSSIBLE else ''}"
        for (name, why), cells in odd.items()
    ]


def _other_unit(column: str, cell: Cell, cells: Sequence[str]) -> str:
    """Return the unit in which values of cells would be plausible, as a sentence; else nothing."""
    kind = cell.kind
    if kind is None:
        return ""
    texts = [text.rpartition(": ")[2].strip("'\"") for text in cells]
    for unit in kind.spec.unit_choices:
        if unit != cell.unit and all(_is_plausible(kind, text, unit) for text in texts):
            meaning = shlex.quote(f"{column}={cell.state}:{kind}:{unit}")
            return f" In {unit} they would be possible: name the unit, --column {meaning}."
    return ""


def _is_plausible(kind: VitalKind, text: str, unit: str) -> bool:
    origin = ReadingOrigin("", decimal_comma=True, live=False)
    with suppress(ReadingError):
        given = {"kind": kind.value, "value": text, "unit": unit}
        return VitalFlag.OUT_OF_RANGE not in reading_of(given, clock.now(), origin).flags
    return False


def _taken_for(cell: Cell, told: str) -> str:
    """Say that a state was taken for another word than was written; empty: it was not."""
    word = told.partition(":")[0].strip()
    if not word or cell.kind is None or cell.state in (word, word.lower()):
        return ""
    what = "the time at rest" if cell.state == REST else "the emotion"
    return (
        f" {shown_value(word)} was taken for {cell.state}, {what}. For a condition of its own, "
        f"write another word, such as {word}_1."
    )


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _fault_of(code: str, lines: Mapping[str, int]) -> str:
    """Return why a row is no person of a wide table; empty: it is one."""
    if not code:
        return "has no participant's code. Fill it in, or remove the row."
    if code.casefold() in lines:
        return (
            f"participant {shown_value(code)} is in row {lines[code.casefold()]} already. A wide "
            "table has one row a person: keep one, or give each its own code."
        )
    if code.casefold() in _SUMMARIES:
        return f"{shown_value(code)} is a summary and no person. Remove the row."
    return ""


def _attributes_of(
    row: Mapping[str, str],
    code: str,
    columns: Mapping[str, Cell],
    odd: dict[tuple[str, str], list[str]],
) -> dict[str, str]:
    """Return the age band and sex of a person, and note each cell that gives none."""
    about = {}
    for name in (name for name, cell in columns.items() if cell != CODES and cell.kind is None):
        text = row[name].replace(",", ".")
        try:
            key, value = checked_attribute(*attribute_of(columns[name].state, text))
        except StudyError:
            key, value = "", ""
        if key in (AGE_BAND, SEX):
            about[key] = value
        else:
            what = f"{code}: {shown_value(row[name])}"
            odd.setdefault((name, "without a known value, and not taken"), []).append(what)
    return about


def _values_of(
    row: Mapping[str, str],
    code: str,
    columns: Mapping[str, Cell],
    odd: dict[tuple[str, str], list[str]],
) -> dict[str, list[tuple[VitalKind, float]]]:
    """Return the values of a person by state, and note each cell that gives none or is in doubt."""
    origin = ReadingOrigin("", decimal_comma=True, live=False)
    values: dict[str, list[tuple[VitalKind, float]]] = {}
    for name, (state, kind, unit) in columns.items():
        if kind is None:
            continue
        text = row[name]
        if is_no_value(text):
            odd.setdefault((name, "empty, and not taken"), []).append(code)
            continue
        try:
            given = {"kind": kind.value, "value": text, "unit": unit}
            reading = reading_of(given, clock.now(), origin)
        except ReadingError:
            # The message of the cell would fill a line for each; the value names the fault.
            odd.setdefault((name, _IMPOSSIBLE), []).append(f"{code}: {shown_value(text)}")
            continue
        if VitalFlag.OUT_OF_RANGE in reading.flags:
            odd.setdefault((name, "out of range, and in no mean"), []).append(
                f"{code}: {shown_value(text)}"
            )
        values.setdefault(state, []).append((kind, reading.value))
    return values

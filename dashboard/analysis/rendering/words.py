"""The words of an analysis: macros of Jinja, one file a subject, in the language in use.

Page, API, terminal and print say the same because each sentence stands in one macro. A macro takes
what the lower floors computed; it chooses words and rounds numbers, and computes nothing.
"""

from __future__ import annotations

import math
import os
import re
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.bccache import Bucket

from dashboard.analysis import notices
from dashboard.analysis.decision import why_model_differs
from dashboard.analysis.question import (
    DOUBTS,
    MEASURE_NAMES,
    MEASURE_UNITS,
    HeartMeasure,
    SkinMeasure,
)
from dashboard.analysis.rendering import numbers
from dashboard.languages import current, figures, names
from dashboard.languages.templates import BLOCK, BLOCK_PLURAL, TextBlocks
from dashboard.statistics import ALPHA, MINIMUM
from dashboard.statistics.heart import MINIMUM_S
from edge_agent.core.measures import measure_of
from edge_agent.core.study import exact_since_start
from edge_agent.core.texts import utc_text
from edge_agent.store.read.measured import FACE

TEXTS = Path(__file__).parent / "texts"
_SPACE = re.compile(r"[ \n]+")  # no other white space: a narrow one belongs to its number


def say(subject: str, macro: str, *values: object, **named: object) -> str:
    """Return the text of one macro, its white space folded; empty where there is nothing to say.

    Args:
        subject: file of ``texts/``, without its ending.
        macro: its name there.
        values: what the macro takes.
        named: the same, by name.
    """
    return _line(getattr(_module(subject), macro)(*values, **named))


def sentences(subject: str, macro: str, *values: object, **named: object) -> tuple[str, ...]:
    """Return the texts of a macro that writes one a line."""
    told: str = getattr(_module(subject), macro)(*values, **named)
    return tuple(filter(None, map(_line, told.split("\n"))))


class _Compiled(jinja2.FileSystemBytecodeCache):
    """Keeps compiled macros in a folder of this user alone, for the next process that computes:
    to compile them takes as long as an analysis.
    """

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a file, or do without where there is no room."""
        with suppress(OSError):
            super().dump_bytecode(bucket)


def _open_cache() -> _Compiled | None:
    """Return the folder; ``None`` where there is none of this user alone.

    Jinja would choose one by itself, and change the mode of whatever a link in its place leads to.
    """
    folder = Path(tempfile.gettempdir()) / f"affect-edge-words-{os.getuid()}"
    try:
        with suppress(FileExistsError):
            folder.mkdir(0o700)
        entry = folder.lstat()
    except OSError:
        return None
    is_own = stat.S_ISDIR(entry.st_mode) and entry.st_uid == os.getuid()
    return _Compiled(str(folder)) if is_own and not entry.st_mode & 0o077 else None


def _text(message: str, /, **places: object) -> str:
    return current.gettext(message).format(**_lines(places))


def _plural(singular: str, several: str, n: int, /, **places: object) -> str:
    return current.ngettext(singular, several, n).format(**_lines({"n": n} | places))


def _lines(places: dict[str, object]) -> dict[str, object]:
    return {name: _write(one) for name, one in places.items()}


def _write(value: object) -> object:
    """Return what fills a place: text in one line, a count with its thousands apart."""
    if isinstance(value, str):
        return _line(value)
    return figures.thousands(value) if isinstance(value, int) else value


def _line(text: str) -> str:
    """Write in one line: in a macro, white space stands for its layout."""
    return _SPACE.sub(" ", text).strip()


@cache
def _module(subject: str) -> Any:
    return _environment().get_template(f"{subject}.jinja").module


@cache
def _environment() -> jinja2.Environment:
    """Return the environment of the macros: plain text, so nothing is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEXTS),
        autoescape=False,  # noqa: S701 - plain text; the page that shows it escapes it
        extensions=[TextBlocks, "jinja2.ext.do"],
        undefined=jinja2.StrictUndefined,
        bytecode_cache=_open_cache(),
    )
    environment.globals.update(
        {
            "_": _text,
            BLOCK: _text,
            BLOCK_PLURAL: _plural,
            "ngettext": _plural,
            "ALPHA": ALPHA,
            "LARGE_FACTOR": numbers.LARGE_FACTOR,
            "DOUBTS": DOUBTS,
            "FACE": FACE,
            "MINIMUM": MINIMUM,
            "MEASURE_UNITS": MEASURE_UNITS,
            "MINIMUM_S": MINIMUM_S,
            "common_order": notices.common_order,
            "differing": notices.differing,
            "pgettext": current.pgettext,
            "uneven_in_people": notices.uneven_people,
            "uneven_in_readings": notices.uneven_readings,
            "pair": numbers.pair_text,
            "why_model_differs": why_model_differs,
            "bounds": numbers.bounds_text,
            "lags": numbers.lags_text,
            "settling": numbers.settling_text,
        }
    )
    environment.filters.update(
        {
            "apa_p": numbers.apa_p,
            "brackets": numbers.brackets,
            "by_locale": figures.by_locale,
            "capitalised": names.capitalise,
            "conclusion": numbers.conclusion_name,
            "correction": numbers.correction_name,
            "decimal": figures.decimal,
            "df": numbers.df_text,
            "ends": numbers.ends_text,
            "exact_df": numbers.exact_df,
            "factor": numbers.factor_text,
            "flag": numbers.flag_name,
            "general": figures.general,
            "how_many": numbers.how_many,
            "initial": _initial,
            "line": _line,
            "measure": measure_of,
            "measure_name": _measure_name,
            "moment": _moment,
            "number": numbers.number,
            "p": numbers.p_equals,
            "people": numbers.people,
            "percent": numbers.percent,
            "ratio": _ratio,
            "said": names.translate,
            "sessions": numbers.sessions_text,
            "shift": numbers.shift_text,
            "since_start": _since_start,
            "source": numbers.source_name,
            "state": names.state_name,
            "spans": numbers.spans_text,
            "states": numbers.states_text,
            "thousands": figures.thousands,
            "unit": numbers.unit_of,
            "vital": names.vital_label,
            "vital_in_text": names.vital_in_text,
            "with_and": names.with_and,
            "without_stop": _without_stop,
            "words": names.words,
        }
    )
    return environment


def _moment(at_ms: int) -> str:
    """Return a time, UTC, as the language writes it."""
    return names.translate(utc_text(at_ms))


def _without_stop(sentence: str) -> str:
    """Return a sentence that goes on."""
    return sentence.strip().removesuffix(".")


def _initial(text: str) -> str:
    """Begin a text with a capital letter, and leave the rest."""
    return text[:1].upper() + text[1:]


def _measure_name(measure: HeartMeasure | SkinMeasure) -> str:
    return current.gettext(MEASURE_NAMES[measure])


def _ratio(difference: float) -> str:
    """Write a difference of logarithms as the ratio that it is the logarithm of."""
    return figures.decimal(math.exp(difference), 2)


def _since_start(seconds: float) -> str:
    return exact_since_start(round(1000 * seconds))

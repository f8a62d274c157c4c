"""Sentences as macros of Jinja, one file a subject, in the language in use.

Page, API, terminal and print say the same because each sentence stands in one macro. A macro takes
what was computed, and codes of the result; it chooses words and writes numbers, and computes
nothing. Its filters are names (``names.py``) and forms of numbers and times (``figures.py``).
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
from jinja2.bccache import Bucket

from dashboard.languages import current, figures, names
from dashboard.languages.templates import BLOCK, BLOCK_PLURAL, TextBlocks
from edge_agent import __version__

_NOTHING: Mapping[str, Any] = MappingProxyType({})
FILTERS: Mapping[str, Callable[..., object]] = {
    "apa_p": figures.apa_p,
    "by_locale": figures.by_locale,
    "capitalised": names.capitalise,
    "clock": figures.clock,
    "day": figures.day,
    "decimal": figures.decimal,
    "df": figures.df_text,
    "duration": figures.duration,
    "exact_df": figures.exact_df,
    "general": figures.general,
    "initial": names.initial,
    "lowered": names.title_in_text,
    "moment": figures.moment,
    "number": figures.number,
    "p": figures.p_equals,
    "people": names.people,
    "percent": figures.percent,
    "said": names.translate,
    "sessions": names.sessions_text,
    "signed": figures.with_sign,
    "state": names.state_name,
    "thousands": figures.thousands,
    "to": figures.between,
    "unit": names.unit_of,
    "vital": names.vital_label,
    "vital_in_text": names.vital_in_text,
    "vital_short": names.vital_short,
    "whole_duration": figures.whole_duration,
    "with_and": names.with_and,
    "with_unit": names.with_unit,
    "without_stop": names.without_stop,
    "words": names.words,
}
"""Filters of every macro."""
_PATTERN = f"{__version__}-%s.cache"
"""Names of compiled macros: another release may call their filters otherwise."""
_SPACE = re.compile(r"[ \n]+")  # no other white space: a narrow one belongs to its number


class Macros:
    """The macros in the files of a folder, mostly the one beside the module that uses them."""

    def __init__(
        self,
        folder: Path,
        *,
        filters: Mapping[str, Callable[..., object]] = _NOTHING,
        names: Mapping[str, object] = _NOTHING,
    ) -> None:
        """Keep where the files lie; what they are made into is made when it is needed.

        Args:
            folder: of the files.
            filters: beside those of every macro.
            names: what macros know beside what they are given.
        """
        self._folder = folder
        self._filters = filters
        self._names = names

    def say(self, subject: str, macro: str, *values: object, **named: object) -> str:
        """Return the text of a macro, its white space folded; empty where there is nothing to say.

        Args:
            subject: the file, without its ending.
            macro: its name there.
            values: what the macro takes.
            named: the same, by name.
        """
        return _line(self._call(subject, macro, *values, **named))

    def sentences(
        self, subject: str, macro: str, *values: object, **named: object
    ) -> tuple[str, ...]:
        """Return the texts of a macro that writes one a line."""
        told = self._call(subject, macro, *values, **named)
        return tuple(filter(None, map(_line, told.split("\n"))))

    def _call(self, subject: str, macro: str, *values: object, **named: object) -> str:
        template = self._environment.get_template(f"{subject}.jinja")
        told: str = getattr(template.module, macro)(*values, **named)
        return told

    @cached_property
    def _environment(self) -> jinja2.Environment:
        """The environment of the macros: plain text, so nothing is escaped."""
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(self._folder),
            autoescape=False,  # noqa: S701 - plain text; the page that shows it escapes it
            auto_reload=False,
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
                "pgettext": current.pgettext,
            }
        )
        environment.globals.update(self._names)
        add_filters(environment, {**FILTERS, "line": _line, **self._filters})
        return environment


def add_filters(
    environment: jinja2.Environment, filters: Mapping[str, Callable[..., object]]
) -> None:
    """Let templates write by functions, in the language of the one who reads.

    Jinja would write ``{{ 8.5|general }}`` once, when it compiles a template, in the language of
    that moment: no filter of a constant that takes the context is.
    """

    def late(write: Callable[..., object]) -> Callable[..., object]:
        def write_late(_context: object, *values: object, **named: object) -> object:
            return write(*values, **named)

        return jinja2.pass_context(write_late)

    environment.filters.update({name: late(write) for name, write in filters.items()})


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
    return _Compiled(str(folder), _PATTERN) if is_own and not entry.st_mode & 0o077 else None


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

"""Texts of pages that no catalogue can hold: found in templates, scripts, and in what is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

SHOWN_ATTRIBUTES = frozenset(
    {"aria-label", "title", "placeholder", "alt", "data-label", "data-confirm"}
)
SILENT_TAGS = frozenset({"script", "style", "code", "kbd", "pre", "time", "textarea"})
VOID_TAGS = frozenset(
    {"br", "img", "input", "link", "meta", "hr", "source", "path", "rect", "circle", "line"}
)
_UNITS = r"/min|mmHg|min|ms|mg|cm|GB|MB|kB|MiB|°C|µS|px|Hz|rpm|bpm"
_NAMES = (
    r"Affect Edge|SHA-256|JSON|CSV|PNG|SVG|XXXX-XXXX-XXXX|RMSSD|SDNN|SD[12]|LF/HF|BF₁₀|MQTT|UTC|"
    r"HTML|df|"
    r"BIDS \(zip\)|Parquet \(zip\)|SPSS \(zip\)|EDF\+ \(zip\)|Excel|NDJSON|SQLite|"  # formats
    r"FHIR R4|"
    r"Space|Esc|Holm|Benjamini–Hochberg|English|Deutsch|Español|Hedges|UTF-8"
)
_NO_TEXT = re.compile(rf"(?<![^\W\d_])(?:{_UNITS}|{_NAMES}|[a-z_]+\.csv)(?![^\W\d_])")
_WORD = re.compile(r"[^\W\d_]{2,}")


def has_words(text: str) -> bool:
    """Tell whether a text says something in a language: names of formats and units do not."""
    return _WORD.search(_NO_TEXT.sub("", text)) is not None


class ShownTexts(HTMLParser):
    """Collects what a page shows: its texts, and the attributes that are read out or shown.

    What stands in ``translate="no"`` or in another language (``lang``) is somebody's own.
    """

    def __init__(self, silent: frozenset[str] = SILENT_TAGS) -> None:
        super().__init__(convert_charrefs=True)
        self._silent_tags = silent
        self.texts: list[str] = []
        self._silent: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        is_silent = tag in self._silent_tags or given.get("translate") == "no"
        is_silent = is_silent or (tag != "html" and "lang" in given)
        if not self._silent:
            shown = (value for name, value in attrs if name in SHOWN_ATTRIBUTES)
            self.texts += [value for value in shown if value]
        if tag not in VOID_TAGS and (self._silent or is_silent):
            self._silent.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._silent and self._silent[-1] == tag:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.texts.append(" ".join(data.split()))


def shown_texts(page: str, silent: frozenset[str] = SILENT_TAGS) -> list[str]:
    """Return the texts of a page in their order, but for those of silent tags."""
    parser = ShownTexts(silent)
    parser.feed(page)
    parser.close()
    return parser.texts


_RAW = re.compile(r"\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}", re.DOTALL)
_MARKED = re.compile(r"\{%-?\s*trans\b.*?\{%-?\s*endtrans\s*-?%\}", re.DOTALL)
_TAGS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def unmarked_in_template(source: str) -> list[str]:
    """Return the texts of a template that stand outside ``trans`` and ``_()``."""
    bare = _TAGS.sub("", _MARKED.sub("", _RAW.sub("", source)))
    return [text for text in shown_texts(bare) if has_words(text)]


_MARKER = re.compile(r"(?<![\w.])(?:_|ngettext)\(\s*(?:\"(?:[^\"\\]|\\.)*\",\s*)?$")
_SENTENCE = re.compile(r"[^\W\d_]{2,} [^\W\d_]{2,}")
_CLASSES = re.compile(r"[a-z]+(?:[ -][a-z]+)* *")


def literals_of(source: str) -> Iterator[tuple[str, bool]]:
    """Yield the texts in a script's quotes, and whether each is marked for the catalogue.

    Of a template literal the parts beside its ``${…}`` are one text.
    """
    at = 0
    while at < len(source):
        if source.startswith("//", at):
            at = _after(source, "\n", at)
        elif source.startswith("/*", at):
            at = _after(source, "*/", at)
        elif source[at] == "/" and (
            rule := re.match(r"/(?:[^/\\\n\[]|\\.|\[[^\]]*\])+/\w*", source[at:])
        ):
            before = source[:at].rstrip()
            at += rule.end() if before.endswith((*"(,=?:!&|", "return")) else 1
        elif source[at] in "\"'":
            end = _end_of(source, at)
            yield source[at + 1 : end - 1], _MARKER.search(source[:at]) is not None
            at = end
        elif source[at] == "`":
            text, inner, at = _template(source, at)
            yield text, False
            for part in inner:
                yield from literals_of(part)
        else:
            at += 1


def _after(source: str, mark: str, at: int) -> int:
    place = source.find(mark, at)
    return len(source) if place < 0 else place + len(mark)


def _end_of(source: str, at: int) -> int:
    """Return where a literal ends that begins with a quote."""
    end = at + 1
    while source[end] != source[at]:
        end += 2 if source[end] == "\\" else 1
    return end + 1


def _template(source: str, at: int) -> tuple[str, list[str], int]:
    """Return the text of a template literal, what stands in its places, and where it ends."""
    text = ""
    inner: list[str] = []
    end = at + 1
    while source[end] != "`":
        if source.startswith("${", end):
            start = end + 2
            end = _end_of_place(source, start)
            inner.append(source[start : end - 1])
            text += " "
        else:
            length = 2 if source[end] == "\\" else 1
            text += source[end : end + length]
            end += length
    return text, inner, end + 1


def _end_of_place(source: str, at: int) -> int:
    """Return what follows the brace that closes a place."""
    depth = 1
    while depth:
        if source[at] == "`":
            at = _template(source, at)[2]
            continue
        if source[at] in "\"'":
            at = _end_of(source, at)
            continue
        depth += {"{": 1, "}": -1}.get(source[at], 0)
        at += 1
    return at


def unmarked_in_script(source: str) -> list[str]:
    """Return the texts of a script with two words side by side that are not marked."""
    return [
        text
        for text, is_marked in literals_of(source)
        if not is_marked and _SENTENCE.search(text) and not _is_classes(text)
    ]


def _is_classes(text: str) -> bool:
    """Tell whether it names classes of CSS, which hold a hyphen or are single words."""
    return "-" in text and _CLASSES.fullmatch(" ".join(text.split()) + " ") is not None

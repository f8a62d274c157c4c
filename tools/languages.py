"""The catalogue of texts: found in the source, brought into each language, checked.

python -m tools.languages extract   writes affect-edge.pot from Python, templates and scripts
python -m tools.languages update    the same, and brings each language's .po up to it
python -m tools.languages compile   writes each .mo, and the texts that scripts of pages load
python -m tools.languages check     says what is missing or out of date; ends with 1 then

Everything lies in ``dashboard/languages/catalogues``; docs/languages.md says how to add one.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import jinja2
from babel.messages import pofile
from babel.messages.catalog import Catalog, Message
from jinja2.ext import extract_from_ast

from dashboard.languages.current import CATALOGUES, DOMAIN
from dashboard.languages.figures import MARKS_NAME
from dashboard.languages.names import IN_SCRIPTS
from dashboard.languages.templates import BLOCK, BLOCK_PLURAL, TextBlocks
from tools.texts.described_texts import described_texts
from tools.texts.locale_marks import marks_of

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = CATALOGUES / f"{DOMAIN}.pot"
DASHBOARD = ROOT / "dashboard"
SCRIPTS = DASHBOARD / "web" / "static" / "js"
SCRIPT_TEXTS = DASHBOARD / "web" / "static" / "texts"
PYTHON = (DASHBOARD, ROOT / "edge_agent", ROOT / "affect_edge")
FUNCTIONS = {
    "_": (1,),
    "gettext": (1,),
    "text": (1,),
    "N_": (1,),
    BLOCK: (1,),
    "ngettext": (1, 2),
    "plural": (1, 2),
    BLOCK_PLURAL: (1, 2),
    "pgettext": ("c", 2),
}
_LITERAL = r'("(?:[^"\\]|\\.)*")'
_SCRIPT_CALL = re.compile(rf"(?<![\w.])(_|ngettext)\(\s*{_LITERAL}(?:\s*,\s*{_LITERAL})?")
_SAYS = re.compile(rf'"says": {_LITERAL}')
_TAG = re.compile(r"</?[a-z][^>]*>")
_HEAD = (
    "# Texts of Affect Edge; see docs/languages.md.\n"
    "# Written by `python -m tools.languages update`; only msgstr is edited by hand.\n"
)


Extractor = Callable[..., Iterator[Any]]


@dataclass(frozen=True, slots=True)
class Found:
    """A text in the source.

    Attributes:
        place: the file, from the root of the project.
        texts: the text, or singular and plural.
        context: which meaning it has, where the source says so.
    """

    place: str
    texts: tuple[str, ...]
    context: str | None = None


def found_in_python(path: Path) -> Iterator[Found]:
    """Yield the texts of a Python file, those within f-strings as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in FUNCTIONS:
                texts = [getattr(argument, "value", None) for argument in node.args]
                yield from _found(path, name, texts)


def found_in_script(path: Path) -> Iterator[Found]:
    """Yield the texts of a script of a page, those within template literals as well, and the words
    of members of registers.
    """
    source = path.read_text(encoding="utf-8")
    for says in _SAYS.finditer(source):
        yield from _found(path, "_", [json.loads(says[1])])
    for call in _SCRIPT_CALL.finditer(source):
        texts = [json.loads(literal) for literal in call.groups()[1:] if literal]
        yield from _found(path, call[1], texts)


def found_in_template(path: Path) -> Iterator[Found]:
    """Yield the texts of a template."""
    environment = jinja2.Environment(
        extensions=[TextBlocks, "jinja2.ext.do"], trim_blocks=True, lstrip_blocks=True
    )
    tree = environment.parse(path.read_text(encoding="utf-8"))
    for _, name, texts in extract_from_ast(tree, tuple(FUNCTIONS)):
        yield from _found(path, str(name), texts)


def _found(path: Path, name: str, texts: object) -> Iterator[Found]:
    """Make a text of a call, where its arguments are literals."""
    given = texts if isinstance(texts, tuple | list) else (texts,)
    place = path.relative_to(ROOT).as_posix()
    wanted = FUNCTIONS[name]
    if len(given) < len(wanted) or not all(
        isinstance(one, str) and one for one in given[: len(wanted)]
    ):
        return
    if wanted[0] == "c":
        yield Found(place, (given[1],), given[0])
    else:
        yield Found(place, tuple(given[: len(wanted)]))


def texts_of_source() -> list[Found]:
    """Return all texts of the source, file by file."""
    files: list[tuple[Extractor, list[Path]]] = [
        (found_in_python, [path for folder in PYTHON for path in sorted(folder.rglob("*.py"))]),
        (found_in_template, sorted((*DASHBOARD.rglob("*.html"), *DASHBOARD.rglob("*.jinja")))),
        (found_in_script, sorted(SCRIPTS.rglob("*.js"))),
    ]
    described = [Found(place, (text,)) for place, text in described_texts()]
    return [one for extract, paths in files for path in paths for one in extract(path)] + described


def extracted() -> Catalog:
    """Return the catalogue of the source.

    Raises:
        ValueError: a text has two different plurals.
    """
    places: dict[tuple[str | None, str], set[str]] = {}
    plurals: dict[tuple[str | None, str], tuple[str, ...]] = {}
    for one in texts_of_source():
        key = (one.context, one.texts[0])
        places.setdefault(key, set()).add(one.place)
        if len(one.texts) == 2 and plurals.setdefault(key, one.texts) != one.texts:
            raise ValueError(f"{one.place}: {one.texts[0]!r} has another plural elsewhere")
    catalogue = Catalog(domain=DOMAIN, fuzzy=False)
    for (context, text), files in places.items():
        catalogue.add(
            plurals.get((context, text), text),
            locations=[(file, 0) for file in sorted(files)],
            context=context,
        )
    return catalogue


def written(catalogue: Catalog) -> bytes:
    """Return a catalogue as a file, in the order of its texts and without dates."""
    stream = io.BytesIO()
    pofile.write_po(
        stream, catalogue, width=100, sort_output=True, include_lineno=False, omit_header=True
    )
    head = _HEAD
    head += 'msgid ""\nmsgstr ""\n"MIME-Version: 1.0\\n"\n'
    head += '"Content-Type: text/plain; charset=utf-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n'
    if catalogue.locale is not None:
        head += f'"Language: {catalogue.locale_identifier}\\n"\n'
        head += f'"Plural-Forms: {catalogue.plural_forms}\\n"\n'
    return head.encode() + b"\n" + stream.getvalue()


def languages() -> list[str]:
    """Return the codes of the languages beside English."""
    return sorted(path.name for path in CATALOGUES.iterdir() if path.is_dir())


def po_file(code: str) -> Path:
    """Return where the texts of a language are edited."""
    return CATALOGUES / code / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(code: str) -> Catalog:
    """Return the texts of a language; none of a new one."""
    path = po_file(code)
    if not path.exists():
        return Catalog(locale=code, domain=DOMAIN)
    with path.open("rb") as stream:
        return pofile.read_po(stream, locale=code, domain=DOMAIN)


def updated(code: str, source: Catalog) -> Catalog:
    """Return a language's catalogue with exactly the texts of the source."""
    known = read(code)
    fresh = Catalog(locale=code, domain=DOMAIN, fuzzy=False)
    # The file says how many forms a language has: Babel's own rules differ between its releases
    # (since 2.19 Spanish has a third form, for whole millions, that no text of ours needs).
    fresh.mime_headers = [("Plural-Forms", known.plural_forms)]
    for message in source:
        if not message.id:
            continue
        before = known.get(_key(message), message.context)
        fresh.add(
            message.id, _kept(message, before), locations=message.locations, context=message.context
        )
    return fresh


def _key(message: Message) -> str:
    return originals_of(message)[0]


def _kept(message: Message, before: Message | None) -> Any:
    """Return the text of a language that still fits; nothing where the plural is new."""
    if before is None or isinstance(before.id, tuple) != isinstance(message.id, tuple):
        return ("", "") if isinstance(message.id, tuple) else ""
    return before.string


def strings_of(message: Message) -> tuple[str, ...]:
    """Return the text of a language, or its forms."""
    if isinstance(message.string, str):
        return (message.string,)
    return tuple(message.string or ())


def compiled(catalogue: Catalog) -> bytes:
    """Return the binary form that the dashboard reads (GNU MO, revision 0), without dates, so that
    the same texts give the same bytes.
    """
    head = f"Content-Type: text/plain; charset=utf-8\nPlural-Forms: {catalogue.plural_forms}\n"
    pairs = {b"": head.encode()}
    for message in catalogue:
        if not message.id or not _is_complete(message):
            continue
        key = "\0".join(originals_of(message))
        if message.context:
            key = f"{message.context}\4{key}"
        pairs[key.encode()] = "\0".join(strings_of(message)).encode()
    keys = sorted(pairs)
    start = 28 + 16 * len(keys)  # bytes: the head of the file, then two tables of two words each
    blob = b""
    tables: list[bytes] = []
    for parts in (keys, [pairs[key] for key in keys]):
        rows = []
        for part in parts:
            rows.append(struct.pack("<II", len(part), start + len(blob)))
            blob += part + b"\0"
        tables.append(b"".join(rows))
    count = len(keys)
    first = struct.pack("<IIIIIII", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, start)
    return first + b"".join(tables) + blob


def originals_of(message: Message) -> tuple[str, ...]:
    """Return the English text, or its singular and plural."""
    if isinstance(message.id, str):
        return (message.id,)
    return tuple(message.id)


def _is_complete(message: Message) -> bool:
    return bool(strings_of(message)) and all(strings_of(message))


def _is_in_scripts(message: Message) -> bool:
    is_marked = any(place.endswith(".js") for place, _ in message.locations)
    return is_marked or _key(message) in IN_SCRIPTS


def for_scripts(catalogue: Catalog) -> bytes:
    """Return the texts that scripts of pages show, as a script that hands them over."""
    texts = {
        _key(message): message.string
        for message in catalogue
        if message.id and _is_complete(message) and _is_in_scripts(message)
    }
    expression = str(catalogue.plural_expr)
    body = json.dumps(texts, ensure_ascii=False, sort_keys=True, indent=0)
    return (
        f"// Written by `python -m tools.languages compile`.\n"
        f"globalThis.affectEdgeTexts = {{plural: (n) => Number({expression}), texts: {body}}};\n"
    ).encode()


def outputs() -> dict[Path, bytes]:
    """Return every file that follows from the catalogues, with what belongs into it."""
    files = {}
    for code in languages():
        catalogue = read(code)
        files[po_file(code).with_suffix(".mo")] = compiled(catalogue)
        files[SCRIPT_TEXTS / f"{code}.js"] = for_scripts(catalogue)
        files[CATALOGUES / code / MARKS_NAME] = marks_of(code)
    return files


def places(text: str) -> set[str]:
    """Return the names of the places in a text.

    Raises:
        ValueError: a brace is not closed.
    """
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def outdated() -> Iterator[str]:
    """Yield what does not follow from the source any more."""
    source = extracted()
    if not TEMPLATE.exists() or TEMPLATE.read_bytes() != written(source):
        yield f"{TEMPLATE.name}: out of date. Run: python -m tools.languages update"
    for code in languages():
        if po_file(code).read_bytes() != written(updated(code, source)):
            yield f"{code}: the .po is out of date. Run: python -m tools.languages update"
    for path, content in outputs().items():
        if not path.exists() or path.read_bytes() != content:
            name = path.relative_to(ROOT)
            yield f"{name}: out of date. Run: python -m tools.languages compile"


def misfits() -> Iterator[str]:
    """Yield each text of a language that is missing or does not fit."""
    for code in languages():
        for message in read(code):
            if message.id:
                yield from (f"{code}: {_key(message)!r}: {what}" for what in wrong_with(message))


def wrong_with(message: Message) -> Iterator[str]:
    """Yield what is wrong with a text of a language."""
    if not _is_complete(message):
        yield "no text"
        return
    originals = originals_of(message)
    strings = strings_of(message)
    wanted = places(originals[-1])
    for string in strings:
        missing = wanted - places(string)
        # the form for one may say "one" instead of the number
        if len(originals) == 2 and string is strings[0]:
            missing &= places(originals[0])
        if missing or places(string) - wanted:
            yield f"other places than {sorted(wanted)}: {string!r}"
        if sorted(_TAG.findall(string)) != sorted(_TAG.findall(originals[-1])):
            yield f"other marks of HTML: {string!r}"


def extract() -> int:
    """Write the template of all catalogues."""
    TEMPLATE.write_bytes(written(extracted()))
    return 0


def update() -> int:
    """Write the template, and each language's .po with exactly its texts."""
    extract()
    source = extracted()
    for code in languages():
        po_file(code).parent.mkdir(parents=True, exist_ok=True)
        po_file(code).write_bytes(written(updated(code, source)))
    return 0


def compile_all() -> int:
    """Write what follows from the catalogues."""
    for path, content in outputs().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return 0


def check() -> int:
    """Print what is wrong.

    Returns:
        the exit code: 1 when there is something.
    """
    wrong = [*outdated(), *misfits()]
    for line in wrong:
        print(line)
    if not wrong:
        print(f"{len(extracted())} texts in {len(languages()) + 1} languages")
    return int(bool(wrong))


def main() -> int:
    """Do what is asked for."""
    work = {"extract": extract, "update": update, "compile": compile_all, "check": check}
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("work", choices=work)
    return work[parser.parse_args().work]()


if __name__ == "__main__":
    raise SystemExit(main())

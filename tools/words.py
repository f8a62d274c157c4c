"""The glossary check: words that a reader must guess, with what to write instead.

python -m tools.words            each place with its word; ends with 1 when there is one
python -m tools.words FILE ...   the same for these files only

The list with its reasons is ``tools/words.toml``. Python files, templates, scripts of the pages,
and documents are searched; a phrase is found even where it is folded over two lines.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from tools.style import ROOT, tracked

RULES = ROOT / "tools" / "words.toml"
SEARCHED = ("*.py", "*.html", "*.js", "*.md")
HISTORY = (
    "CHANGELOG.md",
    "tests/golden/expected/*",
    "tests/project/test_words.py",
    "tools/words.py",
    "tools/words.toml",
)
"""Files that tell what was, and those of the check itself, which must name the words."""
VENDORED = "*/vendor/*"
_FOLDED = r"[\s#*\"']+"  # a space in a comment, or between two literals, may be all of these


@dataclass(frozen=True, slots=True)
class WordEntry:
    """One word of the list.

    Attributes:
        expression: matches the word as a whole.
        where: ``names`` (identifiers of Python), ``texts`` (everything else), or ``both``.
        write: what to write instead.
        why: the reason.
        only: patterns of the files that are searched; empty: all.
        files: patterns of the files in which the word is right.
        parts: lower-case texts of which a file must have all of one tuple for the expression to
            match; to look for these first spares most files the expression.
    """

    expression: re.Pattern[str]
    where: Literal["names", "texts", "both"]
    write: str
    why: str
    only: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    parts: tuple[tuple[str, ...], ...] = ((),)

    def concerns(self, name: str) -> bool:
        """Whether a file, named from the root of the project, is searched for the word."""
        if self.only and not any(fnmatch(name, pattern) for pattern in self.only):
            return False
        return not any(fnmatch(name, pattern) for pattern in self.files)


@dataclass(frozen=True, slots=True)
class WordPlace:
    """A listed word in a file."""

    name: str
    line: int
    word: str
    entry: WordEntry

    def __str__(self) -> str:
        return (
            f"{self.name}:{self.line}: {self.word!r}: write {self.entry.write} ({self.entry.why})"
        )


def whole_word(word: str) -> re.Pattern[str]:
    """Return an expression that matches a word or phrase as a whole.

    With a capital letter it is matched as it stands, also as a part of a name in CamelCase;
    otherwise in any case, also as a part of a name in snake_case.
    """
    body = _FOLDED.join(re.escape(part) for part in word.split())
    if word != word.lower() and " " not in word:
        return re.compile(rf"(?<![A-Z]){body}(?![a-z])")
    return re.compile(rf"(?<![A-Za-z0-9]){body}(?![A-Za-z0-9])", re.IGNORECASE)


def parts_of(row: dict[str, str]) -> tuple[tuple[str, ...], ...]:
    """Return the parts of an entry; of a pattern that is no mere list of words, none."""
    if "word" in row:
        return (tuple(row["word"].lower().split()),)
    listed = re.fullmatch(r"\(?([A-Za-z|]+)\)?", row["pattern"])
    return tuple((word.lower(),) for word in listed[1].split("|")) if listed else ((),)


def read_entries() -> list[WordEntry]:
    """Read the list.

    Raises:
        KeyError: an entry lacks its word, what to write, or the reason.
    """
    entries = []
    for row in tomllib.loads(RULES.read_text(encoding="utf-8"))["entry"]:
        if "pattern" in row:
            expression = re.compile(rf"(?<![A-Za-z0-9_])(?:{row['pattern']})(?![A-Za-z0-9_])")
        else:
            expression = whole_word(row["word"])
        entries.append(
            WordEntry(
                expression,
                row.get("where", "both"),
                row["write"],
                row["why"],
                tuple(row.get("only", ())),
                tuple(row.get("files", ())),
                parts_of(row),
            )
        )
    return entries


def split_names(name: str, text: str) -> tuple[str, str]:
    """Split a file into its identifiers and its texts, each with everything else blanked out.

    Lines and columns stay. Only Python files have identifiers; the others are all text.
    """
    if not name.endswith(".py"):
        return "", text
    lines = text.splitlines(keepends=True)
    names = [list(re.sub(r"[^\n]", " ", line)) for line in lines]
    texts = [list(line) for line in lines]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.NAME:
            continue
        row = token.start[0] - 1
        columns = slice(token.start[1], token.end[1])
        names[row][columns] = token.string
        texts[row][columns] = " " * len(token.string)
    return "".join(map("".join, names)), "".join(map("".join, texts))


def places(name: str, text: str, entries: Sequence[WordEntry]) -> Iterator[WordPlace]:
    """Yield every listed word in the text of a file, named from the root of the project."""
    small = text.lower()
    due = [
        entry
        for entry in entries
        if any(all(part in small for part in parts) for parts in entry.parts)
        and entry.concerns(name)
    ]
    # few files have a word at all, and to split one takes a hundred times as long as to search it
    due = [entry for entry in due if entry.expression.search(text)]
    searched = {"both": text}
    if any(entry.where != "both" for entry in due):
        searched["names"], searched["texts"] = split_names(name, text)
    for entry in due:
        for match in entry.expression.finditer(searched[entry.where]):
            line = text.count("\n", 0, match.start()) + 1
            yield WordPlace(name, line, " ".join(match.group().split()), entry)


def searched_files(chosen: Sequence[Path]) -> list[Path]:
    """Return the files to search: the chosen ones, or all under version control."""
    if chosen:
        return [path.resolve() for path in chosen]
    return [
        path
        for path in tracked(*SEARCHED)
        if not any(
            fnmatch(path.relative_to(ROOT).as_posix(), name) for name in (*HISTORY, VENDORED)
        )
    ]


def main() -> int:
    """Print every place; the exit code is 1 when there is one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, help="search only these")
    options = parser.parse_args()
    entries = read_entries()
    number = 0
    for path in searched_files(options.files):
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
        for place in sorted(
            places(name, path.read_text(encoding="utf-8"), entries), key=lambda one: one.line
        ):
            print(place)
            number += 1
    if number:
        print(f"{number} words that a reader must guess (tools/words.toml)")
    return int(number > 0)


if __name__ == "__main__":
    sys.exit(main())

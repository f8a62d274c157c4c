"""The reference: parts of pages, pages and files that follow from the registers.

None of it lies in the repository. A page has the line ``<!-- reference: NAME -->`` where a part
belongs; the site, a release and the tests read pages by `text_of`, which puts it there.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

from edge_agent.mqtt import asyncapi
from edge_agent.timeline.export.table_schemas import codebook_of_all
from edge_agent.vision.models.card import read_card, shipped_models
from tools.documents import (
    arrows,
    columns,
    commands,
    flags,
    formats,
    keys,
    lists,
    questions,
    routes,
    tables,
    topics,
    troubles,
    vital_kinds,
)

ROOT = Path(__file__).resolve().parents[2]
MARK = re.compile(r"^<!-- reference: (?P<name>.+) -->$", re.MULTILINE)
PARTS: Mapping[str, Callable[[], str]] = {
    "vitals": vital_kinds.table,
    "flags": flags.table,
    "rows of tables": tables.table,
    "tables of the timeline": partial(columns.tables, "timeline"),
    "tables of programs": partial(columns.tables, "programs"),
    "tables of the dashboard": partial(columns.tables, "dashboard"),
    "doctor": troubles.what_the_doctor_says,
    "alarms": troubles.alarms_of_health,
    "commands": commands.table,
    "manual": commands.manual,
    "commands of training": commands.manual_of_training,
    "operations": routes.operations,
    "errors": routes.errors,
    "frame of an experiment": lists.frame_forbids,
    "pages of questions": questions.page_rows,
    "tables of questions": questions.table_rows,
    "tables of a bundle": lists.tables_of_a_bundle,
    "files of BIDS": partial(lists.files_of, "BIDS.md"),
    "files of a deposit": partial(lists.files_of, "DEPOSIT.md"),
    "formats": formats.table,
    "keys": keys.sections,
    "add-ons": arrows.addons,
    "topics": topics.table,
    **{f"example of {one.suffix}": partial(topics.example_of, one) for one in topics.TOPICS},
}
"""Name of a part → what makes it."""
FILES: Mapping[str, Callable[[], str]] = {
    "docs/codebook.html": codebook_of_all,
    "docs/asyncapi.json": asyncapi.as_text,
}
"""File that is no page → what makes it."""


def made_pages() -> list[str]:
    """Return the pages that follow whole from a register, as paths in the repository."""
    return [f"docs/models/{name}.md" for name, _ in sorted(_cards())]


@cache
def text_of(page: str) -> str:
    """Return a page with the parts that are made.

    Args:
        page: its path in the repository.
    """
    if page in made_pages():
        return _card_page(Path(page).stem)
    return with_parts((ROOT / page).read_text(encoding="utf-8"))


def with_parts(text: str) -> str:
    """Return the text of a page with its parts in the place of their marks.

    Raises:
        KeyError: no part has such a name.
    """
    parted = MARK.sub(lambda mark: PARTS[mark["name"]]().rstrip("\n"), text)
    return arrows.with_arrows(parted)


def write_docs(source: Path, out: Path) -> None:
    """Write the folder ``docs`` with all that is made.

    Args:
        source: the tree.
        out: the folder; it is made.
    """
    shutil.copytree(source / "docs", out)
    for path in out.rglob("*.md"):
        path.write_text(with_parts(path.read_text(encoding="utf-8")), encoding="utf-8")
    for page in made_pages():
        (out / Path(page).relative_to("docs")).write_text(text_of(page), encoding="utf-8")
    for file, made in FILES.items():
        (out / Path(file).relative_to("docs")).write_text(made(), encoding="utf-8")


def is_made(file: str) -> bool:
    """Tell whether a file, as a path in the repository, is made and lies nowhere."""
    return file in FILES or file in made_pages()


@cache
def _cards() -> tuple[tuple[str, Path], ...]:
    cards = shipped_models().items()
    return tuple((name, path) for name, path in cards if read_card(path).kind == "expression")


def _card_page(name: str) -> str:
    from training.report.publish import page_text  # loads for seconds, for these pages alone

    return page_text(read_card(dict(_cards())[name]))

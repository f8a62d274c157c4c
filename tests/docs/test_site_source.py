"""What the site of the documentation is made from: pages, their links and the entries of its index.

`make docs` builds the site, and judges it by `tests/docs/with_built_site.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import MORE, pages
from tools.documents.build_site import CONTENTS, index_entry, place_of, with_links, write_source
from tools.documents.reference import FILES, MARK, PARTS, ROOT, made_pages, with_parts
from tools.style import tracked


def test_every_page_is_part_of_the_site_and_so_is_what_it_links_to(tmp_path: Path) -> None:
    write_source(tmp_path / "source")
    listed = {f"{name}.md" for names in CONTENTS.values() for name in names}
    made = {page.relative_to(tmp_path / "source").as_posix() for page in tmp_path.rglob("*.md")}
    assert made == (listed | {"index.md"}) - {"genindex.md"}
    assert {place_of(page) for page in [*pages(), *MORE]} <= made


def test_a_link_to_what_is_not_in_the_site_ends_the_build() -> None:
    with pytest.raises(Exception, match=r"tools/rooms\.py is not part of the site"):
        with_links("[rooms](../tools/rooms.py)", "docs/architecture.md")


def test_a_link_leads_to_the_place_of_its_target() -> None:
    text = "[a](../SECURITY.md#contact) [b](data.md) [c](#here)\n[d]: ../config/affect-edge.toml\n"
    assert with_links(text, "docs/mqtt.md") == (
        "[a](security-policy.md#contact) [b](data.md) [c](#here)\n[d]: files/affect-edge.toml\n"
    )
    assert with_links("[i](../docs/data.md)", "training/README.md") == "[i](../data.md)"


@pytest.mark.parametrize(
    ("heading", "entry"),
    [
        ("Can two people be in view?", "two people in view"),
        ("2. The `protocol`", "protocol"),
        ("[What a loss](data.md) says", "loss says"),
        ("Whatever", "Whatever"),
    ],
)
def test_heading_is_listed_by_the_word_one_looks_for(heading: str, entry: str) -> None:
    assert index_entry(heading) == entry


def test_part_of_the_reference_stands_on_one_page_and_every_mark_has_one() -> None:
    marks = [
        mark["name"]
        for page in tracked("*.md")
        for mark in MARK.finditer(page.read_text(encoding="utf-8"))
    ]
    assert sorted(marks) == sorted(PARTS)


def test_reference_does_not_lie_in_the_repository() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in tracked("docs/*")}
    assert files.isdisjoint({*FILES, *made_pages()})


def test_mark_without_a_part_ends_the_build() -> None:
    with pytest.raises(KeyError, match="nothing"):
        with_parts("<!-- reference: nothing -->\n")


def test_site_has_the_parts_and_files_that_are_made(tmp_path: Path) -> None:
    write_source(tmp_path / "source")
    data = (tmp_path / "source" / "data.md").read_text(encoding="utf-8")
    assert "| `heart_rate` | `/min` |" in data and "<!-- reference" not in data
    assert (tmp_path / "source" / "asyncapi.json").read_text(encoding="utf-8").startswith("{")

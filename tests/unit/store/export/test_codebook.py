"""The codebook of a bundle says of every table what its description for programs says."""

from __future__ import annotations

import json
import zipfile
from html.parser import HTMLParser
from typing import Any

import pytest

from edge_agent.core.vitals import VitalKind
from edge_agent.store.export.columns import FILES
from edge_agent.store.export.formats import format_named
from tests.support.timeline import database, reading, row


class Page(HTMLParser):
    """Reads the tables that follow each heading, and sees that every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.links: set[str] = set()
        self._open: list[str] = []
        self._name = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        about = dict(attributes)
        if tag != "meta":
            self._open.append(tag)
        if tag == "h2":
            self._name = about["id"] or ""
            self.tables[self._name] = []
        if tag == "a":
            self.links.add((about["href"] or "").removeprefix("#"))
        if tag == "tr" and self._name:
            self.tables[self._name].append([])
        if tag in {"td", "th"} and self._name:
            self.tables[self._name][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self._open) and self._name:
            self.tables[self._name][-1][-1] += data

    def closed(self) -> bool:
        return not self._open


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("codebook")
    made = database(folder, [row(1)], [reading(1)])
    [file] = format_named("bundle").export(made, folder / "bundle.zip")
    return zipfile.ZipFile(file)


def test_every_column_stands_in_it_as_programs_are_told(bundle: zipfile.ZipFile) -> None:
    text = bundle.read("codebook.html").decode()
    page = Page()
    page.feed(text)
    assert page.closed()
    package: dict[str, Any] = json.loads(bundle.read("datapackage.json"))
    described = {one["name"]: one for one in package["resources"]}
    assert described["codebook-html"]["mediatype"] == "text/html"
    assert set(page.tables) == {*FILES, "kinds"}
    assert page.links == set(page.tables), "every link leads to a table"
    for name in FILES:
        heads, *columns = page.tables[name]
        assert heads == ["Column", "Type", "Unit", "Meaning", "Values", "Missing"]
        fields = described[name]["schema"]["fields"]
        assert [(one[0], one[2], one[3]) for one in columns] == [
            (field["name"], field.get("unit", ""), field["description"]) for field in fields
        ]
        for cells, field in zip(columns, fields, strict=True):
            if field["name"].endswith("_ms"):
                assert field["unit"] == "ms"
            assert cells[4] == ", ".join(field.get("constraints", {}).get("enum", []))


def test_the_kinds_of_vitals_are_those_of_the_registry(bundle: zipfile.ZipFile) -> None:
    page = Page()
    page.feed(bundle.read("codebook.html").decode())
    kinds = {cells[0]: cells for cells in page.tables["kinds"][1:]}
    assert set(kinds) == set(VitalKind)
    assert kinds["heart_rate"][1:4] == ["Heart rate", "/min (/min)", "25 to 250"]
    assert [one for one in kinds if kinds[one][5]] == [
        kind for kind in VitalKind if kind.spec.bound
    ]


def test_nothing_is_fetched_and_heads_repeat_on_every_printed_page(bundle: zipfile.ZipFile) -> None:
    text = bundle.read("codebook.html").decode()
    assert "http" not in text
    assert "src=" not in text
    assert "table-header-group" in text

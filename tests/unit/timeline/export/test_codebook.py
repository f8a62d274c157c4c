"""The codebook of a bundle says of every table what its description for programs says."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.format_register import format_named
from edge_agent.timeline.export.table_schemas import COMPUTED, FILES
from tests.support.timeline import timeline


def test_codebook_has_the_texts_of_the_description_for_programs(tmp_path: Path) -> None:
    made = timeline(tmp_path, expression=[1], vital=[1])
    heads = {
        name: ",".join(column.name for column in columns) for name, columns in COMPUTED.items()
    }
    added = Appliance(tables={f"{name}.csv": f"{line}\n" for name, line in heads.items()})
    [file] = format_named("bundle").export(made, tmp_path / "bundle.zip", None, added)
    with zipfile.ZipFile(file) as bundle:
        text = bundle.read("codebook.html").decode()
        package = json.loads(bundle.read("datapackage.json"))
    assert "http" not in text and "src=" not in text, "nothing is fetched"
    assert "table-header-group" in text, "heads repeat on every printed page"
    page = ElementTree.fromstring(text[text.index("<html") :].replace('<meta charset="utf-8">', ""))
    names = [heading.get("id") for heading in page.iter("h2")]
    assert names[: len(FILES)] == [*FILES]
    assert {*names[len(FILES) :]} == {*COMPUTED, "kinds"}
    assert {link.get("href") for link in page.iter("a")} == {f"#{name}" for name in names}
    tables = {
        name: [["".join(cell.itertext()) for cell in line] for line in table.iter("tr")]
        for name, table in zip(names, page.iter("table"), strict=True)
    }
    described = {one["name"]: one for one in package["resources"]}
    assert described["codebook-html"]["mediatype"] == "text/html"
    for name in (*FILES, *COMPUTED):
        titles, *columns = tables[name]
        resource = described[name if name in FILES else f"{name}-csv"]
        assert titles == ["Column", "Type", "Unit", "Meaning", "Values", "Missing"]
        for cells, field in zip(columns, resource["schema"]["fields"], strict=True):
            expected = [field["name"], field.get("unit", ""), field["description"]]
            assert [cells[0], cells[2], cells[3]] == expected
            assert cells[4] == ", ".join(field.get("constraints", {}).get("enum", []))
            assert not field["name"].endswith("_ms") or field["unit"] == "ms"
    kinds = {cells[0]: cells for cells in tables["kinds"][1:]}
    assert set(kinds) == set(VitalKind)
    assert kinds["heart_rate"][1:5] == ["Heart rate", "/min (/min)", "25 to 250", "5"]
    assert {kind for kind in kinds if kinds[kind][6]} == {
        one for one in VitalKind if one.spec.bound
    }

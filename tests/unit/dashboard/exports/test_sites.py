"""What lies in an export of several sites, whatever their devices are called."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from dashboard.analysis.query import TESTED_STATES
from dashboard.export_jobs import StudyExport, export_sites
from edge_agent.core.errors import StoreError
from edge_agent.timeline.export.format_register import format_named
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.read.sites import pooled_number, sessions_by_site
from tests.support.commands import affect_edge
from tests.support.studies import add_session, heart
from tests.support.timeline import timeline

_Result = TypeVar("_Result")


def compute(function: Callable[..., _Result], *values: Any) -> _Result:
    return function(*values)


def wanted(form: str = "csv", sessions: tuple[int, ...] | None = None) -> StudyExport:
    return StudyExport(format_named(form), ExportChoice(sessions), {}, ())


def nothing(share: float) -> None:
    assert 0 <= share <= 1


def test_no_name_of_a_device_leaves_its_folder_or_meets_another(tmp_path: Path) -> None:
    """A device may call itself as it likes; whoever unpacks the zip must not pay for it."""
    names = ["../../etc", "a/b", "A-B", "a-b", "=cmd()", "..", "\u202e", "x" * 300]
    sites = tuple((name, timeline(tmp_path / str(place))) for place, name in enumerate(names))
    for _, path in sites:
        add_session(path, "P01", heart(neutral=60.0))
    out = tmp_path / "out.zip"
    export_sites(sites, wanted(), out, compute, nothing)
    with zipfile.ZipFile(out) as archive:
        found = [Path(name) for name in archive.namelist()]
        table = list(csv.reader(io.StringIO(archive.read("sites.csv").decode())))
    assert all(".." not in one.parts and not one.is_absolute() for one in found)
    folders = {one.parts[1] for one in found if one.parts[0] == "sites" and len(one.parts) == 3}
    assert len({one.lower() for one in folders}) == len(names)
    assert all(len(one) < 70 for one in folders)
    assert {f"sites/{one}" for one in folders} == {row[1] for row in table[1:]}
    assert "'=cmd()" in {row[0] for row in table}


def test_pooled_number_of_a_session_leads_back_to_its_site() -> None:
    names = ["room", "hall", "cabin"]
    numbers = [pooled_number(names, site, own) for site in names for own in (1, 2, 40)]
    assert len(set(numbers)) == 9
    assert sessions_by_site(names, numbers) == dict.fromkeys(sorted(names), (1, 2, 40))
    assert sessions_by_site(names, []) == {"cabin": (), "hall": (), "room": ()}


def test_export_over_sites_that_is_stopped_leaves_no_files(tmp_path: Path) -> None:
    sites = tuple((name, timeline(tmp_path / "data" / name)) for name in ("a", "b"))
    target = tmp_path / "target"

    def ends(share: float) -> None:
        if share >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_sites(sites, wanted(), target / "out.zip", compute, ends)
    assert list(target.iterdir()) == []
    (tmp_path / "data" / "b" / "affect-edge.db").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError):
        export_sites(sites, wanted(), target / "out.zip", compute, nothing)
    assert list(target.iterdir()) == []


@pytest.mark.parametrize(
    ("labels", "asked"),
    [
        (("calm film", "loud film"), ["calm film", "loud film"]),
        (("anger", "neutral"), [*TESTED_STATES]),
    ],
)
def test_export_over_sites_compares_the_conditions_of_the_study(
    labels: tuple[str, str], asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = tuple((name, timeline(tmp_path / name)) for name in ("hall", "room"))
    for number, (_, path) in enumerate(sites):
        add_session(path, "P01", heart(**{labels[number]: 60.0}))
    source = SimpleNamespace(databases=lambda: nullcontext(sites))
    monkeypatch.setattr("dashboard.commands.export_sites.study_source", lambda *_, **__: source)
    out = tmp_path / "out.zip"
    words = ("--source", "postgresql://db.example/fleet", "--all-devices", "--format", "bundle")
    done = affect_edge("export", *words, "--out", out, "--data", tmp_path)
    assert done.code == 0, done.err
    with zipfile.ZipFile(out) as archive:
        for name in ("question.json", "sites/hall/question.json", "sites/room/question.json"):
            assert json.loads(archive.read(name))["states"] == asked

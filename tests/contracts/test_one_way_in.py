"""A file is imported in one way, whether a page, the gate or a command brings it."""

from __future__ import annotations

import ast
import html
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest
from starlette.testclient import TestClient

from affect_edge.options import agree
from dashboard.languages.current import speaking
from dashboard.web.app import create_app
from dashboard.web.options import options_from
from dashboard.web.routes.study_import import in_words_of_page
from edge_agent.appliance.gate_commands import import_options
from edge_agent.config.loading import load_settings
from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.expression import EMOTIONS
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.tables import BROUGHT
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.gate.client import COMMANDS
from edge_agent.timeline.intake.cells import StudyImport
from edge_agent.timeline.intake.sent_files import StudyChoices
from edge_agent.timeline.intake.study_import import import_study, opened_study
from edge_agent.timeline.upkeep.retention import short_lived
from tests.integration.gate.conftest import written_through
from tests.support.commands import affect_edge
from tests.support.dashboard import another_browser, services_of, set_up, shared_computing
from tests.support.exports.full_study import full_study
from tests.support.timeline import query
from tools.rooms import ROOT, SOURCES, all_imports

BUILDER = "edge_agent.appliance.gate_commands"
BUILT = {
    "Commands": {
        "home": "edge_agent.timeline.gate.commands",
        BUILDER: "builds them from the configuration",
    },
    "StudyImportOptions": {
        "home": "edge_agent.timeline.intake.cells",
        BUILDER: "builds them from the configuration",
        "edge_agent.timeline.intake.sent_files": "adds what a person chose",
        "edge_agent.timeline.gate.commands": "has defaults, which a builder replaces",
        "dashboard.commands.analyse_bundle": "computes a bundle again, and keeps nothing",
    },
}
"""Class → the module that defines it, and those that may build one, with the reason."""


def built_in(path: Path, name: str, home: str) -> Iterator[int]:
    """Yield the lines in which a module builds a class of another one, under whatever name."""
    text = path.read_text("utf-8")
    if name not in text:
        return
    tree = ast.parse(text)
    known = {home} if path == SOURCES[home] else set()
    names = {name} if known else set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == home:
            names |= {one.asname or one.name for one in node.names if one.name == name}
        if isinstance(node, ast.ImportFrom) and f"{node.module}.{home.rpartition('.')[2]}" == home:
            known |= {one.asname or one.name for one in node.names if home.endswith(one.name)}
        if isinstance(node, ast.Import):
            known |= {one.asname or one.name for one in node.names if one.name == home}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        # also ``partial(Commands, …)``, which builds one later
        for called in (node.func, *node.args):
            if isinstance(called, ast.Name) and called.id in names:
                yield node.lineno
            elif isinstance(called, ast.Attribute) and called.attr == name:
                yield from [node.lineno] * (ast.unparse(called.value) in known)


def test_what_changes_the_timeline_is_built_in_one_place() -> None:
    for name, allowed in BUILT.items():
        found = {
            module
            for module in all_imports()
            for _ in built_in(SOURCES[module], name, allowed["home"])
        }
        assert found <= allowed.keys(), name
        assert BUILDER in found


def test_builder_elsewhere_would_be_found(tmp_path: Path) -> None:
    home = BUILT["Commands"]["home"]
    for number, text in enumerate(
        (
            f"from {home} import Commands\nCommands(1)",
            f"from {home} import Commands as Changes\nx = [Changes(1)]",
            f"def f():\n    from {home} import Commands\n    return partial(Commands, 1)",
            "from edge_agent.timeline.gate import commands\ncommands.Commands(1)",
            f"import {home}\n{home}.Commands(1)",
        )
    ):
        path = tmp_path / f"{number}.py"
        path.write_text(text)
        assert list(built_in(path, "Commands", home)), text
    other = tmp_path / "other.py"
    other.write_text("from edge_agent.mqtt.incoming import Commands\nCommands(1)")
    assert not list(built_in(other, "Commands", home))


def test_labels_of_imported_faces_need_no_library_of_pictures() -> None:
    code = f"""
import sys
from edge_agent.config.settings import Settings
from {BUILDER} import import_options
vision = Settings().vision
options = import_options(purposes=(), keep_days=1, vision=vision)
assert "as the agent does" in options.labels().sentence
print(sorted({{"numpy", "cv2", "edge_agent.vision.classifier"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


KEEP_DAYS = 10
SETTINGS = f"""
[record]
keep_days = {KEEP_DAYS}
[vision]
uncertain_below = 0.9
[dashboard]
purposes = ["research", "personal"]
"""
"""None is the default, so that a way which does not get one shows it."""
NAMES = [emotion.value for emotion in EMOTIONS]
DAY_MS = 86_400_000
NOW_MS = clock.now().wall_ms


def at(days: float, seconds: float = 0.0) -> str:
    """So long before now, and so many seconds later."""
    return iso_utc(NOW_MS - round(DAY_MS * days) + round(1000 * seconds))


def zipped(**tables: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, text in tables.items():
            archive.writestr(f"{name}.csv", text)
    return written.getvalue()


def study_of_spring(**changed: str) -> bytes:
    """Two people, one of whom sat here before the days that faces are kept; no face has a label."""
    starts = {"P01": 20.0, "P02": 1.0}
    sessions, faces, smiles, beats = "", "", "", ""
    for number, (code, days) in enumerate(starts.items(), 1):
        sessions += f"{number},{code},research,home,{at(days)},{at(days, 60)}\n"
        for second in range(1, 60, 2):
            share = 850 + 50 * (second % 3)
            values = [share if n == "anger" else (1000 - share) * (n == "fear") for n in NAMES]
            faces += f"{at(days, second)},{','.join(map(str, values))}\n"
            smiles += f"{at(days, second)},0.5\n"
            beats += f"{at(days, second)},heart_rate,{60 + second % 7},/min,strap,\n"
    tables = {
        "session": f"session,participant,purpose,setting,start_at,end_at\n{sessions}",
        "expression": f"at,{','.join(NAMES)}\n{faces}",
        "movement": f"at,smile\n{smiles}",
        "vital": f"at,kind,value,unit,source,flags\n{beats}",
    }
    return zipped(**tables | changed)


@dataclass(frozen=True)
class Brought:
    """A file, and what a person says of it: field of the page → value."""

    name: str
    content: bytes
    said: Mapping[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What an import has shown before it, stored, and left after maintenance."""

    shown: list[str]
    stored: dict[str, list[Any]]
    kept: dict[str, list[Any]]


def settings_in(folder: Path) -> Path:
    path = folder / "affect-edge.toml"
    path.write_text(SETTINGS)
    return path


@contextmanager
def page_of(data: Path) -> Iterator[TestClient]:
    """A browser of a dashboard that these settings were given to."""
    options = options_from(load_settings(settings_in(data)), data)
    app = create_app(options, computing=shared_computing())
    client = set_up(another_browser(TestClient(app)), data)
    yield client
    services_of(client).protocol_runner.close()


def texts(page: str, pattern: str) -> list[str]:
    """Return what a page shows in the parts that match, without its tags."""
    found = re.findall(pattern, page, re.DOTALL)
    return [" ".join(html.unescape(re.sub("<[^>]*>", " ", one)).split()) for one in found]


def shown_by_page(page: str) -> list[str]:
    main = page.partition("<main")[2]
    before_form = main.partition('<form class="card')[0]
    rows = re.sub(r"(?<=\d),(?=\d)", "", before_form)
    counts = texts(rows, r"<tbody>(.*?)</tbody>")
    notes = texts(before_form, r'(?:<li>|notice-(?:warn|lines)" role="alert">)(.*?)</(?:li|p)>')
    return [one for one in (*counts, *notes) if one]


def by_page(data: Path, brought: Brought) -> list[str]:
    migrate(data / DATABASE_NAME)
    with page_of(data) as client:
        sent = client.post("/study/import", files=[("files", (brought.name, brought.content))])
        address = sent.headers["location"]
        shown = client.get(address, params=dict(brought.said)).text
        client.post(address, data=dict(brought.said))
    return shown_by_page(shown)


def by_gate(data: Path, brought: Brought) -> list[str]:
    with written_through(data, "--config", str(settings_in(data))):
        return by_page(data, brought)


def by_command(data: Path, brought: Brought) -> list[str]:
    file = data / brought.name
    file.write_bytes(brought.content)
    words = ("import-study", file, *brought.words, "--config", settings_in(data), "--data", data)
    looked, read = (affect_edge(*words, "--dry-run", *more) for more in (["--json"], []))
    affect_edge(*words)
    if not looked.out:  # refused before anything was counted
        said = read.err.removeprefix("affect-edge: ").replace(str(file), file.name)
        return [" ".join(in_words_of_page(said).split())]
    report = json.loads(looked.out)
    columns = ("file", "rows", "taken", "outside_sessions", "left_out")
    counts = [" ".join(str(one[name]) for name in columns) for one in report["files"].values()]
    *told, _ = read.out.splitlines()[len(counts) :]
    return [" ".join(counts), *map(in_words_of_page, [*told, *read.err.splitlines()])]


def rows_of(data: Path) -> dict[str, list[Any]]:
    """Return the rows of what an import brings; when somebody was added is the time of import."""
    return {
        table.name: [
            row[:2] + row[3:] if table.name == "participant" else row
            for row in query(data / DATABASE_NAME, f"SELECT * FROM {table.name} ORDER BY 1, 2, 3")
        ]
        for table in BROUGHT
    }


def imported(way: Any, data: Path, brought: Brought) -> Outcome:
    data.mkdir()
    shown = way(data, brought)
    stored = rows_of(data)
    right = "--clock-is-right"  # though nothing was recorded of late
    done = affect_edge("maintenance", right, "--config", settings_in(data), "--data", data)
    assert done.code == 0, done
    return Outcome(shown, stored, rows_of(data))


STATED = {"text_version": "v1", "given_at": at(25), "purpose": "research"}
AGREED = ("--consent", "v1", "--consent-on", at(25), "--purpose", "research")
PERSONS = "id,hr_neutral,hr_anger,loud\nP1,61,72,1\nP2,62,75,2\n"
FILES = {
    "faces without labels": Brought("spring.zip", study_of_spring(), STATED, AGREED),
    "nobody has agreed": Brought("spring.zip", study_of_spring()),
    "a purpose that is none here": Brought(
        "spring.zip",
        study_of_spring(
            session=f"session,participant,purpose,setting,start_at,end_at\n1,P1,medical,"
            f"clinic,{at(1)},{at(1, 60)}\n"
        ),
        STATED,
        AGREED,
    ),
    "somebody left out": Brought(
        "spring.zip",
        study_of_spring(),
        STATED | {"leave_out": "P01,P99", "prefix": "LAB-"},
        (*AGREED, "--leave-out", "P01", "--leave-out", "P99", "--prefix", "LAB-"),
    ),
    "times without a zone": Brought(
        "spring.zip",
        study_of_spring(vital=f"at,kind,value\n{at(1, 5)[:-1]},heart_rate,70\n"),
        STATED | {"zone": "UTC"},
        (*AGREED, "--timezone", "UTC"),
    ),
    "rows that are wrong": Brought(
        "spring.zip",
        study_of_spring(vital=f"at,kind,value\n{at(1, 5)},heart_rate,70\n{at(1)},x,1\n"),
        STATED,
        AGREED,
    ),
    "no session": Brought("spring.zip", zipped(vital="at,kind,value\n"), STATED, AGREED),
    "a table without values": Brought("wide.csv", b"id,mood\nP1,2\n", STATED, (*AGREED, "--wide")),
    "a table of persons": Brought("wide.csv", PERSONS.encode(), STATED, (*AGREED, "--wide")),
    "a table of persons with a column that is named": Brought(
        "wide.csv",
        PERSONS.encode(),
        STATED | {"column loud": "film:hr"},
        (*AGREED, "--wide", "--column", "loud=film:hr"),
    ),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle and a data set of a study that has every kind of row."""
    there = full_study(tmp_path_factory.mktemp("there")).parent
    for form, words in (("bundle", ()), ("bids", ("--format", "bids"))):
        done = affect_edge("export", *words, "--out", there / form, "--data", there)
        assert done.code == 0, done
        shutil.make_archive(str(there / form), "zip", there / form)
    return there


def compare(folder: Path, brought: Brought) -> Outcome:
    """Import a file in each way, and return what all of them did."""
    page, gate, command = (
        imported(way, folder / way.__name__, brought) for way in (by_page, by_gate, by_command)
    )
    assert page.stored == gate.stored == command.stored
    assert page.kept == gate.kept == command.kept
    assert page.shown == gate.shown
    assert sorted(page.shown) == sorted(command.shown)
    return page


@pytest.mark.parametrize("brought", FILES.values(), ids=FILES)
def test_study_is_the_same_by_page_gate_and_command(tmp_path: Path, brought: Brought) -> None:
    assert compare(tmp_path, brought).shown


@pytest.mark.parametrize("name", ["bundle.zip", "bids.zip"])
def test_export_is_the_same_by_page_gate_and_command(
    exported: Path, tmp_path: Path, name: str
) -> None:
    content = (exported / name).read_bytes()
    out = ("--leave-out", "P02")  # has withdrawn
    done = compare(tmp_path, Brought(name, content, {"leave_out": "P02"}, out))
    assert done.stored["expression"] and not done.kept["expression"]


def test_notes_from_the_gate_can_be_translated() -> None:
    (old,) = short_lived([("expression rows", 8_076, 9_699)], 90)
    answer = COMMANDS["preview_study"]._result
    report = StudyImport("spring.zip", notes=[old, "no rows"], on_row=print)
    back = answer.validate_json(answer.dump_json(report.answer()))
    assert (back.notes, back.on_row) == (report.notes, None)
    with speaking("de"):
        assert in_words_of_page(back.notes[0]).startswith("8.076 von 9.699 Zeilen mit Ausdrücken")


@pytest.mark.parametrize("days", [1.0, 20.0])
def test_rows_that_would_go_are_asked_about_before_they_are_stored(
    tmp_path: Path, days: float
) -> None:
    study = tmp_path / "spring.zip"
    study.write_bytes(study_of_spring())
    database = tmp_path / DATABASE_NAME
    migrate(database)
    code = {20.0: "P02", 1.0: "P01"}[days]
    choices = StudyChoices(text_version="v1", given_ms=NOW_MS - 25 * DAY_MS, leave_out=(code,))
    settings = load_settings(settings_in(tmp_path))
    options = choices.over(
        import_options(
            purposes=settings.dashboard.purposes,
            keep_days=settings.record.keep_days,
            vision=settings.vision,
        )
    )

    class NotAgreedError(Exception):
        """Somebody answered no."""

    asked: list[str] = []

    def refuse(sentence: str) -> None:
        asked.append(sentence)
        raise NotAgreedError

    is_asked = days > KEEP_DAYS
    with pytest.raises(NotAgreedError) if is_asked else nullcontext():
        import_study(database, opened_study(study), options, actor="ada", agree=refuse)
    assert len(asked) == is_asked
    assert query(database, "SELECT count(*) FROM session") == [(int(not is_asked),)]


@pytest.mark.parametrize(("typed", "goes_on"), [("y\n", True), ("n\n", False), ("", False)])
def test_question_on_a_terminal_is_answered_before_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, typed: str, goes_on: bool
) -> None:
    terminal = io.StringIO(typed)
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", terminal)
    with nullcontext() if goes_on else pytest.raises(click.Abort):
        agree("30 rows would go.")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    agree("30 rows would go.")  # nobody sits there


BEATS = "".join(f"{at(1, second)},{60 + second % 7}\n" for second in range(0, 60, 5))
READINGS = {
    "our form": (
        "at,kind,value,unit\n" + BEATS.replace("Z,", "Z,heart_rate,").replace("\n", ",/min\n"),
        (),
    ),
    "another table": (f"Time,HR [bpm]\n{BEATS}", ("--map", "guess")),
}


def readings_by_page(data: Path, text: str, _words: tuple[str, ...]) -> None:
    migrate(data / DATABASE_NAME)
    with page_of(data) as client:
        file = {"file": ("strap.csv", text, "text/csv")}
        address = client.post("/readings/import", files=file).headers["location"]
        assert client.post(address.partition("?")[0]).status_code == 303


def readings_by_gate(data: Path, text: str, words: tuple[str, ...]) -> None:
    with written_through(data, "--config", str(settings_in(data))):
        readings_by_page(data, text, words)


def readings_by_command(data: Path, text: str, words: tuple[str, ...]) -> None:
    file = data / "strap.csv"
    file.write_text(text)
    done = affect_edge("import-vitals", file, *words, "--config", settings_in(data), "--data", data)
    assert done.code == 0, done


@pytest.mark.parametrize(("text", "words"), READINGS.values(), ids=READINGS)
def test_readings_are_the_same_by_page_gate_and_command(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    stored = []
    for way in (readings_by_page, readings_by_gate, readings_by_command):
        data = tmp_path / way.__name__
        data.mkdir()
        way(data, text, words)
        stored.append(rows_of(data))
    assert len(stored[0]["vital"]) == 12
    assert stored[0] == stored[1] == stored[2]

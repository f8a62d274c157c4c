"""The rooms of docs/architecture.md, read from the source: who imports whom.

Every package lists its floors, the lowest first. A module imports from floors below its own; two
rooms on one floor do not know each other; below that, in no package do two modules or rooms import
each other in a circle. An add-on is a set of modules that whoever changes the rest may ignore: it
is entered by its doors alone.

    python -m tools.rooms --addons    lines and doors of each, and every arrow past a door
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCTS = ("affect_edge", "edge_agent", "dashboard", "training", "collector")
FLOORS: dict[str, tuple[frozenset[str], ...]] = {
    "affect_edge": (
        frozenset({"options", "output", "demo", "video_pulse"}),
        frozenset({"appliance", "backup", "study", "models", "vitals"}),
        frozenset({"access", "export", "markers"}),
        frozenset({"pictures"}),
        frozenset({"faces"}),
        frozenset({"app"}),
    ),
    "edge_agent": (
        frozenset({"core"}),
        frozenset({"config"}),
        frozenset({"camera", "vision", "vitals", "timeline"}),
        frozenset({"mqtt"}),
        frozenset({"alerts", "fleet", "live", "lsl"}),
        frozenset({"control"}),
        frozenset({"agent"}),
        frozenset({"face_reading"}),
        frozenset({"appliance"}),
        frozenset({"__main__"}),
    ),
    "edge_agent.timeline": (
        frozenset({"database"}),
        frozenset({"write"}),
        frozenset({"study", "salvage"}),
        frozenset({"read"}),
        frozenset({"export"}),
        frozenset({"upkeep"}),
        frozenset({"intake"}),
        frozenset({"gate"}),
    ),
    "dashboard": (
        frozenset({"languages"}),
        frozenset(
            {"statistics", "charts", "accounts", "protocols", "picture", "device_files", "fleet"}
            | {"backup"}
        ),
        frozenset({"analysis"}),
        frozenset({"questions"}),
        frozenset({"computing"}),
        frozenset({"export_jobs"}),
        frozenset({"web"}),
        frozenset({"commands"}),
        frozenset({"__main__"}),
    ),
    "dashboard.analysis": (
        frozenset({"query"}),
        frozenset({"windows", "choices", "conclusions", "unmet"}),
        frozenset({"planning", "preregistration", "heeded"}),
        frozenset({"results"}),
        frozenset({"readings"}),
        frozenset({"inference"}),
        frozenset({"decision"}),
        frozenset({"steps"}),
        frozenset({"analyse"}),
        frozenset({"notices"}),
        frozenset({"rendering"}),
    ),
    "dashboard.questions": (
        frozenset({"basis", "tables"}),
        frozenset({"entry"}),
        frozenset(
            path.parent.name for path in (ROOT / "dashboard/questions").glob("*/__init__.py")
        ),
        frozenset({"register"}),
    ),
    "collector": (
        frozenset({"messages"}),
        frozenset({"database", "mqtt", "amqp"}),
        frozenset({"streams", "values"}),
        frozenset({"writer"}),
        frozenset({"worker"}),
        frozenset({"__main__"}),
    ),
    "training": (
        frozenset({"errors"}),
        frozenset({"learning", "networks"}),
        frozenset({"data"}),
        frozenset({"faces"}),
        frozenset({"report"}),
        frozenset({"expression"}),
        frozenset({"commands"}),
        frozenset({"__main__"}),
    ),
}


@dataclass(frozen=True, slots=True)
class AddOn:
    """Modules that nobody needs to know but who changes them.

    Attributes:
        name: what it adds.
        modules: its packages and modules.
        doors: those of its modules that others import.
        without: what an appliance lacks without it.
    """

    name: str
    modules: tuple[str, ...]
    doors: tuple[str, ...]
    without: str

    def holds(self, module: str) -> bool:
        return any(within(module, own) for own in self.modules)


_EXPORT, _INTAKE = "edge_agent.timeline.export", "edge_agent.timeline.intake"
_HEALTH, _LSL, _VITALS = "edge_agent.vitals.health", "edge_agent.lsl", "edge_agent.vitals"
_DEVICE_FILES, _QUESTIONS = "dashboard.device_files", "dashboard.questions"
_APPLIANCE, _ROUTES = "edge_agent.appliance", "dashboard.web.routes"
_BLUETOOTH = tuple(f"{_VITALS}.{name}" for name in ("ble", "gatt", "profiles"))
_POLAR = tuple(f"{_VITALS}.{name}" for name in ("polar", "polar_beats", "polar_motion"))
_BENCH = tuple(f"{_APPLIANCE}.{name}" for name in ("bench", "device_report", "support_bundle"))
_UPDATE = tuple(f"edge_agent.appliance.{name}" for name in ("update", "release", "trust"))
_FACE_TABLES = ("edge_agent.face_reading", "affect_edge.faces")
_PULSE = ("edge_agent.vitals.camera_pulse", "affect_edge.video_pulse")
_SENSORS = "dashboard.questions.sensors"
ADDONS = (
    AddOn(
        "files of makers, XDF",
        (_HEALTH, _DEVICE_FILES),
        (
            *(f"{_HEALTH}.{name}" for name in ("exports", "files")),
            *(f"{_HEALTH}.xdf.{name}" for name in ("recording", "streams")),
            *(f"{_DEVICE_FILES}.{name}" for name in ("answer", "packed", "reader")),
        ),
        "readings come from sensors, tables and our own files",
    ),
    AddOn(
        "recordings of other programs",
        ("edge_agent.vitals.recordings", "edge_agent.vitals.recording_layouts"),
        ("edge_agent.vitals.recordings",),
        "their tables are read by a map of columns",
    ),
    AddOn(
        "BIDS, EDF+, electrocardiograms, deposit",
        (
            *(f"{_EXPORT}.{name}" for name in ("bids", "bids_physioevents", "edf")),
            *(f"{_EXPORT}.{name}" for name in ("electrocardiograms", "deposit", "deposit_facts")),
            *(f"{_INTAKE}.{name}" for name in ("bids", "bids_files")),
        ),
        (
            *(f"{_EXPORT}.{name}" for name in ("bids", "bids_physioevents", "deposit", "edf")),
            *(f"{_INTAKE}.{name}" for name in ("bids", "bids_files")),
        ),
        "a study leaves and enters as a bundle of tables",
    ),
    AddOn("FHIR", (f"{_EXPORT}.fhir",), (f"{_EXPORT}.fhir",), "no export for a hospital"),
    AddOn(
        "faces of pictures and videos",
        (*_FACE_TABLES, "edge_agent.vision.face_tables"),
        _FACE_TABLES,
        "faces are read from cameras alone",
    ),
    AddOn(
        "coupling of face and body",
        (f"{_QUESTIONS}.coupling", "dashboard.statistics.coupling"),
        (f"{_QUESTIONS}.coupling.question",),
        "no page, command and table of it",
    ),
    AddOn(
        "comparison of two sensors",
        (_SENSORS,),
        (f"{_SENSORS}.question", f"{_SENSORS}.asking"),
        "no page, command and table of it",
    ),
    AddOn("updates", _UPDATE, _UPDATE, "a new release is installed anew"),
    AddOn(
        "Lab Streaming Layer, serial port",
        (_LSL, "edge_agent.control"),
        (
            *(f"{_LSL}.{name}" for name in ("inlet", "outlet", "streams", "worker")),
            "edge_agent.control.listening",
        ),
        "no streams of a laboratory's network, no markers of its programs and devices",
    ),
    AddOn("pulse of the camera", _PULSE, _PULSE, "the heart rate needs a sensor"),
    AddOn(
        "blinks",
        ("edge_agent.vitals.camera_blinks", "edge_agent.vitals.lids"),
        ("edge_agent.vitals.camera_blinks",),
        "no rate and duration of blinks",
    ),
    AddOn(
        "fleet and its collector",
        ("edge_agent.fleet", "collector", "dashboard.fleet", "dashboard.web.routes.fleet"),
        (
            *(f"edge_agent.fleet.{name}" for name in ("log", "sender", "collector_health")),
            *(f"dashboard.fleet.{name}" for name in ("known", "source", "postgres", "study_files")),
            "dashboard.fleet.trends",
        ),
        "each appliance has a study of its own",
    ),
    AddOn(
        "curves and responses around events",
        (f"{_QUESTIONS}.responses",),
        tuple(f"{_QUESTIONS}.responses.{name}" for name in ("question", "answer", "words")),
        "no page, command and table of it, no curve of a session",
    ),
    AddOn(
        "week and its letters",
        (
            *(f"{_QUESTIONS}.week", "dashboard.accounts.letters", "dashboard.web.letter_sending"),
            *(f"{_ROUTES}.letters", "dashboard.charts.week_png"),
        ),
        (
            *("dashboard.accounts.letters", "dashboard.web.letter_sending"),
            *(
                f"{_QUESTIONS}.week.{name}"
                for name in ("question", "answer", "computing", "counting", "words")
            ),
        ),
        "carers see the trends alone",
    ),
    AddOn(
        "protocols",
        (
            *("dashboard.protocols", "dashboard.commands.protocol"),
            *(f"{_ROUTES}.{name}" for name in ("protocol", "protocols", "trials")),
        ),
        tuple(f"dashboard.protocols.{name}" for name in ("runner", "library", "file")),
        "experiments run in other programs, which send markers",
    ),
    AddOn(
        "page Picture",
        ("dashboard.picture", f"{_ROUTES}.picture"),
        ("dashboard.picture.reader",),
        "a picture is read by the command alone",
    ),
    AddOn(
        "numbers for Prometheus",
        ("dashboard.web.prometheus", f"{_ROUTES}.metrics"),
        (),
        "no `/metrics`",
    ),
    AddOn(
        "demonstration",
        (*("affect_edge.demo", f"{_VITALS}.simulated"), "edge_agent.timeline.study.example_study"),
        ("affect_edge.demo", f"{_VITALS}.simulated"),
        "no `affect-edge demo`",
    ),
    AddOn(
        "backup",
        (
            *(f"{_APPLIANCE}.{name}" for name in ("backup", "restore", "archive")),
            *("affect_edge.backup", "dashboard.backup", f"{_ROUTES}.backup"),
        ),
        ("affect_edge.backup", "dashboard.backup"),
        "only the copies beside the database",
    ),
    AddOn(
        "Bluetooth, Polar",
        (*_BLUETOOTH, *_POLAR, f"{_VITALS}.ecg"),
        (*_BLUETOOTH, *_POLAR),
        "readings come by MQTT, HTTP, files and from the camera",
    ),
    AddOn("benchmark, report of a device", _BENCH, _BENCH, "nobody measures a board"),
    AddOn(
        "certificates",
        (f"{_APPLIANCE}.certificates",),
        (f"{_APPLIANCE}.certificates",),
        "certificates are made by hand",
    ),
    AddOn(
        "bundle of an analysis",
        ("dashboard.commands.analyse_bundle",),
        (),
        "no answers from the files of a bundle",
    ),
)
"""None of them knows another one."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path
    for product in PRODUCTS
    for path in sorted((ROOT / product).rglob("*.py"))
}
PACKAGES = tuple(name for name, path in SOURCES.items() if path.name == "__init__.py")


def statements_in(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield every statement, wherever it stands; ``ast.walk`` looks at each name in them, too."""
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        for node in getattr(tree, part, ()):
            if isinstance(node, ast.stmt):
                yield node
            yield from statements_in(node)


def imports_in(text: str) -> Iterator[str]:
    """Yield every module named in an import statement, wherever it stands in the text."""
    for node in statements_in(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import; name the module in full"
            base = node.module or ""
            for alias in node.names:
                module = f"{base}.{alias.name}"
                yield module if module in SOURCES else base


@cache
def all_imports() -> dict[str, set[str]]:
    """Return each module of the products and the modules that it imports; read once."""
    return {
        name: set(imports_in(path.read_text(encoding="utf-8"))) for name, path in SOURCES.items()
    }


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def child(module: str, package: str) -> str | None:
    """The room or module of ``package`` that ``module`` is or lies in."""
    if not module.startswith(f"{package}."):
        return None
    return module.removeprefix(f"{package}.").split(".")[0]


def arrows(package: str) -> dict[str, set[str]]:
    """Each child of a package and the other children that it imports from."""
    graph: dict[str, set[str]] = {}
    for module, imported in all_imports().items():
        start = child(module, package)
        if start is None:
            continue
        ends = {child(other, package) for other in imported}
        graph.setdefault(start, set()).update(end for end in ends if end not in {None, start})
    return graph


def floor_of(room: str, package: str) -> int:
    return next((number for number, floor in enumerate(FLOORS[package]) if room in floor), -1)


def wrong_arrows() -> Iterator[str]:
    """Yield every import that runs up, or sideways between two rooms of one floor."""
    for package in FLOORS:
        for start, ends in arrows(package).items():
            for end in sorted(ends):
                if floor_of(end, package) >= floor_of(start, package):
                    yield f"{package}: {start} → {end}"


def circles() -> Iterator[str]:
    """Yield, for each package with one, modules or rooms that import each other in a circle."""
    for package in PACKAGES:
        try:
            tuple(TopologicalSorter(arrows(package)).static_order())
        except CycleError as error:
            yield f"{package}: {' → '.join(error.args[1])}"


def past_doors() -> Iterator[str]:
    """Yield every import of an add-on that does not go through its door, from the core or another.

    An add-on knows no other one, not by its door either.
    """
    for module, imported in all_imports().items():
        inside = next((one for one in ADDONS if one.holds(module)), None)
        for end in sorted(imported):
            entered = next((one for one in ADDONS if one.holds(end)), None)
            if entered in {None, inside}:
                continue
            if inside is not None or end not in entered.doors:
                yield f"{module} → {end} ({entered.name})"


def lines_of(module: str) -> int:
    """Return how many lines of a module are not empty and no comment."""
    text = SOURCES[module].read_text(encoding="utf-8")
    return sum(bool(line.strip()) and line.strip()[0] != "#" for line in text.splitlines())


def addons_as_text() -> Iterator[str]:
    """Yield a line for each add-on, one for what is left, and every arrow past a door."""
    core = {module for module in SOURCES if not within(module, "training")}
    for one in ADDONS:
        own = {module for module in SOURCES if one.holds(module)}
        core -= own
        yield f"{sum(map(lines_of, own)):7,}  {one.name}; doors: {', '.join(one.doors) or 'none'}"
    yield f"{sum(map(lines_of, core)):7,}  everything else, without training"
    yield from past_doors()


if __name__ == "__main__":
    if sys.argv[1:] != ["--addons"]:
        raise SystemExit(__doc__)
    print(*addons_as_text(), sep="\n")

"""Who may import whom, as tools/rooms.py reads it, and what may not load at start.

Every package lists its floors, the lowest first. A module imports from floors below its own; two
rooms on one floor do not know each other; below that, in no package do two modules or rooms import
each other in a circle.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tools import rooms
from tools.rooms import (
    ADDONS,
    FLOORS,
    PRODUCTS,
    SOURCES,
    all_imports,
    arrows,
    circles,
    past_doors,
    within,
    wrong_arrows,
)

ROOT = Path(__file__).resolve().parents[2]
HARDWARE_ROOMS = ("camera", "vision", "vitals", "mqtt")
"""They take the table of the configuration that is about them, and never the whole."""
COMMAND_MAY = ("collector", "dashboard", "edge_agent")
FACES = ("edge_agent.__main__",)
"""``python -m edge_agent`` is ``affect-edge``, which stands above the products."""
DASHBOARD_MAY = (
    *("edge_agent.alerts", "edge_agent.appliance.backup", "edge_agent.appliance.findings"),
    *("edge_agent.appliance.gate_commands", "edge_agent.appliance.running_checks"),
    *("edge_agent.config", "edge_agent.core", "edge_agent.fleet.tables", "edge_agent.live"),
    *(
        "edge_agent.timeline",
        "edge_agent.vision",
        "edge_agent.vitals.column_map",
        "edge_agent.vitals.csv_files",
        "edge_agent.vitals.csv_readings",
        "edge_agent.vitals.dates",
        "edge_agent.vitals.guessed_columns",
    ),
    *("edge_agent.vitals.health", "edge_agent.vitals.passed_over", "edge_agent.vitals.wide"),
    "edge_agent.vitals.zone_names",
)
COLLECTOR_MAY = (
    *("edge_agent.config.mqtt", "edge_agent.core", "edge_agent.fleet"),
    *("edge_agent.mqtt.broker", "edge_agent.mqtt.payloads"),
    *("edge_agent.timeline.database.schema", "edge_agent.timeline.database.tables"),
)
TRAINING_MAY = (
    "edge_agent.appliance.bench",
    "edge_agent.config.vision",
    "edge_agent.core",
    "edge_agent.vision",
)
HEAVY = {
    *("picamera2", "libcamera", "bleak", "cv2", "ai_edge_litert", "tflite_runtime", "torch"),
    *("scipy", "numpy"),
}
HEAVY |= {
    *("pandas", "fastapi", "uvicorn", "paho", "sqlite_utils", "skimage", "matplotlib", "segno"),
    *("zxcvbn", "cbor2", "psycopg", "pydantic"),
}


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_stands_on_a_floor(package: str) -> None:
    rooms = {room for floor in FLOORS[package] for room in floor}
    assert set(arrows(package)) == rooms


def test_no_arrow_runs_up_or_sideways() -> None:
    assert list(wrong_arrows()) == []


@pytest.mark.parametrize("package", ["edge_agent", "dashboard"])
def test_drawing_of_the_architecture_has_each_floor(package: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = text.partition(f"\n    {package} ")[2]
    names = {room for floor in FLOORS[package] for room in floor}
    lines = drawn.split("\n    collector")[0].split("\n    dashboard ")[0].split("\n")
    floors = [frozenset(line.partition("      ")[0].split()) for line in map(str.strip, lines)]
    assert [floor & names for floor in floors if floor] == [
        floor for floor in FLOORS[package] if floor != {"__main__"}
    ]


def test_nothing_imports_in_a_circle() -> None:
    assert list(circles()) == []


def test_the_hardware_rooms_take_their_own_table_and_not_the_settings() -> None:
    wrong = [
        f"{module} → {other}"
        for room in HARDWARE_ROOMS
        for module, imported in all_imports().items()
        for other in imported
        if within(module, f"edge_agent.{room}")
        and within(other, "edge_agent.config")
        and not within(other, f"edge_agent.config.{room}")
    ]
    assert not wrong


def test_mqtt_knows_of_the_store_the_outbox_alone() -> None:
    known = {
        other
        for module, imported in all_imports().items()
        for other in imported
        if within(module, "edge_agent.mqtt") and within(other, "edge_agent.timeline")
    }
    assert known == {"edge_agent.timeline.write.outbox"}


@pytest.mark.parametrize(
    ("product", "may"),
    [
        ("affect_edge", COMMAND_MAY),
        ("edge_agent", ()),
        ("dashboard", DASHBOARD_MAY),
        ("training", TRAINING_MAY),
        ("collector", COLLECTOR_MAY),
    ],
)
def test_products_import_only_what_is_listed(product: str, may: tuple[str, ...]) -> None:
    wrong = [
        f"{module} → {other}"
        for module, imported in all_imports().items()
        for other in imported
        if within(module, product)
        and module not in FACES
        and any(within(other, foreign) for foreign in PRODUCTS if foreign != product)
        and not any(within(other, allowed) for allowed in may)
        and other != "edge_agent"
    ]
    assert not wrong


def test_an_arrow_that_runs_up_and_a_circle_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    up = {"edge_agent.timeline.write.recorder": {"edge_agent.timeline.read.reader"}}
    changed = all_imports() | up
    monkeypatch.setattr(rooms, "all_imports", lambda: changed)
    assert "edge_agent.timeline: write → read" in list(wrong_arrows())
    assert any(one.startswith("edge_agent.timeline: ") for one in circles())


def test_help_loads_no_heavy_library() -> None:
    code = "import sys; sys.argv = ['affect-edge', '--help']\nfrom affect_edge import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    pass\n"
    code += f"print(sorted({HEAVY!r} & {{m.split('.')[0] for m in sys.modules}}))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.splitlines()[-1] == "[]"


def test_agent_loads_nothing_that_only_a_rare_setting_or_a_reader_needs() -> None:
    rare = {"asyncio", "edge_agent.timeline.read.reader", "edge_agent.vitals.csv_files"}
    code = "import sys, affect_edge, edge_agent.agent.loop\n"
    code += f"print(sorted({rare!r} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.strip() == "[]"


def test_no_folder_holds_one_module_alone() -> None:
    packages = {path.parent for path in SOURCES.values() if path.name == "__init__.py"}
    modules = Counter(path.parent for path in SOURCES.values() if path.name != "__init__.py")
    held = {folder: modules[folder] for folder in packages if folder in modules}
    assert {folder: number for folder, number in held.items() if number < 2} == {}


WITHOUT_EXTRAS = """
import importlib, pkgutil, sys
class Missing:
    def find_spec(self, name, *_):
        if name.split(".")[0] in EXTRAS:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing())
for product in ("edge_agent", "dashboard", "affect_edge"):
    path = importlib.import_module(product).__path__
    for module in pkgutil.walk_packages(path, product + "."):
        try:
            module.name.endswith("__main__") or importlib.import_module(module.name)
        except ModuleNotFoundError:
            print(module.name)
"""
EXTRAS = {
    *("apprise", "bleak", "cbor2", "edfio", "fitdecode", "openpyxl", "pandas", "pika"),
    *("psycopg",),
}
EXTRAS |= {"pyarrow", "pylsl", "pyreadstat", "pyxdf", "serial", "xlsxwriter"}


def test_only_what_an_extra_is_for_needs_its_libraries() -> None:
    code = f"EXTRAS = {EXTRAS!r}\n{WITHOUT_EXTRAS}"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.split() == [
        "edge_agent.vitals.ble",
        "dashboard.fleet.postgres",
        "dashboard.fleet.study_files",
        "dashboard.fleet.trends",
    ]


def test_package_called_tests_would_be_removed_by_the_installation() -> None:
    # ``install.sh`` takes the folders of that name away, as libraries ship their own tests.
    called = [name for name in rooms.PACKAGES if name.rpartition(".")[2] == "tests"]
    assert called == []


def test_addon_is_entered_by_its_doors_alone_and_knows_no_other() -> None:
    assert list(past_doors()) == []


@pytest.mark.parametrize("addon", ADDONS, ids=[one.name for one in ADDONS])
def test_addon_has_modules_that_exist_and_doors_that_are_used(addon: rooms.AddOn) -> None:
    for own in addon.modules:
        assert [module for module in SOURCES if within(module, own)], own
    outside = {
        end
        for module, imported in all_imports().items()
        if not addon.holds(module)
        for end in imported
        if addon.holds(end)
    }
    assert outside == set(addon.doors)
    assert addon.without and not [one for one in ADDONS if one is not addon and one.holds(own)]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("edge_agent.agent.loop", "edge_agent.vitals.lids"),
        ("dashboard.web.app", "dashboard.protocols.steps"),
        ("edge_agent.lsl.inlet", "edge_agent.vitals.camera_blinks"),
    ],
    ids=["past the door", "past another door", "between add-ons"],
)
def test_arrow_past_a_door_is_named(monkeypatch: pytest.MonkeyPatch, start: str, end: str) -> None:
    lie = {**all_imports(), start: all_imports()[start] | {end}}
    monkeypatch.setattr(rooms, "all_imports", lambda: lie)
    (named,) = past_doors()
    assert named.startswith(f"{start} → {end} (")

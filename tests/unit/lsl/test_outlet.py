"""The library of the Lab Streaming Layer, and its clock beside ours."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge_agent.appliance.doctor import diagnose
from edge_agent.appliance.findings import Verdict
from edge_agent.config.loading import load_settings
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import ServerError
from edge_agent.lsl.outlet import StreamClock, load_pylsl, require_library

WALL_MINUS_BOOT_NS = 1_700_000_000_000_000_000 + 600_000
"""The two clocks turn their milliseconds at different moments, as they do on each machine."""


def test_stamps_in_order_are_instants_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    present_ns = 5_000_000_000
    offset_ns = WALL_MINUS_BOOT_NS

    def now() -> Instant:
        return Instant(present_ns // 1_000_000, (present_ns + offset_ns) // 1_000_000)

    monkeypatch.setattr(clock, "now", now)
    monkeypatch.setattr(clock, "boot_ns", lambda: present_ns)
    stamps = StreamClock(lambda: present_ns / 1e9)
    stamp_s = present_ns / 1e9
    instants = []
    for _ in range(2_000):
        stamp_s += 0.000_05
        present_ns += 170_000
        instants.append(stamps.instant_of(stamp_s))
    assert all(a.wall_ms <= b.wall_ms and a.boot_ms <= b.boot_ms for a, b in pairwise(instants))
    true_ms = stamp_s * 1000 + WALL_MINUS_BOOT_NS / 1e6
    assert abs(instants[-1].wall_ms - true_ms) <= 2.5
    offset_ns -= 3_600_000_000_000  # somebody sets the wall clock back
    assert abs(stamps.instant_of(stamp_s).wall_ms - (true_ms - 3_600_000)) <= 2.5


def test_description_has_one_time_on_both_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: Instant(5_000, 1_700_000_000_250))
    monkeypatch.setattr(clock, "boot_ns", lambda: 5_000_000_000)
    monkeypatch.setattr(clock, "is_synchronised", lambda: True)
    assert StreamClock(lambda: 105.5).present_times() == {
        "utc": "2023-11-14T22:13:20.250Z",
        "local_clock": "105.500000",
        "synchronised": "1",
    }


PYLSL_OF_ARM = """
import os
if not os.path.isfile(os.environ.get("PYLSL_LIB", "")):
    raise RuntimeError("LSL binary library file was not found.")
def library_version():
    return 117
"""
"""As pylsl's wheel for every processor, which has no native library."""
STREAM = {"name": "Shimmer", "kind": "heart_rate"}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages where pylsl is the one for every processor."""
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"]})
    monkeypatch.syspath_prepend(tmp_path)
    # Set before it is deleted, so that the stand-in leaves the list of modules with this test.
    monkeypatch.setitem(sys.modules, "pylsl", None)
    monkeypatch.delitem(sys.modules, "pylsl")
    (tmp_path / "pylsl.py").write_text(PYLSL_OF_ARM, encoding="utf-8")
    return tmp_path


def bring_mne_lsl(packages: Path) -> Path:
    """Lay the files of mne-lsl's wheel that count; return its native library."""
    library = packages / "mne_lsl/lsl/lib/liblsl.so.1.17.7"
    library.parent.mkdir(parents=True)
    library.touch()
    (packages / "mne_lsl/__init__.py").write_text("raise ImportError('mne')", encoding="utf-8")
    return library


def test_library_of_mne_lsl_is_taken_where_pylsl_has_none(packages: Path) -> None:
    library = bring_mne_lsl(packages)
    assert load_pylsl().__file__ == str(packages / "pylsl.py")
    assert os.environ["PYLSL_LIB"] == str(library)


def test_library_that_the_environment_names_comes_first(packages: Path) -> None:
    bring_mne_lsl(packages)
    own = packages / "own.so"
    own.touch()
    os.environ["PYLSL_LIB"] = str(own)
    load_pylsl()
    assert os.environ["PYLSL_LIB"] == str(own)


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        ({"lsl": {"enabled": True}}, "enabled = false under [lsl]"),
        ({"vitals": {"lsl": {"streams": [STREAM]}}}, "streams = [] under [vitals.lsl]"),
        ({"control": {"lsl_stream": "PsychoPy"}}, "# before lsl_stream under [control]"),
        (
            {"lsl": {"enabled": True}, "vitals": {"lsl": {"streams": [STREAM]}}},
            "enabled = false under [lsl] and streams = [] under [vitals.lsl]",
        ),
    ],
    ids=["outlet", "inlet", "markers", "two"],
)
def test_library_missing_error_names_package_and_lines_to_write(
    asked: Mapping[str, Any], lines: str, packages: Path
) -> None:
    with pytest.raises(ServerError) as told:
        require_library(load_settings(None, asked))
    assert "sudo ./install.sh --with lsl" in str(told.value)
    assert "install --no-deps mne-lsl" in str(told.value)
    assert str(told.value).endswith(f" To run without it, write {lines}.")


def test_library_that_nobody_asks_for_is_not_loaded(packages: Path) -> None:
    assert require_library(load_settings(None, {})) == ""


def test_doctor_tells_a_missing_library_and_the_one_that_is_there(packages: Path) -> None:
    asked = load_settings(None, {"lsl": {"enabled": True}, "camera": {"source": "demo"}})
    (missing,) = [one for one in diagnose(asked, packages / "data") if one.check == "lsl"]
    assert missing.verdict is Verdict.PROBLEM and "write enabled = false" in missing.found
    bring_mne_lsl(packages)
    (there,) = [one for one in diagnose(asked, packages / "data") if one.check == "lsl"]
    assert (there.verdict, there.found) == (Verdict.OK, "liblsl 1.17, for [lsl]")

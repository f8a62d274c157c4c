"""What browser tests share: one Chromium, one example study and one dashboard over it, started with
the first test of this folder that needs them and closed behind the last.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, StorageState

from dashboard.web.options import DashboardOptions
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.browser.served import Served
from tests.support.browser import chromium
from tests.support.dashboard import fill
from tests.support.garbage import collect

HERE = Path(__file__).parent
_open = ExitStack()


@cache
def _browser() -> Browser:
    return _open.enter_context(chromium())


@cache
def _example() -> Path:
    """Make a data folder with the example study and half an hour of recording, which ends now."""
    folder = Path(_open.enter_context(tempfile.TemporaryDirectory(prefix="example")))
    database = DashboardOptions(data=folder).database
    fill(database, minutes=30, simulated=True)
    seed_example_study(database, SimulatedPerson)
    return folder


@cache
def _shown() -> tuple[Served, StorageState]:
    folder = Path(_open.enter_context(tempfile.TemporaryDirectory(prefix="shown")))
    shutil.copytree(_example(), folder, dirs_exist_ok=True)
    served = _open.enter_context(Served(folder))
    return served, served.login()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Close behind the last test of this folder: an open Playwright leaves an event loop running in
    this thread, where no other can be run then.
    """
    try:
        yield
    finally:
        if nextitem is None or HERE not in nextitem.path.parents:
            for one in (_browser, _example, _shown):
                one.cache_clear()
            _open.close()


@pytest.fixture(autouse=True)
def _collect_garbage() -> Iterator[None]:
    """Let what a test left open fail that test and no other."""
    yield
    collect()


@pytest.fixture(scope="module")
def browser() -> Browser:
    """The system's Chromium."""
    return _browser()


@pytest.fixture(scope="module")
def shown() -> Served:
    """A dashboard over the example study and half an hour of recording, for tests that change
    nothing.
    """
    return _shown()[0]


@pytest.fixture(scope="module")
def login(shown: Served) -> StorageState:
    """A login to the dashboard that is shown."""
    return _shown()[1]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """A dashboard over a copy of the example study, for a test that changes it."""
    with Served(copy_of_example(tmp_path / "data")) as served:
        yield served


def copy_of_example(folder: Path) -> Path:
    """Copy the example study to a new folder, and return that."""
    return shutil.copytree(_example(), folder)


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe is not installed (pip install axe-playwright-python)")
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")

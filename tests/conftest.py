"""Settings of all tests."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Each worker of a run has a core to itself. Threads of PyTorch in two workers would wait for each
# other at every step: on a busy machine a test of a second then takes minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Looking for the tests loads hundreds of libraries, of which nothing is ever thrown away: the
# collector of garbage would look through all of it again and again, there and after each test.
gc.disable()

# The same cases in every run: a red run can be repeated. To search for new ones: pytest
# --hypothesis-profile=default
# A slow machine is no fault of the code: neither deadline nor the speed of making examples counts.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")

LOG_LEVEL = logging.getLogger().level
"""Level of the log before any test has run a command."""

# Training has an environment of its own, by which `make test-training` runs them.
TRAINING = [Path(__file__).parent / level / "training" for level in ("unit", "integration")]
EXTRA = ("litert_torch", "matplotlib", "sklearn", "torch")
collect_ignore = [] if all(map(find_spec, EXTRA)) else [str(folder) for folder in TRAINING]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of training."""
    for item in items:
        if any(folder in item.path.parents for folder in TRAINING):
            item.add_marker(pytest.mark.training)


def pytest_collection_finish() -> None:
    """Collect garbage again, but for what is loaded now, which stays to the end."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _no_process_stays() -> Iterator[None]:
    """End what computed for the dashboards of this process, if there were any."""
    yield
    support = sys.modules.get("tests.support.dashboard")
    if support is not None and support.shared_computing.cache_info().currsize:
        support.shared_computing().close()


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Take back what a command run in this process did to the log, which the next test may want to
    read: one that this test ran, and before it one that ran for several tests.
    """
    _take_back_the_log()
    yield
    _take_back_the_log()


def _take_back_the_log() -> None:
    root = logging.getLogger()
    root.setLevel(LOG_LEVEL)
    for handler in [each for each in root.handlers if type(each) is logging.StreamHandler]:
        root.removeHandler(handler)

"""The examples in docstrings that need nothing but their own module print what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.vitals.gatt import decode_heart_rate

MODULES = (
    "dashboard.web.attempt_limiter",
    "edge_agent.camera.base",
    "edge_agent.camera.demo",
    "edge_agent.core.given_readings",
    "edge_agent.core.latest_value",
    "edge_agent.core.timers",
    "edge_agent.core.vitals",
    "edge_agent.runtime.health.throttling",
    "edge_agent.runtime.health.watchdog",
    "edge_agent.vision.faces.memory",
    "edge_agent.vitals.gatt",
    "edge_agent.vitals.sensor_readings",
    "edge_agent.vitals.simulated",
)
NEEDS_MORE = {"SimulatedVitals"}  # a recorder


@pytest.mark.parametrize("name", MODULES)
def test_its_examples_print_what_they_say(name: str) -> None:
    module = importlib.import_module(name)
    names = {"Instant": Instant, "clock": clock, "decode_heart_rate": decode_heart_rate}
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder().find(module, globs=vars(module) | names):
        if example.name.rpartition(".")[2] not in NEEDS_MORE:
            runner.run(example)
    assert runner.tries > 0
    assert runner.failures == 0

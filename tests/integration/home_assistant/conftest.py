"""A broker and the real Home Assistant beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Mosquitto
from tests.support.home.home_assistant import HomeAssistant
from tests.support.home.running_agent import PASSWORD, USER


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto", users={USER: PASSWORD}) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[HomeAssistant]:
    with HomeAssistant(tmp_path / "home", mosquitto.port, USER, PASSWORD) as running:
        yield running

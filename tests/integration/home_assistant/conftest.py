"""A broker and the real Home Assistant beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Mosquitto
from tests.support.home.home_assistant import HomeAssistant
from tests.support.home.rules import HOME_ASSISTANT, documented_rules
from tests.support.home.running_agent import DEVICE, PASSWORD, USER

ASKS = "b"
"""Home Assistant's password."""


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets both do what the page says, and no more."""
    users = {USER: PASSWORD, HOME_ASSISTANT: ASKS}
    rules = documented_rules(DEVICE)
    with Mosquitto(tmp_path / "mosquitto", users=users, acl=rules) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[HomeAssistant]:
    with HomeAssistant(tmp_path / "home", mosquitto.port, HOME_ASSISTANT, ASKS) as running:
        yield running

"""A small appliance that takes profiles, and the place where they are published."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge_agent.appliance.profiles.applying import ProfileApplier, Watch
from edge_agent.appliance.profiles.fetching import fetch_profile
from edge_agent.appliance.profiles.index import ALL, ProfileIndex
from edge_agent.appliance.profiles.place import ProfilePlace, ProfileState, read_state
from edge_agent.appliance.profiles.publishing import make_profile
from edge_agent.appliance.trust import read_key_file
from edge_agent.appliance.update import Place
from edge_agent.store.database.schema import migrate

NOW_MS = 1_795_400_000_000
CONFIG = """# of our laboratory
[device]
name = "room-1"

[camera]
fps = 12.0   # quiet
"""


@dataclass
class Services:
    """The services of an appliance, as a test lets them be.

    Attributes:
        stand: alarms that stand; ``None``: no agent answers.
        worse: what is found after the next change; ``None``: nothing.
        restarts: the keys of each restart.
    """

    stand: frozenset[str] | None = frozenset()
    worse: str | None = None
    restarts: list[list[str]] = field(default_factory=list)

    def watch(self) -> Watch:
        return Watch(lambda: self.stand, self.restart, lambda _: self.worse)

    def restart(self, keys: Mapping[str, Any]) -> None:
        self.restarts.append(sorted(keys))


@dataclass
class Fleet:
    """One appliance, and the folder from which it pulls."""

    place: ProfilePlace
    published: Path
    key: Path
    services: Services = field(default_factory=Services)
    said: list[str] = field(default_factory=list)
    number: int = 1_795_000_000

    @property
    def config(self) -> Path:
        return self.place.appliance.config

    @property
    def state(self) -> ProfileState:
        return read_state(self.place.state)

    def publish(
        self,
        settings: str = "[vision]\nmax_faces = 3\n",
        *models: Path,
        version: str = "1",
        stage: int = ALL,
    ) -> None:
        self.number += 1
        profile = ProfileIndex(
            number=self.number, name="summer", version=version, stage=stage, settings=settings
        )
        make_profile(self.published, profile, models, self.key)

    def fetch(self) -> ProfileIndex:
        return fetch_profile(self.place, str(self.published), "room-1", NOW_MS)

    def applier(self, *, again: bool = False) -> ProfileApplier:
        return ProfileApplier(self.place, "room-1", self.services.watch(), self.said.append, again)

    def pull(self, *, again: bool = False) -> str:
        """Fetch and apply, as the units do each hour."""
        self.fetch()
        return self.applier(again=again).run()


def make_key(file: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    return file


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    place = ProfilePlace(Place(tmp_path / "opt", tmp_path / "data", tmp_path / "etc/edge.toml"))
    for folder in (place.appliance.program, place.appliance.data, place.appliance.config.parent):
        folder.mkdir()
    place.appliance.config.write_text(CONFIG)
    migrate(place.appliance.database)
    made = Fleet(place, tmp_path / "published", make_key(tmp_path / "key"))
    place.trust.add(read_key_file(tmp_path / "key.pub"))
    return made

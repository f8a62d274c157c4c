"""What is published: only what is allowed, signed, and in the same place for every device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent.appliance.feed.last_look import STATE_NAME, read_look
from edge_agent.appliance.feed.signing import sign_file
from edge_agent.appliance.profiles.allowed import ALLOWED, read_values
from edge_agent.appliance.profiles.index import place_of, profile_of
from edge_agent.appliance.profiles.publishing import published_profile, restage_profile
from edge_agent.appliance.trust import NAMESPACE
from edge_agent.config.editing.keys import EDITABLE, all_keys
from edge_agent.core.errors import AffectEdgeError, UpdateError
from tests.unit.appliance.profiles.conftest import Fleet, make_key

OWNERS = (
    "alerts.",
    "backup.",
    "capture.",
    "control.",
    "dashboard.",
    "data.",
    "device.",
    "fleet.",
    "lsl.",
    "updates.",
    "vitals.",
    "mqtt.host",
    "mqtt.password",
    "mqtt.enabled",
    "mqtt.commands",
    "record.keep_days",
    "record.budget_mb",
    "camera.source",
    "vision.expression_model",
)


def test_a_profile_sets_no_more_than_a_browser_may_and_nothing_of_the_owner() -> None:
    assert ALLOWED < EDITABLE
    assert not [key for key in ALLOWED if key.startswith(OWNERS)]


@pytest.mark.parametrize("key", [key for key in all_keys() if key.name not in ALLOWED])
def test_every_other_key_is_refused(key: object) -> None:
    name = str(getattr(key, "name"))  # noqa: B009 - the type of a parameter
    section, _, rest = name.rpartition(".")
    with pytest.raises(UpdateError, match="a profile may not set"):
        read_values(f"[{section}]\n{rest} = 1\n", "profile.toml")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[camera\n", "is no TOML"),
        ("[camera]\nfps = -1\n", "value that is refused"),
        ('[camera]\nfps = "quick"\n', "value that is refused"),
        ("[camera]\nfsp = 1\n", "may not set camera.fsp"),
        ("camera = 1\n", "may not set camera"),
    ],
)
def test_a_wrong_fragment_is_said(text: str, why: str) -> None:
    with pytest.raises(UpdateError, match=why):
        read_values(text, "profile.toml")


def test_places_are_spread_and_another_version_begins_with_others() -> None:
    names = [f"device-{n}" for n in range(10_000)]
    first = {name for name in names if place_of(name, "summer", "1") < 10}
    tenth = {name for name in names if place_of(name, "summer", "1") < 100}
    assert 60 <= len(first) <= 140 and 850 <= len(tenth) <= 1150
    assert first < tenth
    other = {name for name in names if place_of(name, "summer", "2") < 10}
    assert len(first & other) < 10


def test_another_stage_is_the_same_profile_signed_later(fleet: Fleet) -> None:
    fleet.publish(stage=10)
    before = published_profile(fleet.published)
    after = restage_profile(fleet.published, 100, fleet.key, now_s=5)
    assert after.digest == before.digest
    assert (after.number, after.stage) == (before.number + 1, 100)
    fleet.place.trust.check(
        fleet.published / "index.json", fleet.published / "index.json.sig", "profile"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../etc"},
        {"version": ""},
        {"stage": 1001},
        {"stage": -1},
        {"settings": "x" * 17_000},
        {"number": 0},
    ],
)
def test_nonsense_is_refused_where_it_is_made(changes: dict[str, object]) -> None:
    given = {"number": 1, "name": "summer", "version": "1", "stage": 10}
    with pytest.raises(UpdateError, match=next(iter(changes))):
        profile_of(**{**given, **changes})


def test_a_profile_of_nothing_is_refused(fleet: Fleet) -> None:
    with pytest.raises(UpdateError, match="changes nothing"):
        fleet.publish("")
    assert not (fleet.published / "index.json").exists()


def test_a_damaged_model_is_not_published(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "face.json").write_text("{}")
    with pytest.raises(AffectEdgeError, match="face.json"):
        fleet.publish("", tmp_path / "face.json")
    assert not (fleet.published / "index.json").exists()


def test_a_key_that_cannot_sign_leaves_what_was_published(fleet: Fleet, tmp_path: Path) -> None:
    fleet.publish()
    before = (fleet.published / "index.json").read_bytes()
    fleet.key = tmp_path / "none"
    with pytest.raises(UpdateError, match="nothing could be signed"):
        fleet.publish(version="2")
    assert (fleet.published / "index.json").read_bytes() == before


def test_a_folder_without_a_profile_is_said(tmp_path: Path) -> None:
    with pytest.raises(UpdateError, match=r"index\.json: cannot be read"):
        published_profile(tmp_path)


def test_what_signs_releases_signs_no_profile(fleet: Fleet) -> None:
    fleet.publish()
    sign_file(fleet.published / "index.json", fleet.key, NAMESPACE)
    with pytest.raises(UpdateError, match="configuration profile is not trusted"):
        fleet.fetch()


def test_without_the_owners_key_nothing_is_taken(fleet: Fleet, tmp_path: Path) -> None:
    fleet.key = make_key(tmp_path / "stranger")
    fleet.publish()
    with pytest.raises(UpdateError, match="not trusted"):
        fleet.fetch()
    for file in fleet.place.trust.owner.iterdir():
        file.unlink()
    with pytest.raises(UpdateError, match="fleet-profile trust KEYFILE"):
        fleet.fetch()
    assert not (fleet.place.incoming / "index.json").exists()
    look = read_look(fleet.place.incoming / STATE_NAME)
    assert look is not None and "No key is trusted to sign configuration profiles" in look.problem


def test_an_older_index_is_not_fetched_over_a_newer(fleet: Fleet) -> None:
    fleet.publish()
    old = {file: file.read_bytes() for file in fleet.published.glob("index*")}
    fleet.publish("[vision]\nmax_faces = 4\n", version="2")
    fleet.fetch()
    for file, content in old.items():
        file.write_bytes(content)
    with pytest.raises(UpdateError, match="and one of .* was believed before"):
        fleet.fetch()
    kept = json.loads((fleet.place.incoming / "index.json").read_text())
    assert kept["version"] == "2"


@pytest.mark.parametrize(
    "changes",
    [
        {"models": [{"card": {"name": "../../etc/passwd", "size": 1, "sha256": "0" * 64}}]},
        {"kind": "affect-edge-releases"},
        {"stage": "all"},
        {"command": "reboot"},
    ],
)
def test_a_signed_index_with_nonsense_is_refused(fleet: Fleet, changes: dict[str, object]) -> None:
    fleet.publish()
    index = fleet.published / "index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | changes))
    sign_file(index, fleet.key, "affect-edge-profile")
    with pytest.raises(UpdateError, match=f"no configuration profile.*{next(iter(changes))}"):
        fleet.fetch()

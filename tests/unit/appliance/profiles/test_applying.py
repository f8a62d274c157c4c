"""A profile is applied, watched, and taken back; whatever happens, there is a way back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.appliance.profiles import applying
from edge_agent.appliance.profiles.place import INCOMING, write_state
from edge_agent.appliance.update import roll_back, update
from edge_agent.config import load_settings
from edge_agent.core.errors import AffectEdgeError, UpdateError
from edge_agent.core.study import Purpose
from edge_agent.runtime.health.profile_standing import profile_told
from edge_agent.store.study.study import Study
from tests.support.vision.tiny_model import expression_card, tiny_tflite, write_model
from tests.unit.appliance.profiles.conftest import CONFIG, Fleet, make_key


def state_of(fleet: Fleet) -> str:
    standing = fleet.state.standing
    assert standing is not None
    return f"{standing.name} {standing.version} {standing.state}"


def test_a_profile_is_applied_once_and_told(fleet: Fleet) -> None:
    fleet.publish("[vision]\nmax_faces = 3\n[camera]\nfps = 8.0\n")
    assert fleet.pull() == "summer 1 is applied."
    settings = load_settings(fleet.config)
    assert (settings.vision.max_faces, settings.camera.fps) == (3, 8.0)
    assert (
        "# of our laboratory" in fleet.config.read_text() and "# quiet" in fleet.config.read_text()
    )
    assert fleet.services.restarts == [["camera.fps", "vision.max_faces"]]
    told = profile_told(fleet.place.state)
    assert told is not None and (told["name"], told["version"], told["state"]) == (
        "summer",
        "1",
        "applied",
    )
    assert fleet.pull() == "summer 1 is applied already."
    assert len(fleet.services.restarts) == 1


def test_the_profile_of_before_makes_room_and_the_owners_values_come_back(fleet: Fleet) -> None:
    fleet.publish("[vision]\nmax_faces = 3\n[camera]\nfps = 8.0\n")
    fleet.pull()
    fleet.publish("[vision]\nmin_face = 50\n", version="2")
    fleet.pull()
    settings = load_settings(fleet.config)
    assert (settings.camera.fps, settings.vision.min_face) == (12.0, 50)
    assert "max_faces" not in fleet.config.read_text()
    fleet.applier().leave()
    assert load_settings(fleet.config).camera.fps == 12.0
    assert "min_face" not in fleet.config.read_text()
    assert profile_told(fleet.place.state) is None


def test_what_the_owner_changed_since_stays_when_he_leaves(fleet: Fleet) -> None:
    fleet.publish("[vision]\nmax_faces = 3\n[camera]\nfps = 8.0\n")
    fleet.pull()
    fleet.config.write_text(fleet.config.read_text().replace("fps = 8.0", "fps = 9.0"))
    fleet.applier().leave()
    assert load_settings(fleet.config).camera.fps == 9.0
    assert "max_faces" not in fleet.config.read_text()


def test_what_the_owner_changed_since_is_theirs_in_the_next_version_too(fleet: Fleet) -> None:
    fleet.publish("[vision]\nmax_faces = 3\n[camera]\nfps = 8.0\n")
    fleet.pull()
    text = fleet.config.read_text().replace("fps = 8.0", "fps = 9.0")
    fleet.config.write_text(text.replace("max_faces = 3", "max_faces = 5"))
    fleet.publish("[vision]\nmax_faces = 4\n", version="2")
    fleet.pull()
    settings = load_settings(fleet.config)
    assert (settings.camera.fps, settings.vision.max_faces) == (9.0, 4)
    fleet.applier().leave()
    settings = load_settings(fleet.config)
    assert (settings.camera.fps, settings.vision.max_faces) == (9.0, 5)


@pytest.mark.parametrize("why", ["A service ended within minutes of its start.", "hot"])
def test_a_device_that_is_worse_takes_it_back_and_does_not_try_again(
    fleet: Fleet, why: str
) -> None:
    fleet.services.worse = why
    fleet.publish("[camera]\nfps = 8.0\n")
    with pytest.raises(UpdateError, match="summer 1 was taken back"):
        fleet.pull()
    assert fleet.config.read_text() == CONFIG
    told = profile_told(fleet.place.state)
    assert told is not None and (told["state"], told["problem"]) == ("taken_back", why)
    assert len(fleet.services.restarts) == 2
    fleet.services.worse = None
    assert "was tried and taken back" in fleet.pull()
    assert fleet.config.read_text() == CONFIG
    assert fleet.pull(again=True) == "summer 1 is applied."


def test_a_bad_one_after_a_good_one_leaves_the_good_one(fleet: Fleet) -> None:
    fleet.publish("[camera]\nfps = 8.0\n")
    fleet.pull()
    before = load_settings(fleet.config)
    fleet.services.worse = "hot"
    fleet.publish("[vision]\nmax_faces = 9\n", version="2")
    with pytest.raises(UpdateError):
        fleet.pull()
    assert load_settings(fleet.config).model_dump() == before.model_dump()
    assert before.camera.fps == 8.0
    assert fleet.state.values == {"camera.fps": 8.0} and fleet.state.base == {"camera.fps": 12.0}


def test_a_device_waits_for_its_turn(fleet: Fleet) -> None:
    fleet.publish(stage=0)
    assert "0 % of the devices; not this one" in fleet.pull()
    assert state_of(fleet) == "summer 1 waiting" and fleet.config.read_text() == CONFIG
    fleet.publish(stage=1000)
    assert fleet.pull() == "summer 1 is applied."


def test_a_stage_of_nothing_keeps_it_where_it_is(fleet: Fleet) -> None:
    fleet.publish()
    fleet.pull()
    fleet.publish(stage=0)
    assert fleet.pull() == "summer 1 is applied already."
    assert load_settings(fleet.config).vision.max_faces == 3


def test_an_open_session_is_not_disturbed(fleet: Fleet) -> None:
    study = Study(fleet.place.appliance.database)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    study.start_session("P-1", Purpose.RESEARCH, "first")
    fleet.publish()
    assert "waits for the end of the open session" in fleet.pull()
    assert fleet.config.read_text() == CONFIG


def test_without_an_agent_that_answers_nothing_is_tried(fleet: Fleet) -> None:
    fleet.services.stand = None
    fleet.publish()
    with pytest.raises(UpdateError, match="the agent does not answer"):
        fleet.pull()
    assert fleet.config.read_text() == CONFIG


def own_model(folder: Path) -> Path:
    folder.mkdir()
    content = tiny_tflite()
    return write_model(folder, content, expression_card(content))


def test_a_model_comes_with_a_profile_and_goes_with_it(fleet: Fleet, tmp_path: Path) -> None:
    shipped = load_settings(fleet.config).vision.expression_model
    fleet.publish("[vision]\nmax_faces = 3\n", own_model(tmp_path / "models"))
    assert fleet.pull() == "summer 1 is applied."
    used = Path(load_settings(fleet.config).vision.expression_model)
    assert used.is_relative_to(fleet.place.appliance.data / "models") and used.exists()
    fleet.publish("[vision]\nmax_faces = 4\n", version="2")
    fleet.pull()
    assert load_settings(fleet.config).vision.expression_model == shipped


def test_a_model_that_makes_it_worse_is_taken_back(fleet: Fleet, tmp_path: Path) -> None:
    before = load_settings(fleet.config).vision.expression_model
    fleet.services.worse = "hot"
    fleet.publish("", own_model(tmp_path / "models"))
    with pytest.raises(UpdateError):
        fleet.pull()
    assert load_settings(fleet.config).vision.expression_model == before


def test_a_model_that_was_changed_after_it_was_fetched_is_not_used(
    fleet: Fleet, tmp_path: Path
) -> None:
    fleet.publish("", own_model(tmp_path / "models"))
    fleet.fetch()
    model = next((fleet.place.appliance.data / INCOMING).glob("*.tflite"))
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    with pytest.raises(UpdateError, match="is not the file that the signed list names"):
        fleet.applier().run()
    assert fleet.config.read_text() == CONFIG


def test_root_believes_nothing_that_lies_there_without_a_signature(
    fleet: Fleet, tmp_path: Path
) -> None:
    fleet.publish()
    fleet.fetch()
    index = fleet.place.incoming / "index.json"
    index.write_text(index.read_text().replace("max_faces = 3", "max_faces = 4"))
    with pytest.raises(UpdateError, match="The configuration profile is not trusted"):
        fleet.applier().run()
    fleet.key = make_key(tmp_path / "thief")
    fleet.publish()
    for name in ("index.json", "index.json.sig"):
        (fleet.place.incoming / name).write_bytes((fleet.published / name).read_bytes())
    with pytest.raises(UpdateError, match="not trusted"):
        fleet.applier().run()
    assert fleet.config.read_text() == CONFIG


def test_an_old_profile_is_not_applied_again(fleet: Fleet) -> None:
    fleet.publish()
    fleet.fetch()
    old = {file.name: file.read_bytes() for file in fleet.place.incoming.glob("index*")}
    fleet.publish("[vision]\nmax_faces = 4\n", version="2")
    fleet.pull()
    for name, content in old.items():
        (fleet.place.incoming / name).write_bytes(content)
    with pytest.raises(UpdateError, match="An old profile can bring back what was mended"):
        fleet.applier().run()
    assert load_settings(fleet.config).vision.max_faces == 4


def test_what_the_configuration_refuses_is_taken_back(fleet: Fleet) -> None:
    fleet.publish()
    fleet.fetch()
    fleet.config.write_text(CONFIG + "nonsense = 1\n")
    with pytest.raises(AffectEdgeError, match="nonsense"):
        fleet.applier().run()
    assert fleet.config.read_text() == CONFIG + "nonsense = 1\n"


def test_what_the_environment_decides_is_said(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.publish()
    monkeypatch.setenv("AFFECT_EDGE_VISION__MAX_FACES", "2")
    with pytest.raises(UpdateError, match="AFFECT_EDGE_VISION__MAX_FACES decides"):
        fleet.pull()
    assert fleet.config.read_text() == CONFIG


class PowerCut(BaseException):
    """The machine goes off."""


def test_the_power_goes_at_each_step_and_the_way_back_is_known(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.publish("[camera]\nfps = 8.0\n")
    fleet.fetch()
    real = write_state
    ended = False
    for step in range(1, 12):
        count = 0

        def cut(*words: object, _step: int = step) -> None:
            nonlocal count
            count += 1
            if count == _step:
                raise PowerCut
            real(*words)  # type: ignore[arg-type]

        monkeypatch.setattr(applying, "write_state", cut)
        try:
            fleet.applier(again=True).run()
            ended = True
        except PowerCut:
            pass
        monkeypatch.setattr(applying, "write_state", real)
        if ended:
            break
        fleet.services.stand = None  # the next start only takes back
        with pytest.raises(UpdateError):
            fleet.applier(again=True).run()
        fleet.services.stand = frozenset()
        assert fleet.config.read_text() == CONFIG
    assert ended and step == 4
    assert load_settings(fleet.config).camera.fps == 8.0


def test_a_profile_that_ends_the_machine_each_time_is_given_up(fleet: Fleet) -> None:
    def cut(_keys: object) -> None:
        raise PowerCut

    fleet.publish("[camera]\nfps = 8.0\n")
    fleet.fetch()
    for _ in range(applying.ATTEMPTS):
        applier = fleet.applier()  # takes back what it finds, and tries once more
        applier.watch = replace(applier.watch, restart=fleet.services.restart, worse=cut)
        with pytest.raises(PowerCut):
            applier.run()
        assert load_settings(fleet.config).camera.fps == 8.0
    assert "It was interrupted 3 times while it was tried" in fleet.applier().run()
    assert fleet.config.read_text() == CONFIG
    told = profile_told(fleet.place.state)
    assert told is not None and told["state"] == "taken_back"


def test_while_one_is_tried_neither_another_nor_an_update_begins(
    fleet: Fleet, tmp_path: Path
) -> None:
    release = fleet.place.appliance.program / "releases/1.0.0"
    for number in ("1.0.0", "0.9.0"):
        (release.with_name(number)).mkdir(parents=True)
        (release.with_name(number) / "VERSION").write_text(number)
        (release.with_name(number) / ".complete").touch()
    (release.parents[1] / "current").symlink_to(release)
    (release.parents[1] / "previous").symlink_to(release.with_name("0.9.0"))
    refused = []

    def meanwhile(_: frozenset[str]) -> None:
        for begin in (
            lambda: fleet.applier().run(),
            lambda: fleet.applier().leave(),
            lambda: update(fleet.place.appliance, str(tmp_path / "none.tar"), fleet.said.append),
            lambda: roll_back(fleet.place.appliance, fleet.said.append),
        ):
            with pytest.raises(UpdateError, match="being applied right now"):
                begin()
            refused.append(fleet.services.restarts.copy())

    fleet.publish()
    fleet.fetch()
    applier = fleet.applier()
    applier.watch = replace(applier.watch, worse=meanwhile)
    assert applier.run() == "summer 1 is applied."
    assert refused == [[["vision.max_faces"]]] * 4
    assert not (fleet.place.appliance.program / "incoming").exists()
    with pytest.raises(UpdateError, match=r"none\.tar"):
        update(fleet.place.appliance, str(tmp_path / "none.tar"), fleet.said.append)


def test_a_state_that_cannot_be_read_is_said(fleet: Fleet) -> None:
    fleet.publish()
    fleet.fetch()
    fleet.place.state.write_text("{")
    with pytest.raises(UpdateError, match="cannot be read. Look at the configuration"):
        fleet.applier().run()
    assert profile_told(fleet.place.state) is None

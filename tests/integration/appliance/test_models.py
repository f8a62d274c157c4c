"""A model is taken into use whole or not at all."""

from __future__ import annotations

import errno
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.appliance.models import ModelPlace, install_model
from edge_agent.config.loading import load_settings
from edge_agent.core.errors import AffectEdgeError, ConfigError, ModelError
from edge_agent.vision.models.card import MODELS_FOLDER, find_model
from edge_agent.vision.models.model import load_model
from tests.support.backups.killed import killed_at
from tests.support.vision.tiny_model import expression_card, tiny_tflite, write_model

CONFIG = "# of our laboratory\n[vision]\nthreads = 2  # a core is spare\n"


@pytest.fixture
def place(tmp_path: Path) -> ModelPlace:
    config = tmp_path / "affect-edge.toml"
    config.write_text(CONFIG)
    (tmp_path / "data").mkdir()
    return ModelPlace(config, tmp_path / "data")


def own_model(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = tiny_tflite()
    return write_model(folder, content, expression_card(content, **changes))


def configured(place: ModelPlace) -> str:
    return load_settings(place.config).vision.expression_model


def run(place: ModelPlace, *words: object) -> Result:
    command = [*map(str, words), "--config", str(place.config), "--data", str(place.data)]
    return CliRunner().invoke(cli, command)


def refused(place: ModelPlace, *what: object) -> str:
    """What is said of a model that cannot be installed; nothing has changed."""
    with pytest.raises(AffectEdgeError) as refusal:
        install_model(place, [str(one) for one in what])
    assert place.config.read_text() == CONFIG
    assert not place.folder.exists()
    return str(refusal.value)


@pytest.mark.parametrize("given", [("tiny.tflite",), ("tiny.json",), ("tiny.tflite", "tiny.json")])
def test_files_of_a_model_are_copied_and_configured(
    place: ModelPlace, tmp_path: Path, given: tuple[str, ...]
) -> None:
    source = own_model(tmp_path / "run")

    change = install_model(place, [str(tmp_path / "run" / name) for name in given])

    shutil.rmtree(source.parent)  # a stick that is pulled out again
    assert configured(place) == str(change.path)
    assert change.path.is_relative_to(place.data / "models")
    assert load_model(find_model(configured(place)), kind="expression").card.name == "tiny"
    assert "threads = 2  # a core is spare" in place.config.read_text()


def test_the_model_of_before_is_installed_again_by_what_was_configured(
    place: ModelPlace, tmp_path: Path
) -> None:
    first = install_model(place, [str(own_model(tmp_path / "run"))])
    assert first.before == "expression-accurate"
    second = install_model(place, [str(own_model(tmp_path / "run", version="1.1.0"))])

    install_model(place, [second.before])
    assert configured(place) == str(first.path)
    install_model(place, [first.before])
    assert configured(place) == "expression-accurate"


def test_a_model_that_is_here_is_installed_again_by_its_name(
    place: ModelPlace, tmp_path: Path
) -> None:
    install_model(place, [str(own_model(tmp_path / "run"))])
    mine = configured(place)
    install_model(place, ["expression-accurate"])

    assert install_model(place, ["tiny"]).path == Path(mine)
    assert install_model(place, ["tiny"]).copy is None  # and there is nothing to do twice


def test_two_models_of_one_name_are_distinguished_by_their_folders(
    place: ModelPlace, tmp_path: Path
) -> None:
    old = install_model(place, [str(own_model(tmp_path / "run"))]).path
    install_model(place, [str(own_model(tmp_path / "run", version="2.0.0"))])

    with pytest.raises(ModelError, match=r"2 models have this name.*tiny-1\.0\.0-"):
        install_model(place, ["tiny"])
    assert install_model(place, [old.parent.name]).path == old


def test_missing_damaged_or_foreign_model_is_named_and_nothing_changes(
    place: ModelPlace, tmp_path: Path
) -> None:
    run_folder = tmp_path / "run"
    card = own_model(run_folder)
    file = card.with_suffix(".tflite")

    assert "there is no model 'nothing'" in refused(place, "nothing")
    assert "none.tflite: no such file" in refused(place, tmp_path / "none.tflite")
    assert "these are 2 models" in refused(place, card, tmp_path / "other.tflite")
    assert "not a file of a model" in refused(place, card, card.with_suffix(".txt"))

    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    assert "The file was changed or damaged" in refused(place, file)
    file.unlink()
    assert "no such file" in refused(place, card)
    file.write_bytes(whole)
    card.write_text(card.read_text()[:-30])
    assert "not valid JSON" in refused(place, file)
    card.unlink()
    assert "no such model card" in refused(place, file)

    labels = expression_card(whole)
    labels["outputs"][0]["labels"].reverse()
    write_model(run_folder, whole, labels)
    assert "labels of output 'expression' must be" in refused(place, file)
    write_model(run_folder, whole, expression_card(whole, file="elsewhere.tflite"))
    assert "belongs to elsewhere.tflite" in refused(place, file)


def test_a_kind_that_nothing_chooses_is_refused(place: ModelPlace) -> None:
    assert "of kind 'face-cover' comes with the program" in refused(place, "face-cover")


def test_a_detector_is_installed_unless_yunet_is_asked_for(place: ModelPlace) -> None:
    card = MODELS_FOLDER / "face-detector.json"
    mine = shutil.copytree(MODELS_FOLDER, place.data / "own", dirs_exist_ok=True) / card.name

    change = install_model(place, [str(mine)])

    assert change.key == "vision.detector_model"
    assert load_settings(place.config).vision.detector_model == str(change.path)
    place.config.write_text('[vision]\ndetector = "yunet"\ndetector_model = "y.onnx"\n')
    with pytest.raises(ModelError, match="asks for YuNet"):
        install_model(place, [str(mine)])


def test_an_environment_variable_that_decides_is_named(
    place: ModelPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFECT_EDGE_VISION__EXPRESSION_MODEL", "expression-fast")
    with pytest.raises(ConfigError, match="AFFECT_EDGE_VISION__EXPRESSION_MODEL overrides"):
        install_model(place, ["expression-accurate"])


@pytest.mark.deep
def test_killed_at_each_step_the_old_or_the_new_model_is_whole(
    place: ModelPlace, tmp_path: Path
) -> None:
    card = own_model(tmp_path / "run")
    models = []
    step = 1
    while killed_at(step, lambda: install_model(place, [str(card)])):
        path = find_model(configured(place))
        models.append(load_model(path, kind="expression").card.name)
        shutil.rmtree(place.folder, ignore_errors=True)
        place.config.write_text(CONFIG)
        step += 1
    assert load_model(find_model(configured(place)), kind="expression").card.name == "tiny"
    assert models == sorted(models)  # expression-accurate, then tiny
    assert models.count("expression-accurate") > 10


@pytest.mark.deep
def test_a_stop_between_two_steps_is_no_hindrance_to_the_next_start(
    place: ModelPlace, tmp_path: Path
) -> None:
    card = own_model(tmp_path / "run")
    step = 1
    while killed_at(step, lambda: install_model(place, [str(card)])):
        step += 1  # each goes on where the one before was killed
    assert configured(place) == str(next(place.folder.glob("tiny-*/tiny.json")))
    assert [path.name for path in place.folder.glob(".*")] == []


def test_a_full_disk_leaves_the_model_of_before(
    place: ModelPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = own_model(tmp_path / "run")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(ModelError, match="No space left on device"):
            install_model(place, [str(card)])
    assert place.config.read_text() == CONFIG
    assert list(place.folder.iterdir()) == []


def test_the_commands_say_what_changed_and_how_to_use_it(place: ModelPlace, tmp_path: Path) -> None:
    done = run(place, "model", "install", own_model(tmp_path / "run"))
    assert done.exit_code == 0, done.output
    assert "tiny 1.0.0: file, hash, labels and shapes agree" in done.output
    assert "vision.expression_model: expression-accurate → " in done.output
    where = f"--config {shlex.quote(str(place.config))}"
    assert f"to go back: affect-edge model install expression-accurate {where}\n" in done.output
    assert f"to use it: restart what runs with {where}\n" in done.output
    assert "sudo" not in done.output, "neither units nor root belong to an own file"

    listed = json.loads(run(place, "model", "list", "--json").stdout)
    assert [one["name"] for one in listed if one["used"]] == ["face-detector", "tiny"]
    assert f"* tiny                     1.0.0    expression  {place.folder}" in (
        run(place, "model", "list").output
    )
    again = run(place, "model", "install", "tiny")
    assert "it is configured already" in again.output


def test_a_configured_model_that_is_not_there_is_listed_with_its_problem(place: ModelPlace) -> None:
    place.config.write_text(
        '[vision]\nexpression_model = "gone.json"\ndetector = "yunet"\ndetector_model = "y.onnx"\n'
    )
    lines = run(place, "model", "list").output.splitlines()
    assert any(line.startswith("* gone") and "no such model card" in line for line in lines)
    assert any(line.startswith("* y ") and "y.onnx: no such file" in line for line in lines)

"""The first of two stages: features of a face network, learnt without labels."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch

from tests.support.vision.tiny_faces import faces, tiny_recipe
from training.data.lessons import lessons
from training.errors import RecipeError
from training.expression.face_features import (
    FaceFeaturesTask,
    features_of,
    first_stage_seconds,
    learn_face_features,
    stage_schedule,
)
from training.expression.pretrained import MobileFaceNet
from training.expression.recipe import ExpressionRecipe
from training.learning.recipe import load_recipe
from training.networks.architectures import RegionAttentionNet, SmallResNet
from training.networks.published import PlainCnn

pytestmark = [pytest.mark.training, pytest.mark.usefixtures("undrawn")]

SECTION = '[face_features]\nnetwork = "made.ckpt"\nepochs = 3\npeak_lr = 0.03\n'


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("face") / "made.ckpt"
    torch.save({"epoch": 1, "net_state_dict": MobileFaceNet().state_dict()}, path)
    return path


def recipe(folder: Path, text: str = SECTION) -> ExpressionRecipe:
    path = folder / "tiny.toml"
    path.write_text(tiny_recipe() + text, encoding="utf-8")
    return load_recipe(path, ExpressionRecipe)


def test_the_difference_falls_the_heads_stay_and_a_finished_stage_is_not_repeated(
    tmp_path: Path, weights: Path
) -> None:
    form = recipe(tmp_path)
    torch.manual_seed(2)
    network = form.build_network()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    held_back = faces(4).pictures
    task = FaceFeaturesTask(network, form, lessons(faces(16)), held_back, weights)

    learnt = learn_face_features(task, form, tmp_path, resume=False, device=torch.device("cpu"))
    again = learn_face_features(task, form, tmp_path, resume=True, device=torch.device("cpu"))

    assert first_stage_seconds(tmp_path) > 0
    assert first_stage_seconds(tmp_path / "elsewhere") == 0
    rows = (tmp_path / "face-features" / "curves.csv").read_text(encoding="utf-8").splitlines()
    column = rows[0].split(",").index("train_difference")
    differences = [float(row.split(",")[column]) for row in rows[1:]]
    assert len(differences) == 3
    assert differences[-1] < differences[0]
    assert all(torch.equal(learnt[name], again[name]) for name in learnt)
    changed = {name for name in before if not torch.equal(before[name], learnt[name])}
    assert "stem.0.0.weight" in changed
    assert not any(name.startswith("heads.") for name in changed)


def test_a_frozen_base_and_its_rates_belong_to_the_second_stage(tmp_path: Path) -> None:
    form = recipe(tmp_path)
    later = form.schedule.model_copy(update={"freeze": 1, "learning_rates": (0.1, 1.0, 1.0)})

    schedule = stage_schedule(form.model_copy(update={"schedule": later}))

    assert (schedule.epochs, schedule.peak_lr, schedule.freeze) == (3, 0.03, 0)
    assert schedule.learning_rates == ()
    assert form.weights_needed == "made.ckpt"


def test_region_attention_learns_them_on_the_whole_face_and_plain_cnn_cannot() -> None:
    backbone = SmallResNet((4, 8), (1,), (2,), {})
    attention = RegionAttentionNet(backbone, 8, {"expression": 8})
    plain = PlainCnn(48, (4, 8), 16, {"expression": 8})

    assert features_of(attention, torch.zeros(2, 1, 48, 48)).shape == (2, 8, 18, 18)
    with pytest.raises(RecipeError, match="plain-cnn joins the regions.*choose another"):
        features_of(plain, torch.zeros(2, 1, 48, 48))


def test_two_beginnings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text('start = "run"\n' + tiny_recipe() + SECTION, encoding="utf-8")

    with pytest.raises(RecipeError, match="each say how it begins; keep one"):
        load_recipe(path, ExpressionRecipe)


def test_features_count_in_units_of_their_own_deviation(tmp_path: Path, weights: Path) -> None:
    form = recipe(tmp_path)
    task = FaceFeaturesTask(
        form.build_network(), form, lessons(faces(32)), faces(4).pictures, weights
    )
    generator = torch.Generator().manual_seed(1)

    pictures, wanted = next(iter(task.batches(0, generator)))

    assert (pictures.shape, wanted.shape) == ((8, 1, 48, 48), (8, 512, 3, 3))
    assert np.isfinite(wanted.numpy()).all()
    assert 0.2 < float(wanted.std()) < 5

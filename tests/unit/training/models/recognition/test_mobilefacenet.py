"""MobileFaceNet: the shape of its published checkpoints, and what is refused."""

from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="the training extra is not installed")

import torch

from tests.support.vision.tiny_faces import faces
from training.errors import RecipeError
from training.expression import pretrained
from training.expression.pretrained import MobileFaceNet, as_face_input, load_face_network

pytestmark = pytest.mark.training


def test_it_has_the_layers_of_the_published_checkpoint_and_reads_one(tmp_path: Path) -> None:
    torch.manual_seed(3)
    made = MobileFaceNet()
    held = made.state_dict()
    torch.save({"epoch": 68, "net_state_dict": held}, tmp_path / "made.ckpt")

    network = load_face_network(tmp_path / "made.ckpt")

    assert {name: tuple(held[name].shape) for name in _SOME} == _SOME
    assert sum(weight.numel() for weight in made.parameters()) == 999_552
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())
    seen = as_face_input(torch.rand(2, 1, 48, 48))
    assert seen.shape == (2, 3, 112, 96)
    assert network.features(seen).shape == (2, 512, 7, 6)
    assert network(seen).shape == (2, 128)


_SOME = {
    "conv1.prelu.weight": (64,),
    "dw_conv1.conv.weight": (64, 1, 3, 3),
    "blocks.5.conv.6.weight": (128, 256, 1, 1),
    "blocks.12.conv.3.weight": (512, 1, 3, 3),
    "linear7.conv.weight": (512, 1, 7, 6),
    "linear1.bn.running_mean": (128,),
}


def test_black_and_white_become_the_ends_of_its_range() -> None:
    black, white = as_face_input(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 48, 48))

    assert black.unique().item() == pytest.approx(-127.5 / 128)
    assert white.unique().item() == pytest.approx(127.5 / 128)


def test_the_same_picture_is_told_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    torch.save({"net_state_dict": MobileFaceNet().state_dict()}, tmp_path / "made.ckpt")
    made = faces(4)
    made.usage[:] = 1
    monkeypatch.setattr(pretrained, "load_faces", lambda *_, **__: made)

    done = CliRunner().invoke(
        pretrained.main, ["--weights", str(tmp_path / "made.ckpt"), "--data", "fer2013.csv"]
    )

    assert done.output.startswith("4 faces cut out twice, 3 pixels apart: mean cosine ")
    told = pretrained.likeness(load_face_network(tmp_path / "made.ckpt"), made)
    assert -1 <= told.others <= 1
    assert -1 <= told.same <= 1


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    torch.save({"weights": {}}, tmp_path / "other.ckpt")
    torch.save({"net_state_dict": {"conv1.conv.weight": torch.zeros(1)}}, tmp_path / "short.ckpt")

    with pytest.raises(RecipeError, match=r"other\.ckpt: has no net_state_dict"):
        load_face_network(tmp_path / "other.ckpt")
    with pytest.raises(RecipeError, match=r"short\.ckpt: is of another network than MobileFaceNet"):
        load_face_network(tmp_path / "short.ckpt")
    with pytest.raises(RecipeError, match="not a checkpoint that can be read"):
        load_face_network(tmp_path / "none.ckpt")

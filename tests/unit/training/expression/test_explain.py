"""`training explain`: where the float network of a run sees a category."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.vision.portraits import SERIOUS_FILE
from tests.support.vision.tiny_faces import faces, tiny_recipe
from tests.support.vision.training_runs import training_here
from training.data.datasets import EXPRESSIONS
from training.errors import RecipeError
from training.expression.explain import (
    VIEWS,
    Explained,
    artefacts,
    explain_faces,
    grad_cam,
    open_run,
    peak,
    summary,
    upper_share,
)
from training.expression.recipe import ExpressionRecipe
from training.learning.recipe import load_recipe
from training.networks.base import RegionNetwork, WithEvidence


def write_run(folder: Path, recipe: str) -> Path:
    """A folder with the recipe and the untrained weights of its network."""
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(recipe, encoding="utf-8")
    torch.manual_seed(5)
    network = load_recipe(folder / "recipe.toml", ExpressionRecipe).build_network()
    average = {
        "n_averaged": torch.tensor(1),
        **{f"module.{name}": w for name, w in network.state_dict().items()},
    }
    torch.save({"average": average, "best": {}}, folder / "checkpoint.pt")
    return folder


def two_stages() -> str:
    return (
        tiny_recipe()
        .replace("widths = [4, 8]", "widths = [4, 8, 16]")
        .replace("blocks = [1]", "blocks = [2, 1]")
        .replace("strides = [2]", "strides = [2, 2]")
    )


def with_network(section: str) -> str:
    head, rest = tiny_recipe().split("[network]")
    return f"{head}[network]\n{section}\n[schedule]{rest.split('[schedule]')[1]}"


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", two_stages())


# What is refused


def test_a_folder_without_checkpoint_or_recipe_is_refused(run_folder: Path) -> None:
    (run_folder / "recipe.toml").rename(run_folder / "other.toml")
    with pytest.raises(
        RecipeError, match="keeps no copy of its recipe; name the recipe with --recipe"
    ):
        open_run(run_folder)
    open_run(run_folder, run_folder / "other.toml")
    own = run_folder.with_name("own")
    shutil.copytree(run_folder, own / "run")
    open_run(own, run_folder / "other.toml")  # as `train` leaves it
    (run_folder / "checkpoint.pt").unlink()
    with pytest.raises(
        RecipeError, match="holds no checkpoint.pt; give the folder of a training run"
    ):
        open_run(run_folder, run_folder / "other.toml")


def test_a_network_without_an_exact_map_is_refused_with_what_can_be_done(tmp_path: Path) -> None:
    section = 'architecture = "plain-cnn"\nwidths = [4, 8]\nhidden = 16'
    run = write_run(tmp_path / "run", with_network(section))

    with pytest.raises(RecipeError, match="plain-cnn joins all places.*evaluate --covered"):
        open_run(run)


@pytest.mark.parametrize(
    ("section", "stages"),
    [
        ('architecture = "vgg"\nwidths = [4, 8, 8]\nconvolutions = [1, 1, 1]', 3),
        ('architecture = "resnet18"\nwidth = 4\nreduction = 2', 4),
        ('architecture = "mobilenet"\nwidth = 0.1\nstem_stride = 1', 13),
        ('architecture = "depthwise-resnet"\nwidths = [4, 8]\nblocks = [2]\nstrides = [2]', 1),
        ('architecture = "region-attention"\nwidths = [4, 8]\nblocks = [1]\nstrides = [2]', None),
    ],
)
def test_every_network_is_explained_exactly(
    tmp_path: Path, section: str, stages: int | None
) -> None:
    network, recipe = open_run(write_run(tmp_path / "run", with_network(section)))
    named = [(f"{i}.png", picture) for i, picture in enumerate(faces(2).pictures)]

    maps = explain_faces(network, recipe, named, category="anger", stage=stages)

    pictures = recipe.as_input(torch.from_numpy(faces(2).pictures).unsqueeze(1).float() / 255)
    with torch.no_grad():
        logits = network(pictures)[0][:, EXPRESSIONS.index("anger")]
    for face, logit in zip(maps, logits, strict=True):
        assert face.cam.sum() == pytest.approx(float(logit), abs=1e-4)
        assert face.grad_cam.shape == face.cam.shape
    if stages is not None:
        assert isinstance(network, RegionNetwork)
        assert len(network.stage_ends()) == stages
        return
    for face in maps:  # of region attention
        assert face.cam.shape == (48, 48)
        assert len(face.weights) == len(VIEWS) == 7
        assert sum(face.weights) == pytest.approx(1)
        assert face.grad_cam.sum() == pytest.approx(1, abs=1e-4)
    with pytest.raises(RecipeError, match="--stage 2: a network of region attention has a map"):
        explain_faces(network, recipe, named, stage=2)


def test_without_a_readable_face_nothing_is_written(run_folder: Path, tmp_path: Path) -> None:
    sea = tmp_path / "sea.png"
    assert cv2.imwrite(str(sea), np.full((120, 160, 3), 127, np.uint8))
    done = training_here(
        "explain", sea, tmp_path / "absent.png", "--run", run_folder, "--out", tmp_path / "out"
    )
    said = done.stderr
    assert done.returncode == 1
    assert f"left out: {sea}: no face; if it is one that was cut out already, add --aligned" in said
    assert f"left out: {tmp_path / 'absent.png'}: no such file." in said
    assert not (tmp_path / "out").exists()


def test_a_picture_that_was_given_is_not_overwritten(run_folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "sheet-01.png"
    assert cv2.imwrite(str(picture), faces(1).pictures[0])
    before = picture.read_bytes()
    done = training_here("explain", picture, "--aligned", "--run", run_folder, "--out", tmp_path)
    assert done.returncode == 1, done.stderr
    assert ("sheet-01.png: is one of the PICTURES and would be overwritten") in done.stderr
    assert picture.read_bytes() == before


# What is drawn


def test_grad_cam_at_the_last_stage_is_the_positive_part_of_cam(run_folder: Path) -> None:
    network, _ = open_run(run_folder)
    assert isinstance(network, RegionNetwork)
    pictures = torch.randn(4, 1, 48, 48)
    wanted = torch.tensor([0, 3, 3, 7])

    found = grad_cam(network, pictures, wanted, steps=4)

    head = network.heads["expression"]
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        cam = WithEvidence(network)(pictures)[-1]
        bias = head.bias / (12 * 12)
    for i, k in enumerate(wanted.tolist()):
        torch.testing.assert_close(
            found[i], (cam[i, :, :, k] - bias[k]).relu(), rtol=1e-4, atol=1e-6
        )


def test_places_are_given_in_pixels_of_face_and_as_shares_of_its_halves() -> None:
    values = np.zeros((6, 6), np.float32)
    values[4, 1] = 3.0
    values[0, 5] = 1.0
    values[2, 2] = -9.0

    assert peak(values) == (12.0, 36.0)
    assert upper_share(values) == pytest.approx(0.25)
    assert upper_share(np.ones((5, 5), np.float32)) == pytest.approx(0.5)
    assert upper_share(-np.ones((5, 5), np.float32)) is None


def test_every_face_has_a_row_and_a_place_on_a_sheet() -> None:
    random = np.random.default_rng(4)
    crop = random.integers(0, 255, (48, 48), dtype=np.uint8)
    against = -np.ones((6, 6), np.float32)
    one = Explained(
        "a.png", crop, 1, 0.5, random.normal(size=(6, 6)).astype(np.float32), against * 0
    )
    explained = [one] * 32 + [Explained("b.png", crop, 6, 0.25, against, against * 0)]

    files = artefacts(explained)

    assert list(files) == ["explained.csv", "sheet-01.png", "sheet-02.png"]
    rows = list(csv.DictReader(io.StringIO(files["explained.csv"].decode())))
    assert [row["file"] for row in rows] == ["a.png"] * 32 + ["b.png"]
    assert float(rows[0]["cam_upper_half"]) + float(rows[0]["cam_lower_half"]) == pytest.approx(
        1, abs=1e-3
    )
    assert (rows[-1]["category"], rows[-1]["cam_upper_half"]) == ("fear", "")
    with Image.open(io.BytesIO(files["sheet-02.png"])) as sheet:
        assert sheet.width > 200
    assert (
        summary(explained)
        .splitlines()[1]
        .startswith("fear           1   in the upper half of the face: CAM nothing")
    )


def test_the_command_explains_a_photograph(run_folder: Path, tmp_path: Path) -> None:
    done = training_here(
        "explain",
        SERIOUS_FILE,
        "--run",
        run_folder,
        "--out",
        tmp_path / "out",
        "--category",
        "neutral",
    )
    assert done.returncode == 0
    printed = done.stdout.splitlines()
    assert printed[0].startswith("neutral        1   in the upper half of the face: CAM ")
    assert printed[1:] == [
        str(tmp_path / "out" / "explained.csv"),
        str(tmp_path / "out" / "sheet-01.png"),
    ]
    assert all(Path(name).stat().st_size > 0 for name in printed[1:])

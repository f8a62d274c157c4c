"""A network is learnt in the layout in which its gradients are right."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch
from torch import nn

from training.expression.covers import CoverRecipe
from training.expression.recipe import ExpressionRecipe
from training.faces.detector import DetectorRecipe
from training.learning.rates import memory_format
from training.learning.recipe import load_recipe, recipe_kind

pytestmark = pytest.mark.training

ROOT = Path(__file__).resolve().parents[4]
RECIPES = sorted((ROOT / "training" / "recipes").glob("**/*.toml"))

THIN = """
import torch
from torch import nn
from tests.support.vision.line_task import SCHEDULE
from training.learning.loop import begin, step

class Thin:
    steps_per_epoch = 1
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 1, stride=2), nn.BatchNorm2d(8)
    )

    def loss(self, module, batch):
        return module(batch[0]).square().mean(), {}

task = Thin()
state = begin(task, SCHEDULE)
for number in range(20):
    step(task, state, state.module, SCHEDULE, [torch.rand(8, 1, 48, 48)])
print("learnt")
"""


def network_of(file: Path) -> nn.Module:
    """The untrained network of a recipe."""
    if recipe_kind(file) == "expression":
        return load_recipe(file, ExpressionRecipe).build_network()
    if recipe_kind(file) == "face-cover":
        return load_recipe(file, CoverRecipe).network.build()
    return load_recipe(file, DetectorRecipe).network.build()


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_the_networks_of_the_recipes_are_learnt_in_the_quick_layout(file: Path) -> None:
    assert memory_format(network_of(file)) == torch.channels_last


@pytest.mark.parametrize(
    ("convolution", "expected"),
    [
        (nn.Conv2d(4, 8, 1, stride=2), torch.contiguous_format),
        (nn.Conv2d(15, 8, 1, stride=(1, 2)), torch.contiguous_format),
        (nn.Conv2d(16, 8, 1, stride=2), torch.channels_last),
        (nn.Conv2d(4, 8, 1), torch.channels_last),
        (nn.Conv2d(4, 8, 3, stride=2), torch.channels_last),
    ],
)
def test_a_thin_point_convolution_with_a_stride_is_learnt_channels_first(
    convolution: nn.Module, expected: torch.memory_format
) -> None:
    assert memory_format(nn.Sequential(nn.ReLU(), nn.Sequential(convolution))) == expected


@pytest.mark.deep
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_thin_network_learns_without_a_crash(threads: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-c", THIN]

    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=100, check=False
    )

    assert (done.returncode, done.stdout) == (0, "learnt\n"), done.stderr[-2000:]

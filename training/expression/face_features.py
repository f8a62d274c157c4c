"""The first of two stages: learn the features of a face-recognition network, without labels.

Ding et al. 2017, "FaceNet2ExpNet: regularizing a deep face recognition net for expression
recognition". Their first stage asks the convolutions of the expression network for the features of
the face network's last convolution, which is frozen (distribution loss: the squared difference,
equation 4), through a 1×1 convolution that is thrown away. The second stage learns the labels.
Here both are averaged to a few regions, as the two networks divide a face differently, and each
channel of the face network counts alike, in units of its own deviation.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.data.lessons import Lessons
from training.errors import RecipeError
from training.expression.augment import augment
from training.expression.pretrained import FEATURES, as_face_input, load_face_network
from training.expression.recipe import ExpressionRecipe, FaceFeatures
from training.learning.checkpoint import CHECKPOINT, seconds_spent
from training.learning.loop import fit
from training.learning.precision import place_of
from training.learning.recipe import TrainingSchedule
from training.networks.architectures import RegionAttentionNet, regions_of
from training.networks.base import ExpressionNetwork, RegionNetwork

log = logging.getLogger(__name__)

FOLDER = "face-features"
"""Folder of the first stage in that of the run."""

_SAMPLE = 512
_CHUNK = 64
_CHECKED = 512
"""Most held-back faces that each epoch is checked on."""


class FaceFeaturesTask:
    """Learn the features of a face network. It is a :class:`training.learning.loop.TrainingTask`.

    Args:
        network: the network to train; its heads stay unchanged.
        recipe: a recipe with ``face_features``.
        learn: the training set; only its pictures are used.
        held_back: pictures for validation, uint8, N × 48 × 48.
        weights: checkpoint of the face network.

    Raises:
        RecipeError: when the checkpoint cannot be read, or the network has no regions.
    """

    def __init__(
        self,
        network: ExpressionNetwork,
        recipe: ExpressionRecipe,
        learn: Lessons,
        held_back: NDArray[np.uint8],
        weights: Path,
    ) -> None:
        self._recipe = recipe
        self._how = how_of(recipe)
        self._face_network = load_face_network(weights)
        self._pictures = torch.from_numpy(learn.pictures).unsqueeze(1)
        self._held_back = torch.from_numpy(held_back[:_CHECKED]).unsqueeze(1)
        sample = self._regions_of_face_network(self._pictures[:_SAMPLE].float() / 255)
        # Measured once, before learning: the target must not move.
        self._mean = sample.mean(dim=(0, 2, 3), keepdim=True)
        deviation = sample.std(dim=(0, 2, 3), keepdim=True)
        # some channels are dead
        self._deviation = deviation.clamp(min=float(deviation.mean()) / 100)
        torch.manual_seed(recipe.seed)
        edge = recipe.network.edge
        with torch.no_grad():
            channels = features_of(network, torch.zeros(1, 1, edge, edge)).shape[1]
        adapter = nn.Conv2d(channels, FEATURES, 1)
        # between both features there is a 1×1 convolution
        self.module = nn.ModuleDict({"network": network, "adapter": adapter})
        self.steps_per_epoch = len(self._pictures) // recipe.schedule.batch

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Shuffled batches: normalised pictures, N×1×H×W, and what the face network sees."""
        del epoch  # every epoch is alike
        self._follow(generator.device)
        order = torch.randperm(len(self._pictures), generator=generator, device=generator.device)
        size = self._recipe.schedule.batch
        for chosen in torch.split(order[: self.steps_per_epoch * size], size):
            pictures = self._pictures[chosen].float() / 255
            yield self._batch(augment(pictures, self._recipe.augmentation, generator))

    def loss(
        self, module: nn.Module, batch: Sequence[Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the mean squared difference of the features; 1: no better than their mean."""
        assert isinstance(module, nn.ModuleDict)
        pictures, wanted = batch
        network = module["network"]
        assert isinstance(network, ExpressionNetwork)
        # Both networks divide the face into another number of places.
        seen = functional.adaptive_avg_pool2d(features_of(network, pictures), self._how.grid)
        difference = functional.mse_loss(module["adapter"](seen).float(), wanted)
        return difference, {"difference": difference.detach()}

    def validate(self, module: nn.Module) -> Mapping[str, float]:
        """Return the same difference on held-back faces, which are not changed."""
        total = 0.0
        self._follow(place_of(module))
        for part in torch.split(self._held_back, _CHUNK):
            difference, _ = self.loss(module, self._batch(part.float() / 255))
            total += float(difference) * len(part)
        return {"difference": total / len(self._held_back)}

    def _follow(self, device: torch.device) -> None:
        """Move faces and face network to the device that learns."""
        self._face_network.to(device)
        self._pictures, self._held_back, self._mean, self._deviation = (
            each.to(device)
            for each in (self._pictures, self._held_back, self._mean, self._deviation)
        )

    def _batch(self, pictures: Tensor) -> Sequence[Tensor]:
        # In units of each channel's deviation, so that a loud channel counts no more than a quiet
        # one.
        wanted = (self._regions_of_face_network(pictures) - self._mean) / self._deviation
        return self._recipe.as_input(pictures), wanted

    def _regions_of_face_network(self, pictures: Tensor) -> Tensor:
        """N × 1 × H × W, 0…1 → N × 512 × grid × grid."""
        # The face network is asked in pieces: its features of a whole batch would fill the memory.
        with torch.no_grad():
            parts = [
                functional.adaptive_avg_pool2d(
                    self._face_network.features(as_face_input(part)), self._how.grid
                )
                for part in torch.split(pictures, _CHUNK)
            ]
        return torch.cat(parts)


def learn_face_features(
    task: FaceFeaturesTask,
    recipe: ExpressionRecipe,
    folder: Path,
    *,
    resume: bool,
    device: torch.device,
) -> dict[str, Tensor]:
    """Do the first stage, or go on with it, and return the weights for the second stage.

    Args:
        task: the first stage.
        recipe: with ``face_features``.
        folder: of the run; ``face-features`` in it gets checkpoint and curves.
        resume: go on after the last epoch saved.
        device: to learn on.

    Raises:
        RecipeError: as :func:`training.learning.loop.fit`.
        DataError: likewise.
    """
    how = how_of(recipe)
    log.info("first stage: %d epochs of the features of %s", how.epochs, how.network)
    schedule = stage_schedule(recipe)
    out = folder / FOLDER
    fitted = fit(task, schedule, out, seed=recipe.seed, resume=resume, device=device)
    assert isinstance(fitted.module, nn.ModuleDict)
    log.info("second stage: %d epochs of the labels", recipe.schedule.epochs)
    return fitted.module["network"].state_dict()


def first_stage_seconds(folder: Path) -> float:
    """Return how many seconds the first stage of a run has learnt; 0 for a run without one."""
    stage = folder / FOLDER
    if not (stage / CHECKPOINT).exists():
        return 0.0
    return seconds_spent(stage) or 0.0


def stage_schedule(recipe: ExpressionRecipe) -> TrainingSchedule:
    """Return the recipe's schedule, as long and as fast as the first stage says, unfrozen."""
    how = how_of(recipe)
    changed = {
        "epochs": how.epochs,
        # Freezing and rates of parts are meant for the second stage.
        "peak_lr": how.peak_lr or recipe.schedule.peak_lr,
        "freeze": 0,
        "unfreeze_at": (),
        "learning_rates": (),
    }
    return recipe.schedule.model_copy(update=changed)


def how_of(recipe: ExpressionRecipe) -> FaceFeatures:
    """Return the recipe's section of the first stage, which has to be there."""
    assert recipe.face_features is not None
    return recipe.face_features


def features_of(network: ExpressionNetwork, pictures: Tensor) -> Tensor:
    """Return the features that the convolutions give each region of the face, N × C × h × w.

    Raises:
        RecipeError: when the network does not keep regions apart.
    """
    if isinstance(network, RegionAttentionNet):
        return network.backbone.features(regions_of(pictures)[0])  # the whole face
    if isinstance(network, RegionNetwork):
        return network.features(pictures)
    raise RecipeError(
        "face_features: a network of architecture plain-cnn joins the regions of the face before "
        "its heads; choose another architecture, or leave [face_features] out"
    )

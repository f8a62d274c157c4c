"""The face detector's part of the training: its recipe, and its task for the one training loop."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_agent.vision.faces.detector import Candidates, decode, letterbox, merge
from training.errors import RecipeError
from training.faces.compose import Composer
from training.faces.evaluation.detections import evaluate_detections
from training.faces.labelling.labels import Picture
from training.faces.loss import DetectorLoss
from training.faces.photographs import Photographs
from training.faces.recipe import DetectorNetwork, DetectorRecipe
from training.faces.targets import Targets, assign
from training.models.face_detector import OUTPUTS

log = logging.getLogger(__name__)

SCALE = 2 / 255
OFFSET = -1.0
"""What the network sees of a pixel: pixel × scale + offset."""

LOW = 0.05
"""Detections with a lower score are dropped when a network is evaluated."""


class DetectorTask:
    """Learn to find faces in scenes made of photographs (:class:`training.learning.loop.Task`)."""

    def __init__(
        self,
        recipe: DetectorRecipe,
        learn: Photographs,
        held_back: Photographs,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        scene = recipe.data
        self._recipe = recipe
        self._loss = DetectorLoss(scene.width, scene.height, recipe.loss)
        self._module = recipe.network.build()
        if start is not None:
            learn_on(self._module, start)
            learn = drawn_by_cost(learn, costs(self._module, learn, recipe), scene.hardness)
        self._learn = learn
        self._held_back = held_back
        self._composer = Composer(learn, scene.width, scene.height, recipe.composition)
        for name in recipe.frozen:
            self._module.get_submodule(name).requires_grad_(False)

    @property
    def module(self) -> nn.Module:
        """The network being trained."""
        return self._module

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in an epoch."""
        return self._recipe.data.scenes // self._recipe.schedule.batch

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Scenes (float32 N×3×H×W) and their targets.

        Answers and ceilings N×cells, boxes N×cells×4, points N×cells×10.

        Half of a batch is the mirror image of the other: a scene takes half as long to make as to
        learn from. A thread makes the next batch while the network learns from this one.
        """
        random = np.random.default_rng(
            [int(torch.randint(2**31, (1,), generator=generator)), epoch]
        )
        with ThreadPoolExecutor(1) as worker:
            following = worker.submit(self._next_batch, random)
            for left in range(self.steps_per_epoch - 1, -1, -1):
                batch = following.result()
                if left:
                    following = worker.submit(self._next_batch, random)
                yield batch

    def loss(
        self, module: nn.Module, batch: Sequence[Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """See :class:`training.faces.loss.DetectorLoss`."""
        for name in self._recipe.frozen:  # nor may its batch norm drift
            self._module.get_submodule(name).eval()
        pictures, *targets = batch
        result: tuple[Tensor, Mapping[str, Tensor]] = self._loss.to(pictures.device)(
            module(pictures), *targets
        )
        return result

    def validate(self, module: nn.Module) -> Mapping[str, float]:
        """Recall, false share and landmark error on whole photographs at a score of 0.5."""
        evaluation = evaluate_detections(
            predict(module, self._held_back.pictures, self._recipe.network), self._held_back.faces
        )
        return evaluation.at(0.5).figures()

    def _next_batch(self, random: np.random.Generator) -> Sequence[Tensor]:
        scene = self._recipe.data
        batch = self._recipe.schedule.batch
        numbers = random.choice(len(self._learn), (batch + 1) // 2, p=self._learn.weights)
        scenes = [self._composer.scene(int(number), random) for number in numbers]
        scenes += [
            (picture[:, ::-1], faces.mirrored(scene.width))
            for picture, faces in scenes[: batch // 2]
        ]
        targets = [assign(faces, scene.width, scene.height) for _, faces in scenes]
        pictures = np.stack([picture[:, :, ::-1] for picture, _ in scenes])
        return as_input(pictures), *(
            torch.from_numpy(np.stack([getattr(t, name) for t in targets]))
            for name in Targets.__dataclass_fields__
        )


def learn_on(module: nn.Module, start: Mapping[str, Tensor]) -> None:
    """Give ``module`` those weights of another network that have the name and shape of its own.

    Raises:
        RecipeError: there is none.
    """
    own = module.state_dict()
    fitting = {
        name: weight
        for name, weight in start.items()
        if name in own and own[name].shape == weight.shape
    }
    if not fitting:
        raise RecipeError(
            "start names a run whose network has no weight in common with this "
            "recipe's; leave it out"
        )
    log.info("learning on from %d of %d tensors of weights", len(fitting), len(own))
    module.load_state_dict(fitting, strict=False)


def costs(module: nn.Module, learn: Photographs, recipe: DetectorRecipe) -> NDArray[np.float64]:
    """The loss of a network's scores on each photograph, shown as a whole.

    Missed faces, false ones and doubts count.
    """
    network = recipe.network
    smallest = recipe.composition.smallest
    loss = DetectorLoss(network.width, network.height, recipe.loss)
    module.eval()
    costs_of_chunks: list[Tensor] = []
    for start in range(0, len(learn), 32):
        pixels = []
        targets = []
        for picture, faces in zip(
            learn.pictures[start : start + 32], learn.faces[start : start + 32], strict=True
        ):
            seen, scale = letterbox(picture, network.width, network.height)
            pixels.append(seen)
            shown = faces.moved(np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]]))
            targets.append(assign(shown.without_small(smallest), network.width, network.height))
        answers, ceilings = (
            torch.from_numpy(np.stack([getattr(t, name) for t in targets]))
            for name in ("answers", "ceilings")
        )
        with torch.no_grad():
            costs_of_chunks.append(
                loss.doubt(module(as_input(np.stack(pixels))), answers, ceilings)
            )
    module.train()
    return torch.cat(costs_of_chunks).double().numpy()


def drawn_by_cost(learn: Photographs, cost: NDArray[np.float64], hardness: float) -> Photographs:
    """Photographs drawn by weight and cost.

    None more than five times as often as by weight, or less than a fifth.
    """
    share = np.clip(cost / max(float((cost * learn.weights).sum()), 1e-9), 0.2, 5.0) ** hardness
    weights = learn.weights * share
    return replace(learn, weights=weights / weights.sum())


def predict(
    module: nn.Module, pictures: Sequence[Picture], network: DetectorNetwork
) -> list[Candidates]:
    """Detections of a network, float32, at a low threshold, in pixels of whole photographs.

    The photographs are BGR.
    """
    detections = []
    for start in range(0, len(pictures), 32):
        boxed = [
            letterbox(picture, network.width, network.height)
            for picture in pictures[start : start + 32]
        ]
        with torch.no_grad():
            answers = module(as_input(np.stack([pixels for pixels, _ in boxed])))
        for i, (_, scale) in enumerate(boxed):
            outputs = {
                name: answer[i : i + 1].numpy()
                for name, answer in zip(OUTPUTS, answers, strict=True)
            }
            detections.append(in_picture(merge(decode(outputs, LOW)), scale))
    return detections


def in_picture(detected: Candidates, scale: float) -> Candidates:
    """Detections in pixels of a picture that was scaled by ``scale`` for the network."""
    return Candidates(
        detected.scores, detected.boxes / np.float32(scale), detected.points / np.float32(scale)
    )


def as_input(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 N × height × width × 3 → what the network sees, float32 N × 3 × height × width."""
    return torch.from_numpy(pictures).float().mul_(SCALE).add_(OFFSET).permute(0, 3, 1, 2)

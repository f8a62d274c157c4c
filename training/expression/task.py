"""Learn expressions: the classifier's task for the one training loop, and its teachers.

Teachers are finished runs. Their answers are computed once and kept for every student.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from zipfile import BadZipFile

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.data.datasets import NO_LABEL, Faces
from training.data.lessons import Lessons, majority, soft_targets
from training.errors import RecipeError, write_arrays
from training.expression.augment import Augmentation, augment, flip, mix
from training.expression.pretrained import load_base, settle_norms
from training.expression.recipe import ExpressionRecipe
from training.learning.checkpoint import averaged_weights
from training.learning.precision import autocast, place_of
from training.learning.recipe import RECIPE, load_recipe
from training.networks.architectures import region_bias
from training.networks.base import ExpressionNetwork

log = logging.getLogger(__name__)

_BATCH = 256
CPU = torch.device("cpu")
_CHUNK = 512
_SETTLE = 512
"""Pictures that the batch norms of a base are measured on."""


@dataclass(frozen=True, slots=True)
class PictureView:
    """One changed version of every picture, with the teachers' answers.

    ``pictures``
        uint8, N × 48 × 48.
    ``expression``, ``fer2013``
        float16, N × 8 and N × 7: logarithms of the teachers' mean probabilities for the picture and
        its mirror image.
    """

    pictures: NDArray[np.uint8]
    expression: NDArray[np.float16]
    fer2013: NDArray[np.float16]


class Views:
    """Changed versions of each picture and the teachers' answers for them.

    Made when first asked for.

    Args:
        learn: what is learnt; its order is that of every view.
        teachers: folders of finished runs.
        how: bounds of the changes.
        count: versions in all.
        seed: of the changes.
        folder: where they are kept; one version of FER2013's training pictures takes 65 MB.

    Raises:
        RecipeError: when a teacher cannot be read.
    """

    def __init__(
        self,
        learn: Lessons,
        teachers: Sequence[Path],
        how: Augmentation,
        *,
        count: int,
        seed: int,
        folder: Path,
    ) -> None:
        self.count = count
        self._pictures = learn.pictures
        self._how = how
        self._seed = seed
        self._teachers = [load_run(teacher) for teacher in teachers]
        # The name changes with pictures, changes, seed and teachers, so that nothing stale is used.
        key = hashlib.sha256(
            learn.pictures.tobytes() + f"{how.model_dump()}|{seed}|mirrored, too".encode()
        )
        for network, _ in self._teachers:
            key.update(_fingerprint(network))
        self._folder = folder / f"views-{key.hexdigest()[:16]}"

    # Made one by one: a student that needs three versions does not wait for twenty.
    def view(self, number: int, device: torch.device = CPU) -> PictureView:
        """Return version ``number``, 0 … ``count`` − 1; make it on ``device`` if missing.

        Raises:
            DataError: when it cannot be kept.
        """
        path = self._folder / f"{number:02}.npz"
        try:
            with path.open("rb") as file, np.load(file) as held:
                return PictureView(held["pictures"], held["expression"], held["fer2013"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            pass  # missing or incomplete: build it below
        made = self._make(number, device)
        write_arrays(path, pictures=made.pictures, expression=made.expression, fer2013=made.fer2013)
        return made

    def _make(self, number: int, device: torch.device) -> PictureView:
        # A seed of its own for each version, however they are asked for.
        generator = torch.Generator(device).manual_seed(self._seed * 1009 + number)
        for network, _ in self._teachers:
            network.to(device)
        parts: list[tuple[NDArray[np.uint8], NDArray[np.float16], NDArray[np.float16]]] = []
        chunks: tuple[Tensor, ...] = torch.split(
            torch.from_numpy(self._pictures).unsqueeze(1), _BATCH
        )
        label = f"asking the teachers, version {number + 1} of {self.count}"
        log.info(label)
        with click.progressbar(
            chunks, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as progress:
            for chunk in progress:
                seen = chunk.to(device).float() / 255
                # In the 256 greys in which the version is kept, so that the teachers see what the
                # student will see.
                changed = (augment(seen, self._how, generator) * 255).round().to(torch.uint8)
                expression, fer2013 = self._ask(changed.float() / 255)
                parts.append((changed.squeeze(1).cpu().numpy(), expression, fer2013))
        pictures, expressions, classes = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        return PictureView(pictures, expressions, classes)

    def _ask(self, pictures: Tensor) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        heads: list[list[Tensor]] = [[], []]
        for (network, recipe), seen in product(self._teachers, (pictures, pictures.flip(-1))):
            with torch.no_grad(), autocast(pictures.device, bfloat16=True):
                answers = network(
                    recipe.as_input(seen).contiguous(memory_format=torch.channels_last)
                )
            for head, logits in zip(heads, answers, strict=True):
                head.append(logits.float().softmax(dim=1))
        first, second = (
            # Not the logarithm of 0, which float16 cannot hold either.
            torch.stack(head).mean(dim=0).clamp(min=1e-7).log().half().cpu().numpy()
            for head in heads
        )
        return first, second


def _fingerprint(network: ExpressionNetwork) -> bytes:
    """Bytes that change with the weights."""
    return b"".join(
        weight.contiguous().numpy().tobytes() for weight in network.state_dict().values()
    )


def load_run(
    folder: Path, recipe_file: Path | None = None
) -> tuple[ExpressionNetwork, ExpressionRecipe]:
    """Return the averaged network of a run, in eval mode, and the recipe, which says what it sees.

    Args:
        folder: of the run.
        recipe_file: for a folder that keeps no copy of its recipe.

    Raises:
        RecipeError: when there are no recipe or weights, or they do not belong together.
    """
    file = folder / RECIPE if recipe_file is None else recipe_file
    recipe = load_recipe(file, ExpressionRecipe)
    network = recipe.build_network()
    try:
        network.load_state_dict(averaged_weights(folder))
    except RuntimeError as error:
        raise RecipeError(
            f"{folder}: its weights belong to another network than {file.name} describes"
        ) from error
    return network.to(memory_format=torch.channels_last).eval(), recipe  # type: ignore[call-overload]


def soften(logarithms: NDArray[np.float16], temperature: float) -> Tensor:
    """Logarithms of probabilities → float32 probabilities, softened: softmax(log p / T)."""
    softened: Tensor = torch.softmax(torch.from_numpy(logarithms).float() / temperature, dim=1)
    return softened


class ExpressionTask:
    """Learn both heads from faces: FER+ vote shares, and FER2013 classes.

    It is a :class:`training.learning.loop.TrainingTask`.

    Args:
        recipe: the recipe.
        learn: the training set.
        held_back: the validation set, checked after each epoch.
        views: what the teachers say, when the recipe has teachers.
        start: a network of the recipe's shape to learn on (transfer learning), with or without
            region attention; left out: random weights.
    """

    def __init__(
        self,
        recipe: ExpressionRecipe,
        learn: Lessons,
        held_back: Faces,
        views: Views | None = None,
        start: nn.Module | None = None,
    ) -> None:
        self._recipe = recipe
        self._views = views
        self._pictures = torch.from_numpy(learn.pictures).unsqueeze(1)
        self._shares = torch.from_numpy(learn.expression)
        self._classes = torch.from_numpy(learn.fer2013)
        self._class_weights = class_weights(self._classes, recipe.loss.balance)
        self._held_back = held_back
        torch.manual_seed(recipe.seed)  # of the first weights; every epoch has a seed of its own
        self.module = recipe.build_network()
        self.steps_per_epoch = len(learn) // recipe.schedule.batch
        if start is not None:
            # Keys that the other network lacks, such as those of region attention, keep their first
            # values.
            self.module.load_state_dict({**self.module.state_dict(), **start.state_dict()})

    def begin_with(self, base: Path) -> None:
        """Let the network begin with weights that were learnt elsewhere; its heads stay new.

        Raises:
            RecipeError: when they cannot be read, or are of another network.
        """
        grey = (self._recipe.data.mean, self._recipe.data.deviation)
        load_base(base, self.module, grey)
        sample = self._pictures[:_SETTLE].float() / 255
        settle_norms(self.module, self._recipe.as_input(sample))

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Shuffled batches: normalised pictures, shares of the categories, shares of the classes.

        The shapes are N×1×48×48, N×8 and N×7.

        With teachers two more: their softened probabilities of both.
        """
        how = self._recipe.augmentation
        device = generator.device
        size = self._recipe.schedule.batch
        order = self._order(generator)
        pictures, targets = self._epoch(epoch, device)
        for chosen in torch.split(order[: self.steps_per_epoch * size], size):
            # What does not fill a batch is left out; another order leaves out others.
            changed = pictures[chosen].float() / 255
            # a teachers' version is changed already
            if self._views is None:
                changed = augment(changed, how, generator)
            else:
                changed = flip(changed, how, generator)
            changed, mixed = mix(changed, [target[chosen] for target in targets], how, generator)
            yield self._recipe.as_input(changed), *mixed

    def _order(self, generator: torch.Generator) -> Tensor:
        """Numbers of the pictures of an epoch: each once, or rare categories more often."""
        device = generator.device
        count = len(self._pictures)
        if self._recipe.data.rare == 0:
            return torch.randperm(count, generator=generator, device=device)
        weights = draw_weights(self._shares, self._recipe.data.rare).to(device)
        return torch.multinomial(weights, count, replacement=True, generator=generator)

    def _epoch(self, epoch: int, device: torch.device) -> tuple[Tensor, list[Tensor]]:
        """Pictures, uint8 N×1×48×48, and targets of an epoch, in the order of the lessons."""
        pictures = self._pictures
        targets = [self._shares, self._classes]
        if self._views is not None and self._recipe.distillation is not None:
            view = self._views.view(epoch % self._views.count, device)
            temperature = self._recipe.distillation.temperature
            pictures = torch.from_numpy(view.pictures).unsqueeze(1)
            targets += [soften(answers, temperature) for answers in (view.expression, view.fer2013)]
        return pictures.to(device), [target.to(device) for target in targets]

    def loss(
        self, module: nn.Module, batch: Sequence[Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Cross-entropy of both heads with their labels.

        With teachers, and with the teachers' answers.
        """
        pictures, shares, classes, *taught = batch
        expression, fer2013, *regions = (logits.float() for logits in module(pictures))
        weight = self._recipe.loss.fer2013_weight
        first = cross_entropy(expression, shares)
        smoothing = self._recipe.loss.label_smoothing
        smooth = (
            # Smoothed only where there is a label: a row of zeros stays one.
            classes * (1 - smoothing)
            + classes.sum(dim=1, keepdim=True) * smoothing / classes.shape[1]
        )
        second = cross_entropy(fer2013, smooth * self._class_weights.to(smooth.device))
        figures = {
            "expression": first.detach(),
            "fer2013": second.detach(),
            "agreement": agreement(expression, shares),
            "fer2013_agreement": agreement(fer2013, classes),
        }
        # The first head learns from votes, the second from labels; the weight says how much those
        # count.
        total = first + weight * second
        if regions and self._recipe.loss.region_bias:
            bias = region_bias(regions[0], self._recipe.loss.region_margin)
            figures["region_bias"] = bias.detach()
            total = total + self._recipe.loss.region_bias * bias
        if (how := self._recipe.distillation) is not None and taught:
            heat = how.temperature
            taught_loss = cross_entropy(expression / heat, taught[0]) + weight * cross_entropy(
                fer2013 / heat, taught[1]
            )
            figures["teachers"] = taught_loss.detach()
            # the gradient of a softened loss shrinks with the temperature's square (Hinton et al.
            # 2015, section 2.1)
            total = (1 - how.weight) * total + how.weight * heat**2 * taught_loss
        return total, figures

    def validate(self, module: nn.Module) -> Mapping[str, float]:
        """Return both heads' accuracy on the held-back faces, and the first one's cross-entropy."""
        expression, fer2013 = predict(module, self._held_back.pictures, self._recipe)
        clear = majority(self._held_back.votes)
        # Without clear majorities, as in own folders, the largest share stands for it.
        if not (clear != NO_LABEL).any():
            clear = soft_targets(self._held_back).argmax(axis=1)
        clear_ones = clear != NO_LABEL
        entropy = functional.cross_entropy(
            torch.from_numpy(expression[clear_ones]), torch.from_numpy(clear[clear_ones])
        )
        known = self._held_back.fer2013 != NO_LABEL
        return {
            "accuracy": _share(expression.argmax(1)[clear_ones] == clear[clear_ones]),
            "cross_entropy": float(entropy),
            "fer2013_accuracy": _share(fer2013.argmax(1)[known] == self._held_back.fer2013[known]),
        }


def cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """Return the mean cross-entropy of N × K logits with N × K shares.

    A row of zeros says nothing and does not count.
    """
    # Rows without a label do not count in the mean either.
    labelled = (shares.sum(dim=1) > 0).sum().clamp(min=1)
    return -(shares * functional.log_softmax(logits, dim=1)).sum() / labelled


def agreement(logits: Tensor, shares: Tensor) -> Tensor:
    """Return in what share of the rows with votes the largest logit is the largest share."""
    labelled = shares.sum(dim=1) > 0
    return ((logits.argmax(1) == shares.argmax(1)) & labelled).sum() / labelled.sum().clamp(min=1)


def class_weights(shares: Tensor, balance: float) -> Tensor:
    """Weight of each class for N × K shares, 1 on average over the rows.

    It is (1 / share of the class) to the power ``balance``.
    """
    part = shares.sum(dim=0) / shares.sum().clamp(min=1e-9)
    # A class of which there is nearly nothing would weigh without bound.
    weights = part.clamp(min=1e-4) ** -balance
    return weights / (weights * part).sum().clamp(min=1e-9)


def draw_weights(shares: Tensor, power: float) -> Tensor:
    """Return how often each picture is drawn: (1 / share of its category) to a power.

    Args:
        shares: N × K; the category is the one with the largest share. A row of zeros has none and
            gets the mean weight.
        power: 0: all alike; 1: all categories alike.
    """
    labelled = shares.sum(dim=1) > 0
    categories = shares.argmax(dim=1)
    counts = torch.bincount(categories[labelled], minlength=shares.shape[1]).clamp(min=1)
    weights = (labelled.sum() / counts)[categories] ** power
    # Pictures that only a teacher labels are drawn as often as the others on average.
    return torch.where(labelled, weights, weights[labelled].mean())


def predict(
    module: nn.Module, pictures: NDArray[np.uint8], recipe: ExpressionRecipe
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return logits of both heads for uint8 N×48×48 pictures: float32 N×8 and N×7."""
    first = []
    second = []
    module.eval()
    with torch.no_grad():
        for chunk in torch.split(torch.from_numpy(pictures).unsqueeze(1), _CHUNK):
            seen = recipe.as_input(chunk.to(place_of(module)).float() / 255)
            expression, fer2013 = module(seen)
            first.append(expression.cpu().numpy())
            second.append(fer2013.cpu().numpy())
    return np.concatenate(first), np.concatenate(second)


def _share(right: NDArray[np.bool_]) -> float:
    if len(right):
        return float(right.mean())
    return float("nan")

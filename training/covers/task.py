"""Learn whether mouth or eyes are covered (:class:`training.learning.loop.Task`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.covers.crops import UNKNOWN, Crops
from training.covers.recipe import CoverRecipe, as_input
from training.data.drawn import THINGS
from training.expression.augment import augment

Values = NDArray[np.float32]

_CHUNK = 512


class CoverTask:
    """Learn from photographs with and without masks, and from things drawn over faces.

    Args:
        recipe: how.
        learn: what.
        held_back: what to check on after each epoch.
        start: weights of a network of the recipe's shape to learn on; left out: random ones.
    """

    def __init__(
        self,
        recipe: CoverRecipe,
        learn: Crops,
        held_back: Crops,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._recipe = recipe
        self._learn = learn
        self._weights = face_weights(learn, recipe.data.weights)
        self._checked, self._labels = with_things(held_back, np.random.default_rng(recipe.seed))
        torch.manual_seed(recipe.seed)  # of the first weights; every epoch has a seed of its own
        self._module = recipe.network.build()
        if start is not None:
            self._module.load_state_dict(dict(start))

    @property
    def module(self) -> nn.Module:
        """The network being trained."""
        return self._module

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in an epoch."""
        return self._recipe.data.faces // self._recipe.schedule.batch

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Crops (float32 N × 1 × 48 × 48) and what is covered (float32 N × 2, −1: not known)."""
        random = np.random.default_rng(
            [int(torch.randint(2**31, (1,), generator=generator)), epoch]
        )
        size = self._recipe.schedule.batch
        for _ in range(self.steps_per_epoch):
            chosen = random.choice(len(self._learn), size, p=self._weights)
            pairs = [self._example(int(number), random) for number in chosen]
            pixels = torch.from_numpy(np.stack([crop for crop, _ in pairs])).unsqueeze(1)
            changed = augment(pixels.float() / 255, self._recipe.augmentation, generator)
            yield as_input(changed), torch.tensor([label for _, label in pairs])

    def loss(
        self, module: nn.Module, batch: Sequence[Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Cross-entropy of both answers; what is not known does not count."""
        crops, labels = batch
        (logits,) = module(crops)
        known = labels >= 0
        each = functional.binary_cross_entropy_with_logits(
            logits.float(), labels.clamp(min=0), reduction="none"
        )
        right = ((logits > 0) == (labels > 0.5)) & known
        agreement = (right.sum() / known.sum().clamp(min=1)).detach()
        return (each * known).sum() / known.sum().clamp(min=1), {"agreement": agreement}

    def validate(self, module: nn.Module) -> Mapping[str, float]:
        """Share of covered and of uncovered faces told rightly, at a probability of a half."""
        covered = cover_probability(predict(module, self._checked)) >= 0.5
        truth = self._labels.max(axis=1) > 0
        return {
            "covered_told": float(covered[truth].mean()) if truth.any() else 0.0,
            "uncovered_refused": float(covered[~truth].mean()) if not truth.all() else 0.0,
        }

    def _example(
        self, number: int, random: np.random.Generator
    ) -> tuple[NDArray[np.uint8], list[float]]:
        """Return one crop, perhaps with something drawn over it, and what is covered."""
        crop = self._learn.pixels[number]
        label = known_label(int(self._learn.masked[number]))
        if random.random() >= self._recipe.data.drawn:
            return crop, label
        thing = THINGS[int(random.integers(len(THINGS)))]
        return thing.draw(crop, random), over(label, thing.mouth, thing.eyes)


def known_label(masked: int) -> list[float]:
    """Return what is known to be covered of a photograph; behind a mask nobody looked at eyes."""
    if masked:
        return [1.0, float(UNKNOWN)]
    return [0.0, 0.0]


def over(label: Sequence[float], mouth: bool, eyes: bool) -> list[float]:
    """Return what is covered once something more is drawn over a face."""
    return [1.0 if more else before for before, more in zip(label, (mouth, eyes), strict=True)]


def face_weights(faces: Crops, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return how often each face is drawn: its source's weight, shared out evenly; sums to 1.

    Within a source, faces with and without a mask have half of it each where there are both.
    """
    chance = np.zeros(len(faces))
    for source, weight in weights.items():
        groups = [(faces.source == source) & (faces.masked == masked) for masked in (0, 1)]
        present = [group for group in groups if group.any()]
        for group in present:
            chance[group] = weight / len(present) / group.sum()
    weights_of_all: NDArray[np.float64] = chance / chance.sum()
    return weights_of_all


def with_things(faces: Crops, random: np.random.Generator) -> tuple[NDArray[np.uint8], Values]:
    """Return faces as they are, then those without a mask once more, each with a thing drawn on it.

    Returns:
        uint8 N × 48 × 48, and float32 N × 2: what is covered.
    """
    pixels = list(faces.pixels)
    labels = [known_label(int(masked)) for masked in faces.masked]
    for number, crop in enumerate(faces.take(faces.masked == 0).pixels):
        thing = THINGS[number % len(THINGS)]
        pixels.append(thing.draw(crop, random))
        labels.append(over([0.0, 0.0], thing.mouth, thing.eyes))
    return np.stack(pixels), np.array(labels, dtype=np.float32)


def predict(module: nn.Module, crops: NDArray[np.uint8]) -> Values:
    """Return the logits for uint8 N × 48 × 48 crops: float32 N × 2."""
    module.eval()
    answers = []
    with torch.no_grad():
        for chunk in torch.split(torch.from_numpy(crops).unsqueeze(1), _CHUNK):
            answers.append(module(as_input(chunk.float() / 255))[0].numpy())
    return np.concatenate(answers)


def cover_probability(logits: Values) -> Values:
    """Return, for N × 2 logits, the probability that what is surest to be covered is covered."""
    return np.asarray(1 / (1 + np.exp(-logits.max(axis=1))), dtype=np.float32)

"""The expression classifier's part of the training: its recipe, and its task for the one training loop."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from training.augment import Augmentation, augment, mix
from training.datasets import EXPRESSIONS, FER2013, NO_LABEL, Faces, lessons, majority, soft_targets
from training.models.small_resnet import SmallResNet
from training.recipe import Recipe, Section

log = logging.getLogger(__name__)

HEADS = {"expression": len(EXPRESSIONS), "fer2013": len(FER2013)}
_CHUNK = 512


class Data(Section):
    """Which of the faces are learnt from, and what is cut off them."""

    usage: Annotated[Literal["Training"], Field(description="the split that is learnt from")] = "Training"
    held_back: Annotated[float, Field(gt=0, lt=0.5, description="share kept for curves")] = 0.02
    mean: Annotated[float, Field(gt=0, lt=1, description="of the pixels, taken off, 0…1")] = 0.507
    deviation: Annotated[float, Field(gt=0, le=1, description="of the pixels, divided by, 0…1")] = 0.255


class Network(Section):
    """The shape of :class:`training.models.small_resnet.SmallResNet`."""

    architecture: Literal["small-resnet"]
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=2, max_length=6)]
    blocks: Annotated[tuple[Annotated[int, Field(ge=1, le=32)], ...], Field(min_length=1, max_length=5)]
    strides: Annotated[tuple[Literal[1, 2], ...], Field(min_length=1, max_length=5)]
    dropout: Annotated[float, Field(ge=0, lt=1, description="of the mean features")] = 0.2

    @model_validator(mode="after")
    def _a_width_more_than_stages(self) -> "Network":
        for name, given in (("blocks", self.blocks), ("strides", self.strides)):
            if len(given) != len(self.widths) - 1:
                raise ValueError(f"{len(self.widths)} widths need {len(self.widths) - 1} {name}, one number a stage")
        return self

    def build(self) -> SmallResNet:
        """The network with its two heads, untrained."""
        return SmallResNet(self.widths, self.blocks, self.strides, HEADS, self.dropout)


class Loss(Section):
    """How the two heads are weighed."""

    fer2013_weight: Annotated[float, Field(ge=0, le=10, description="of the second head; the first weighs 1")] = 1.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1, description="of the second head")] = 0.1
    balance: Annotated[
        float, Field(ge=0, le=1, description="a FER2013 class weighs (1 / its share of the pictures) to this power")
    ] = 0.25


class ExpressionRecipe(Recipe):
    """A recipe of kind ``expression``."""

    kind: Literal["expression"]
    uncertain_below: Annotated[float, Field(gt=0, lt=1, description="top probability under which the agent abstains")]
    data: Data = Data()
    network: Network
    augmentation: Augmentation = Augmentation()
    loss: Loss = Loss()


class ExpressionTask:
    """Learn both heads from faces: FER+ vote shares, and FER2013 classes (:class:`training.fit.Task`)."""

    def __init__(self, recipe: ExpressionRecipe, learn: Faces, held_back: Faces) -> None:
        self._recipe = recipe
        known = lessons(learn)
        self._pictures = torch.from_numpy(known.pictures).unsqueeze(1)
        self._shares = torch.from_numpy(known.expression)
        self._classes = torch.from_numpy(known.fer2013)
        self._class_weights = class_weights(self._classes, recipe.loss.balance)
        self._held_back = held_back
        torch.manual_seed(recipe.seed)  # of the first weights; every epoch has a seed of its own
        self._module = recipe.network.build()

    @property
    def module(self) -> nn.Module:
        """The network being trained."""
        return self._module

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the data."""
        return len(self._pictures) // self._recipe.schedule.batch

    def batches(self, _epoch: int, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Shuffled (pictures normalised N×1×48×48, shares of the categories N×8, shares of FER2013's classes N×7)."""
        how = self._recipe.augmentation
        order = torch.randperm(len(self._pictures), generator=generator)
        size = self._recipe.schedule.batch
        for chosen in torch.split(order[: self.steps_per_epoch * size], size):
            pictures = augment(self._pictures[chosen].float() / 255, how, generator)
            pictures, targets = mix(pictures, [self._shares[chosen], self._classes[chosen]], how, generator)
            yield normalise(pictures, self._recipe.data), *targets

    def loss(self, module: nn.Module, batch: Sequence[Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Cross-entropy with the vote shares, plus the weighted one with the FER2013 classes."""
        pictures, shares, classes = batch
        expression, fer2013 = (logits.float() for logits in module(pictures))
        first = cross_entropy(expression, shares)
        smoothing = self._recipe.loss.label_smoothing
        smooth = classes * (1 - smoothing) + classes.sum(dim=1, keepdim=True) * smoothing / classes.shape[1]
        second = cross_entropy(fer2013, smooth * self._class_weights.to(smooth.device))
        figures = {
            "expression": first.detach(),
            "fer2013": second.detach(),
            "agreement": agreement(expression, shares),
            "fer2013_agreement": agreement(fer2013, classes),
        }
        return first + self._recipe.loss.fer2013_weight * second, figures

    def validate(self, module: nn.Module) -> Mapping[str, float]:
        """Accuracy of both heads on the held-back faces, and the first head's cross-entropy."""
        expression, fer2013 = predict(module, self._held_back.pictures, self._recipe.data)
        clear = majority(self._held_back.votes)
        clear = clear if (clear != NO_LABEL).any() else soft_targets(self._held_back).argmax(axis=1)
        judged = clear != NO_LABEL
        entropy = functional.cross_entropy(torch.from_numpy(expression[judged]), torch.from_numpy(clear[judged]))
        known = self._held_back.fer2013 != NO_LABEL
        return {
            "accuracy": _share(expression.argmax(1)[judged] == clear[judged]),
            "cross_entropy": float(entropy),
            "fer2013_accuracy": _share(fer2013.argmax(1)[known] == self._held_back.fer2013[known]),
        }


def cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """Mean cross-entropy of N × K logits with N × K shares; a row of zeros says nothing and does not count."""
    said = (shares.sum(dim=1) > 0).sum().clamp(min=1)
    return -(shares * functional.log_softmax(logits, dim=1)).sum() / said


def agreement(logits: Tensor, shares: Tensor) -> Tensor:
    """Share of the rows that say something in which the largest logit is the largest share."""
    said = shares.sum(dim=1) > 0
    return ((logits.argmax(1) == shares.argmax(1)) & said).sum() / said.sum().clamp(min=1)


def class_weights(shares: Tensor, balance: float) -> Tensor:
    """Weight of each class for N × K shares: (1 / its part) to the power ``balance``, 1 on average over the rows."""
    part = shares.sum(dim=0) / shares.sum().clamp(min=1e-9)
    weights = part.clamp(min=1e-4) ** -balance
    return weights / (weights * part).sum().clamp(min=1e-9)


def normalise(pictures: Tensor, data: Data) -> Tensor:
    """0…1 → what the network sees; the model card says the same as ``scale`` and ``offset``."""
    return (pictures - data.mean) / data.deviation


def predict(
    module: nn.Module, pictures: NDArray[np.uint8], data: Data
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits of both heads for uint8 N×48×48 pictures: float32 N×8 and N×7."""
    first, second = [], []
    module.eval()
    with torch.no_grad():
        for chunk in torch.split(torch.from_numpy(pictures).unsqueeze(1), _CHUNK):
            expression, fer2013 = module(normalise(chunk.float() / 255, data))
            first.append(expression.numpy())
            second.append(fer2013.numpy())
    return np.concatenate(first), np.concatenate(second)


def _share(right: NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else float("nan")

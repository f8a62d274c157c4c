"""From a face crop to the probabilities of the eight categories. Needs no OpenCV."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Expression, Prior
from edge_agent.vision.models.card import scale_of
from edge_agent.vision.models.model import TFLiteModel


class ExpressionClassifier:
    """Reads the expression of an aligned face.

    Args:
        model: of kind ``expression``, with a square gray input.
        prior: ``data``: the probabilities as the model learned them; ``balanced``: as if all
            categories were equally common; ``fitted``: as fitted on photographs, or ``data`` where
            the card has no such fit.

    Attributes:
        card: what the model is.
        size: side of the crop it takes, pixels.
        crop: name of the crop it learned from.
        prior: the prior that it uses.
        uncertain_below: probability below which its own card calls a face uncertain.
        temperature: of its softmax, with this prior.

    Raises:
        ModelError: the model is of another kind or takes no square gray crop, or its card does not
            say how common the categories were, and the prior is to be balanced.

    Example::

        classifier = ExpressionClassifier(load_model(path, kind="expression"))
        crop = align_face(image, face.landmarks, classifier.size, classifier.crop)
        classifier.classify(crop).dominant  # Emotion.HAPPINESS
    """

    def __init__(self, model: TFLiteModel, prior: Prior = "data") -> None:
        card = model.card
        if card.kind != "expression" or card.crop is None:
            raise ModelError(
                f"{model.path}: {card.name!r} is a {card.kind} model; an expression "
                "model is needed here."
            )
        check_input(model)
        self.card = card
        self.size = card.input.width
        self.crop = card.crop
        self._scale = scale_of(card, prior)
        self.prior = self._scale.prior
        self.uncertain_below = self._scale.uncertain_below
        self.temperature = self._scale.temperature
        self._model = model

    def classify(self, crop: npt.NDArray[np.uint8]) -> Expression:
        """Return the probabilities of one face.

        Args:
            crop: uint8, ``size`` × ``size``, gray, cut out by `edge_agent.vision.align`.

        Raises:
            ValueError: the crop has another type or shape.
        """
        return self._expression(self._model.run(crop, ("expression",)))

    def explain(self, crop: npt.NDArray[np.uint8]) -> tuple[Expression, npt.NDArray[np.float32]]:
        """Return the probabilities of one face and the contribution of each region of the crop.

        A contribution is the amount that a region adds to a category's logit. The contributions to
        a category sum to its logit (class activation maps, Zhou et al. 2016), up to the rounding
        of int8.

        Args:
            crop: as for `classify`.

        Returns:
            The probabilities, and float32, height × width × 8: the regions tile the crop.

        Raises:
            ModelError: the model was exported without the evidence of regions.
            ValueError: the crop has another type or shape.
        """
        self.refuse_unexplained()
        outputs = self._model.run(crop, ("expression", "evidence"))
        return self._expression(outputs), outputs["evidence"][0]

    def refuse_unexplained(self) -> None:
        """Check that the model supports `explain`.

        Raises:
            ModelError: the model was exported without the evidence of regions.
        """
        if self.card.output("evidence") is None:
            raise ModelError(
                f"{self._model.path}: {self.card.name!r} {self.card.version} was exported without "
                "the evidence of regions, so its answers cannot be explained. Choose another "
                "vision.expression_model, or export it again with `python -m training quantize`."
            )

    def _expression(self, outputs: Mapping[str, npt.NDArray[np.float32]]) -> Expression:
        logits: list[float] = outputs["expression"].reshape(-1).tolist()
        pairs = zip(logits, self._scale.biases, strict=True)
        return Expression(softmax([logit + bias for logit, bias in pairs], self._scale.temperature))


def check_input(model: TFLiteModel) -> None:
    """Check that a model takes a square gray crop.

    Raises:
        ModelError: it takes another input.
    """
    taken = model.card.input
    if taken.color != "gray" or taken.width != taken.height:
        raise ModelError(
            f"{model.path}: its input is {taken.width} × {taken.height} {taken.color}, but faces "
            "are cropped to a gray square. Train the model with a square gray input."
        )


def softmax(logits: list[float], temperature: float) -> tuple[float, ...]:
    """Return exp(l / T) / Σ exp(l / T), calibrated by temperature scaling (Guo et al. 2017)."""
    # Shifting by the maximum changes no ratio and keeps exp from overflowing.
    largest = max(logits)
    powers = [math.exp((logit - largest) / temperature) for logit in logits]
    total = math.fsum(powers)
    return tuple(power / total for power in powers)

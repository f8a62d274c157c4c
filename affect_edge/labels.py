"""Labels of faces in imported studies, given as the agent labels those that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.config.vision import VisionSettings
    from edge_agent.core.clock import Instant
    from edge_agent.timeline.intake.cells import Labelling, ReadFace


def labelling(vision: VisionSettings) -> Labelling:
    """Return how faces without a label get one: as the agent labels those that it reads."""
    from edge_agent.core.expression import Expression
    from edge_agent.timeline.intake.cells import Labelling
    from edge_agent.vision.classifier import scale_of
    from edge_agent.vision.models.card import find_model, read_card
    from edge_agent.vision.smoother import Smoother

    threshold = vision.uncertain_below
    if threshold is None:
        card = read_card(find_model(vision.expression_model))
        threshold = scale_of(card, vision.prior).uncertain_below

    def labeller(seconds: float) -> ReadFace:
        smoother = Smoother(seconds, vision.hysteresis, threshold, dwell_s=vision.dwell_seconds)

        def read(
            track: int, at: Instant, given: tuple[float, ...]
        ) -> tuple[tuple[float, ...], str | None]:
            done = smoother.update(track, Expression(given), at)
            return done.expression.probabilities, done.emotion

        return read

    sentence = (
        f"as the agent does: the highest probability, from {threshold:g} on, else uncertain; "
        f"without smoothed probabilities smoothed over {vision.smoothing_seconds:g} s. The prior "
        "is that of the program that wrote the table."
    )
    return Labelling(labeller(vision.smoothing_seconds), labeller(0.0), sentence)

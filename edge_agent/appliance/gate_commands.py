"""Builds from the configuration what changes the timeline: commands, and options of an import.

Gate, dashboard and command get them here, so that a study is imported in one way wherever it comes
from. A contract finds any other place that builds them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.study import Purpose
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.intake.cells import Labelling, ReadFace, StudyImportOptions


def gate_commands(
    database: Path,
    *,
    purposes: Iterable[Purpose],
    outbox_rows: int,
    keep_days: int,
    vision: VisionSettings,
) -> Commands:
    """Return all commands that change a timeline, with the rules of this machine.

    Args:
        database: of the timeline, already migrated.
        purposes: which purposes a session may have (``dashboard.purposes``).
        outbox_rows: messages kept in the outbox at the most (``mqtt.outbox_rows``).
        keep_days: days that expressions are kept (``record.keep_days``).
        vision: how the agent labels faces (``[vision]``).
    """
    importing = import_options(purposes=purposes, keep_days=keep_days, vision=vision)
    return Commands(database, importing, outbox_rows=outbox_rows)


def import_options(
    *, purposes: Iterable[Purpose], keep_days: int, vision: VisionSettings
) -> StudyImportOptions:
    """Return the options of this machine for a study that is imported; arguments as above."""
    return StudyImportOptions(
        purposes=tuple(purposes), keep_days=keep_days, labels=partial(_labelling, vision)
    )


def _labelling(vision: VisionSettings) -> Labelling:
    """Return how faces without a label get one: as the agent labels those that it reads."""
    # Loaded where a study has such faces. A model's card is enough, without what runs the model.
    from edge_agent.core.expression import Expression
    from edge_agent.vision.models.card import find_model, read_card, scale_of
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

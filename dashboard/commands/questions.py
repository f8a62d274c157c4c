"""Options that all questions share: which sessions are looked at, and which readings count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from dashboard.analysis.query import DOUBTS, Model, Sample, describe

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Question = TypeVar("_Question", bound=Model)
OF_SAMPLE = (
    click.option(
        "--sample",
        type=click.Choice([sample.value for sample in Sample if sample is not Sample.SELECTED]),
        help="Sessions: measured, the simulated example, or auto (the example while nothing is "
        "measured).",
    ),
    click.option("--session", type=int, multiple=True, help="Only this session; can be repeated."),
    click.option(
        "--count-flagged",
        multiple=True,
        type=click.Choice([flag.value for flag in DOUBTS]),
        help="Count readings with this flag of doubt all the same; can be repeated.",
    ),
    click.option(
        "--count-unknown",
        is_flag=True,
        default=None,
        help="Count faces as the participant's of which that is not known (vision.whose).",
    ),
    click.option(
        "--prefer-source",
        multiple=True,
        help="Where several sources measured a vital in a session, this one counts; can be "
        "repeated, the best first. Default: vitals.prefer_sources, else the one with the most "
        "readings.",
    ),
)
SEED = click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="Of the random sign flips, with more than 14 people.",
)


def sample_options(command: _Command) -> _Command:
    """Give a command the options of sessions, doubts and sources."""
    for option in reversed(OF_SAMPLE):
        command = option(command)
    return command


def question_from(model: type[_Question], options: Mapping[str, Any]) -> _Question:
    """Return the question that options ask; what was not given keeps its default.

    Raises:
        click.UsageError: options contradict each other, or have a value that is not allowed.
    """
    # An option that was not given is None, or an empty tuple where it can be repeated.
    given = {name: value for name, value in options.items() if value not in (None, ())}
    if given.get("session") and "sample" in model.model_fields:
        if "sample" in given:
            raise click.UsageError("give --sample or --session, not both")
        given["sample"] = Sample.SELECTED
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise click.UsageError(" ".join(describe(error))) from error

"""The kinds of model that ``python -m training fit`` can train, and what each is asked to do.

A kind is one function ``(FitRequest) -> path of the card``: it reads its recipe and data, builds its
:class:`training.fit.Task`, calls :func:`training.fit.fit` and writes the int8 model with
:func:`training.quantize.write_model`. It is imported only when a recipe asks for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from training.errors import RecipeError

FITTERS = {
    "expression": "training.expression_fit:fit_expression",
    "face-detector": "training.faces.detector_fit:fit_detector",
}
"""``kind`` of a recipe → ``module:function``."""

SMALL_EPOCHS = 2
"""Epochs of a run with ``--limit small``: enough to pass through every line of the code, not to learn."""
SMALL_PICTURES = 64
"""Most pictures (of each split) of a run with ``--limit small``."""


@dataclass(frozen=True, slots=True)
class FitRequest:
    """What the command line asks a kind to do.

    Attributes:
        recipe: the TOML file.
        data: the data of that kind: a table or folder of expressions, a folder of photographs.
        votes: FER+ votes beside an expression table, or None.
        out: folder for checkpoint, curves, model and card; it is also where a run resumes.
        cache: folder for parsed data.
        small: train on at most SMALL_PICTURES pictures for SMALL_EPOCHS epochs.
        resume: go on from the checkpoint in ``out``.
    """

    recipe: Path
    data: Path
    votes: Path | None
    out: Path
    cache: Path
    small: bool = False
    resume: bool = False


Fitter = Callable[[FitRequest], Path]


def fitter(kind: str) -> Fitter:
    """The function that trains models of ``kind``.

    Raises:
        RecipeError: when there is no such kind.
    """
    if kind not in FITTERS:
        raise RecipeError(f"kind {kind!r} is not one of {', '.join(FITTERS)}")
    module, function = FITTERS[kind].split(":")
    found: Fitter = getattr(import_module(module), function)
    return found

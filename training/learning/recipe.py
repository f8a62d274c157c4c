"""Recipes: one TOML file for each published model, checked before anything is read or trained."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.errors import RecipeError

RECIPE = "recipe.toml"
"""Copy of its recipe that every run keeps, so that its network can be built again."""


class RecipeSection(BaseModel):
    """A part of a recipe: nothing unknown is let through, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainingSchedule(RecipeSection):
    """The schedule of the one training loop: how long and how fast it learns
    (:func:`training.learning.loop.fit`).
    """

    epochs: Annotated[int, Field(ge=1, le=10_000, description="passes over the training data")]
    batch: Annotated[int, Field(ge=2, le=4096, description="pictures in one step")]
    optimizer: Annotated[
        Literal["sgd", "muon", "adamw"],
        Field(description="sgd has Nesterov momentum; muon turns filters evenly"),
    ] = "sgd"
    peak_lr: Annotated[
        float, Field(gt=0, le=10, description="learning rate at the top of the one cycle")
    ]
    warmup: Annotated[
        float, Field(gt=0, lt=1, description="share of the steps in which the rate rises")
    ] = 0.25
    momentum: Annotated[
        float, Field(ge=0, lt=1, description="momentum of SGD and Muon, first beta of AdamW")
    ] = 0.9
    weight_decay: Annotated[
        float, Field(ge=0, le=1, description="not applied to biases and batch norm")
    ] = 5e-4
    ema_decay: Annotated[
        float, Field(ge=0, lt=1, description="of the moving average of the weights")
    ] = 0.998
    clip_norm: Annotated[
        float | None, Field(gt=0, description="largest norm of the gradient; none: as it is")
    ] = None
    freeze: Annotated[
        int, Field(ge=0, description="how many of the network's first parts stay as they are")
    ] = 0
    unfreeze_at: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...],
        Field(
            description="after how many epochs the last frozen part begins to learn; after the "
            "last of these, all"
        ),
    ] = ()
    learning_rates: Annotated[
        tuple[Annotated[float, Field(ge=0, le=100)], ...],
        Field(description="factor of the learning rate of each part of the network; none: 1"),
    ] = ()
    bfloat16: Annotated[
        bool, Field(description="autocast to bfloat16 where it is quick; false: float32")
    ] = True
    keep_least: Annotated[
        str | None,
        Field(
            description="figure of the held-back data, such as cross_entropy: the epoch in which "
            "it is least gives the network; none: the last epoch does"
        ),
    ] = None
    patience: Annotated[
        int | None,
        Field(
            ge=1, description="the run ends after so many epochs without a new minimum; none: never"
        ),
    ] = None

    @model_validator(mode="after")
    def _patience_needs_a_figure(self) -> Self:
        if self.patience is not None and self.keep_least is None:
            raise ValueError(f"patience = {self.patience} needs keep_least: which figure to watch")
        return self

    def kept_epoch(self, rows: Sequence[Mapping[str, float]]) -> int:
        """Return the index of the epoch whose network is kept.

        Args:
            rows: of the curves, one at least.

        Raises:
            RecipeError: the curves have no such figure.
        """
        if self.keep_least is None:
            return len(rows) - 1
        name = f"valid_{self.keep_least}"
        if name not in rows[-1]:
            known = ", ".join(key[6:] for key in rows[-1] if key.startswith("valid_"))
            raise RecipeError(
                f"schedule.keep_least = {self.keep_least!r} is no figure of the held-back data; "
                f"there are {known}"
            )
        return min(range(len(rows)), key=lambda epoch: rows[epoch][name])

    def epochs_left(self, rows: Sequence[Mapping[str, float]]) -> int:
        """Return how many epochs are still to be done, at most, after those of ``rows``."""
        # Before the first epoch nothing has been waited for.
        waited = len(rows) - 1 - self.kept_epoch(rows) if rows else 0
        if self.patience is not None and waited >= self.patience:
            return 0
        return self.epochs - len(rows)


class Recipe(RecipeSection):
    """The part that every recipe has, whatever it trains. A kind of model adds its own sections."""

    schema_version: Annotated[Literal[1], Field(alias="schema", description="of this file's form")]
    kind: Annotated[
        Literal["expression", "face-detector", "face-cover", "face-movements"],
        Field(description="what the model does"),
    ]
    name: Annotated[
        str,
        Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="also the file name of the model"),
    ]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$", description="of the model")]
    license: Annotated[str, Field(min_length=1, description="terms of the weights")]
    description: Annotated[str, Field(min_length=1, description="one sentence for the model card")]
    limits: Annotated[list[str], Field(description="plain sentences for the model card")]
    seed: Annotated[int, Field(ge=0, lt=2**31, description="of every random choice")]
    filter_step: Annotated[
        float | None,
        Field(
            gt=0,
            le=4,
            description="step of the largest filters in the int8 file, as a share of the root of "
            "their mean square: fewer bits a weight when it is packed; none: all 255 values",
        ),
    ] = None
    schedule: TrainingSchedule


RecipeT = TypeVar("RecipeT", bound=Recipe)


def load_recipe(path: Path, form: type[RecipeT]) -> RecipeT:
    """Read and check a recipe.

    Raises:
        RecipeError: when the file is missing, is not TOML, or holds a wrong or unknown key (each is
            named).
    """
    try:
        return form.model_validate(_read_toml(path))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise RecipeError(f"{path}: {faults}") from error


def recipe_kind(path: Path) -> str:
    """Return the ``kind`` a recipe names, so that the caller knows which form to load it with.

    Raises:
        RecipeError: when the file cannot be read or names no kind.
    """
    kind = _read_toml(path).get("kind")
    if not isinstance(kind, str):
        raise RecipeError(
            f'{path}: kind is missing; write kind = "expression", "face-detector", "face-cover" or '
            '"face-movements"'
        )
    return kind


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: is not TOML: {error}") from error

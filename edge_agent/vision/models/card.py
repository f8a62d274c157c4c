"""The card of a model: the JSON file beside ``NAME.tflite`` that describes it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from edge_agent.core.advice import shell_word
from edge_agent.core.errors import ModelError
from edge_agent.core.expression import EMOTIONS, Prior
from edge_agent.core.movements import LOOK, MOVEMENTS, POSE
from edge_agent.core.owners import is_root, owner_of, read_given
from edge_agent.vision.models.preparation import Step

MODELS_FOLDER = Path(__file__).parent
LARGEST_MODEL = 400_000_000
"""Bytes of a network; no appliance could run a larger one."""
_LARGEST_CARD = 10_000_000
FER2013_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Labels of the second head, in the order of FER2013's own numbers 0…6."""

COVER_LABELS = ("mouth", "eyes")
"""The parts that may be covered, in the order of the outputs of a ``face-cover`` model."""

ModelKind = Literal["expression", "face-detector", "face-cover", "face-movements", "classes"]
"""The task of a model.

``classes`` is a classifier of a user's own classes, which the agent does not use: its timeline,
topics and statistics know only the eight categories.
"""

_EXPRESSIONS = tuple(e.value for e in EMOTIONS)
_LABELS = {
    "expression": _EXPRESSIONS,
    "fer2013": FER2013_LABELS,
    "evidence": _EXPRESSIONS,
    "cover": COVER_LABELS,
    "movements": MOVEMENTS,
    "pose": POSE,
    "look": LOOK,
}
_KIND_KEYS: dict[str, tuple[str, ...]] = {
    "expression": ("temperature", "uncertain_below", "crop"),
    "face-detector": ("score_threshold",),
    "face-cover": ("covered_from", "crop"),
    "face-movements": ("crop",),
    "classes": ("temperature", "crop"),
}
_NEEDED_OUTPUTS: dict[str, tuple[str, ...]] = {
    "expression": ("expression",),
    "face-cover": ("cover",),
    "face-movements": ("movements", "pose", "look"),
    "classes": ("classes",),
}


Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    # A misspelt key is an error, not a default that nobody chose.
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class InputCard(_Part):
    """The picture that the model takes; real value = prepared pixel × scale + offset."""

    width: int = Field(ge=1, le=4096, description="Pixels")
    height: int = Field(ge=1, le=4096, description="Pixels")
    channels: Literal[1, 3] = Field(description="1 is gray, 3 is colour")
    color: Literal["gray", "rgb"] = Field(description="Meaning and order of the channels")
    layout: Literal["NHWC"] = Field("NHWC", description="Order of the tensor's axes")
    scale: float = Field(gt=0, allow_inf_nan=False, description="Real value of one step of a pixel")
    offset: float = Field(allow_inf_nan=False, description="Real value of a black pixel")
    prepare: tuple[Step, ...] | None = Field(
        None, min_length=1, description="Done to each grey picture first, in this order"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> InputCard:
        if self.channels != {"gray": 1, "rgb": 3}[self.color]:
            raise ValueError(f"color {self.color!r} does not have {self.channels} channels")
        steps = self.prepare or ()
        if steps and self.channels != 1:
            raise ValueError(f"prepare {', '.join(steps)}: only grey pictures can be prepared")
        if len(set(steps)) != len(steps):
            raise ValueError(f"prepare {', '.join(steps)}: a step stands there twice")
        return self

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the input tensor."""
        return (1, self.height, self.width, self.channels)


class OutputCard(_Part):
    """One output tensor and what it means."""

    name: str = Field(min_length=1, description="Name by which our code knows it")
    shape: tuple[int, ...] = Field(
        min_length=1, description="Shape of the tensor, the leading 1 included"
    )
    tensor: str = Field(min_length=1, description="Name of the tensor in the TFLite file")
    labels: tuple[str, ...] | None = Field(None, description="Meaning of the last axis")

    @model_validator(mode="after")
    def _fits_together(self) -> OutputCard:
        expected = _LABELS.get(self.name)
        if expected is not None and self.labels != expected:
            labels = "none" if self.labels is None else ", ".join(self.labels)
            raise ValueError(
                f"labels of output {self.name!r} must be, in this order, {', '.join(expected)}; "
                f"found {labels}"
            )
        if self.labels is not None and len(self.labels) != self.shape[-1]:
            raise ValueError(
                f"output {self.name!r} has {len(self.labels)} labels, but its shape {self.shape} "
                f"needs {self.shape[-1]}"
            )
        if self.name == "evidence" and len(self.shape) != 4:
            raise ValueError(
                "output 'evidence' needs a shape 1 × height × width × categories; "
                f"found {self.shape}"
            )
        return self


class TrainingCard(_Part):
    """The origin of the weights: recipe, data and cost of the training."""

    recipe: str = Field(description="File name of the recipe")
    seed: int = Field(description="Seed of every random choice")
    epochs: int = Field(ge=0, description="Passes over the data")
    data: tuple[str, ...] = Field(description="What was learned from")
    date: date
    commit: str | None = Field(None, description="Commit of the training code")
    teacher: str | None = Field(None, description="Model whose answers were learned from")
    hours: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Time of the training run"
    )
    teacher_hours: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Time of the teachers' runs"
    )
    watts: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Power that the machine is taken to draw"
    )


class FittedPrior(_Part):
    """A prior that was fitted on photographs: softmax((logits + biases) / temperature)."""

    biases: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = Field(
        min_length=len(EMOTIONS),
        max_length=len(EMOTIONS),
        description="What is added to the logits, in the order of the labels",
    )
    temperature: float = Field(gt=0, allow_inf_nan=False, description="What they are divided by")
    uncertain_below: Share = Field(description="With this prior, below it a face is uncertain")


class ModelCard(_Part):
    """The JSON file beside a model."""

    schema_version: Literal[1] = Field(alias="schema", description="Version of this format")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Name, also of the files")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="Semantic version of the weights")
    kind: ModelKind = Field(description="What it does")
    file: str = Field(
        # No slash and no leading dot: a card cannot name a file outside its own folder.
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.tflite$",
        description="The TFLite file beside the card",
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the TFLite file")
    license: str = Field(min_length=1, description="Terms of the weights")
    description: str = Field(description="One or two sentences")
    input: InputCard
    outputs: tuple[OutputCard, ...] = Field(min_length=1)
    temperature: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="expression and classes: softmax(logits / temperature)",
    )
    uncertain_below: float | None = Field(
        None, ge=0, le=1, description="expression: below it a face is uncertain"
    )
    label_shares: tuple[Share, ...] | None = Field(
        None,
        min_length=len(EMOTIONS),
        max_length=len(EMOTIONS),
        description="expression: share of each category among what it learned from, in the order "
        "of the labels; none: only the prior of these data can be used",
    )
    fitted_prior: FittedPrior | None = Field(
        None, description="expression: the prior that was fitted on photographs; none: not fitted"
    )
    crop: str | None = Field(
        None, min_length=1, description="name of the crop it learned from; none: face-detector"
    )
    score_threshold: float | None = Field(
        None, gt=0, lt=1, description="face-detector: least score of a face"
    )
    still_score_threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="face-detector: least score of a face in a still picture; none: the same",
    )
    covered_from: float | None = Field(
        None, gt=0, lt=1, description="face-cover: probability from which a face is covered"
    )
    multiply_adds: int = Field(ge=0, description="Of one inference")
    parameters: int = Field(ge=0, description="Weights and biases")
    training: TrainingCard
    metrics: dict[str, dict[str, int | float]] = Field(description="Split → figure → value")
    limits: tuple[str, ...] = Field(description="What it cannot do, in plain sentences")

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> ModelCard:
        own = _KIND_KEYS[self.kind]
        for key in (key for keys in _KIND_KEYS.values() for key in keys):
            if (getattr(self, key) is None) == (key in own):
                raise ValueError(
                    f"a card of kind {self.kind!r} {'needs' if key in own else 'has no'} {key!r}"
                )
        for key in ("label_shares", "fitted_prior"):
            if getattr(self, key) is not None and self.kind != "expression":
                raise ValueError(f"a card of kind {self.kind!r} has no {key!r}")
        names = [output.name for output in self.outputs]
        if len(set(names)) != len(names):
            raise ValueError(f"two outputs have one name: {', '.join(names)}")
        for needed in _NEEDED_OUTPUTS.get(self.kind, ()):
            if needed not in names:
                raise ValueError(f"an output named {needed!r} is needed; found {', '.join(names)}")
        return self

    def to_json(self) -> str:
        """Return the card as the text of its file."""
        content = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def output(self, name: str) -> OutputCard | None:
        """Return the output of that name, or ``None``."""
        return next((output for output in self.outputs if output.name == name), None)


@dataclass(frozen=True, slots=True)
class LogitScale:
    """The scale on which logits become probabilities: softmax((logits + biases) / temperature).

    Attributes:
        prior: the prior that it stands for.
        biases: of each category, in logits.
        temperature: of the softmax.
        uncertain_below: probability below which a face is uncertain.
    """

    prior: Prior
    biases: tuple[float, ...]
    temperature: float
    uncertain_below: float


def used_prior(card: ModelCard, wanted: Prior) -> Prior:
    """Return the prior with which an expression model is used: ``data`` where none was fitted."""
    return "data" if wanted == "fitted" and card.fitted_prior is None else wanted


def scale_of(card: ModelCard, wanted: Prior) -> LogitScale:
    """Return the scale of an expression model with a prior.

    Raises:
        ModelError: the prior is to be balanced, and the card does not say how common the categories
            were.
    """
    prior = used_prior(card, wanted)
    if prior == "fitted" and card.fitted_prior is not None:
        fitted = card.fitted_prior
        return LogitScale(prior, fitted.biases, fitted.temperature, fitted.uncertain_below)
    # For the types alone: the card of an expression model has both.
    temperature = card.temperature or 1.0
    biases = (0.0,) * len(EMOTIONS)
    if prior == "balanced":
        if card.label_shares is None:
            raise ModelError(
                f'vision.prior = "balanced" needs label_shares in the card of {card.name!r}; '
                'choose another model, or prior = "data".'
            )
        # Times the temperature, for the softmax divides by it: this prior belongs to the
        # probabilities.
        biases = tuple(temperature * weight for weight in balanced_weights(card.label_shares))
    return LogitScale(prior, biases, temperature, card.uncertain_below or 0.0)


def balanced_weights(shares: Sequence[float]) -> tuple[float, ...]:
    """Return what to add to each log-probability so that all categories count as equally common.

    By Bayes' rule a probability under another prior is p · (new prior / old prior), normalised
    (Saerens, Latinne & Decaestecker 2002). A category that the data did not have cannot be told
    from the others; it is raised no more than the commonest one.

    Args:
        shares: of each category among what the model learned from, 0…1.
    """
    most = max(shares)
    return tuple(-math.log(share or most) for share in shares)


def shipped_models() -> dict[str, Path]:
    """Return name → card of the models that come with the program."""
    return {path.stem: path for path in sorted(MODELS_FOLDER.glob("*.json"))}


def find_model(name_or_path: str | Path) -> Path:
    """Return the path of the card of a configured model: a shipped name, or the path of a card.

    Raises:
        ModelError: there is no such model.
    """
    shipped = shipped_models()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    path = Path(name_or_path).expanduser()
    if path.suffix == ".tflite":
        path = path.with_suffix(".json")
    if path.suffix == ".json" or path.exists():
        return path
    raise ModelError(
        f"there is no model {str(name_or_path)!r}. Shipped: {', '.join(shipped) or 'none'}; "
        "or give the path of a card (.json)."
    )


def read_card(path: Path) -> ModelCard:
    """Read and check a card by itself, without its TFLite file.

    Raises:
        ModelError: the file is missing, cannot be read, is not JSON, or breaks the format.
    """
    try:
        content = json.loads(read_given(path, _LARGEST_CARD).decode("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{path}: no such model card. Every NAME.tflite needs its NAME.json beside it."
        ) from error
    except OSError as error:
        raise ModelError(
            f"{path}: the model card cannot be read ({error.strerror}). Check its permissions."
        ) from error
    except json.JSONDecodeError as error:
        raise ModelError(
            f"{path}, line {error.lineno}: the model card is not valid JSON ({error.msg}). Install "
            "the model again."
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise ModelError(
            f"{path}: the model card is not JSON in UTF-8 ({error}). Install the model again."
        ) from error
    try:
        return ModelCard.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(_describe(detail) for detail in error.errors())
        raise ModelError(f"{path}: the model card is wrong: {faults}.") from error


def _describe(detail: ErrorDetails) -> str:
    """Return a sentence about a wrong key of a card: the key, its value and the reason."""
    key = ".".join(str(part) for part in detail["loc"])
    text = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return f"{key}: {text}" if key else text
    if detail["type"] == "missing":
        return f"{key}: is missing"
    shown = repr(detail["input"])
    return f"{key} = {shown if len(shown) <= 80 else shown[:77] + '…'}: {text[0].lower()}{text[1:]}"


def known_cards(configured: Iterable[str] = ()) -> dict[str, str]:
    """Return SHA-256 of the file → text of the card, for shipped and configured models.

    A card that cannot be read is left out: an export of the past must not fail because of a model
    of today.
    """
    cards: dict[str, str] = {}
    for name in (*shipped_models(), *configured):
        with suppress(ModelError):
            card = read_card(find_model(name))
            cards[card.sha256] = card.to_json()
    return cards


def is_card_of(text: str, version: str) -> bool:
    """Return whether the text of a card is that of a version.

    One file may have cards of several versions, which read it with other biases or in another
    crop: the figures of one are not those of another.
    """
    return ModelCard.model_validate_json(text).version == version


def refuse_as_root(file: Path) -> None:
    """Refuse to run, as root, a network that another user may have written.

    Its runtime may be taken over by what it reads. Who asks as root lets a process of that user do
    it (``asked_as``, ``try_apart``), or becomes that user (``become``).

    Raises:
        ModelError: it is so.
    """
    owner = owner_of(file) if is_root() else None
    if owner is not None:
        raise ModelError(
            f"{file}: lies in a folder of {owner.name}, and root runs no network of another user. "
            f"Run the command as that user: sudo -u {shell_word(owner.name)} affect-edge …"
        )


def read_model(file: Path, card: ModelCard) -> bytes:
    """Return the bytes of a TFLite file after comparing its SHA-256 with the card's."""
    try:
        content = read_given(file, LARGEST_MODEL)
    except FileNotFoundError as error:
        raise ModelError(
            f"{file}: no such file, but the card of {card.name!r} names it. Install the model "
            "again."
        ) from error
    except OSError as error:
        raise ModelError(
            f"{file}: the model cannot be read ({error.strerror}). Check its permissions."
        ) from error
    # The bytes that were hashed are returned and run: read a second time, the file could be
    # another.
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.sha256:
        raise ModelError(
            f"{file}: its SHA-256 is {digest}, the card says {card.sha256}. The file was changed "
            "or damaged; install the model again."
        )
    return content

"""What the participant's page says by itself.

A protocol's table ``[texts]`` says it in another language.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dashboard.protocols.scales import FELT

_SHAPING = "\u00ad\u200c\u200d"
"""Soft hyphen, zero-width non-joiner and joiner: unseen, and needed to write German on a phone,
Persian or Hindi.
"""
_RIGHT_TO_LEFT = frozenset({"ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})


class Part(BaseModel):
    """A table of the file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def on_screen(text: str) -> str:
    """Return a text without blanks around it; refuse what cannot be shown."""
    if not all(character.isprintable() or character in "\n" + _SHAPING for character in text):
        raise ValueError("a text may hold printable characters and line breaks only")
    return text.strip()


def on_one_line(text: str) -> str:
    """Return a label without blanks around it; refuse what does not stand on one line."""
    if (
        not all(character.isprintable() or character in _SHAPING for character in text)
        or not text.strip()
    ):
        raise ValueError("a label is 1 to 80 printable characters on one line")
    return text.strip()


Text = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(on_screen)]
Label = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(on_one_line)]
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
POINT_NAMES = tuple(f"{number} of nine" for number in _NUMBERS)
_ON_BUTTON = "1 to 80 characters, on a button or beside a point"
_TO_READ = "1 to 2000 characters"


class Texts(Part):
    """Every text of the participant's page that is no step's own.

    What is left out is said in English.
    """

    language: str = Field(
        "en",
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
        description="Code of the language, such as en, de or pt-BR",
    )
    title: Label = Field("Study", description="In the window's title, 1 to 80 characters")
    welcome_title: Label = Field("Welcome", description="1 to 80 characters")
    welcome: Text = Field(
        "Make yourself comfortable. When you are ready, press the space bar or touch the button.",
        description=_TO_READ,
    )
    ready: Label = Field("I am ready", description=_ON_BUTTON)
    moment: Text = Field("One moment, please.", description="In every break, 1 to 2000 characters")
    listen: Text = Field(
        "Please listen.", description="While a sound is played, 1 to 2000 characters"
    )
    baseline: Text = Field(
        "Please look at the screen with a relaxed face.",
        description="Where a baseline has no text, 1 to 2000 characters",
    )
    rest: Text = Field("Please rest.", description="Where a rest has no text, 1 to 2000 characters")
    pressure: Text = Field(
        "Please sit still. Your blood pressure is taken now.",
        description="Where a pressure step has no text, 1 to 2000 characters",
    )
    valence: Text = Field("How pleasant or unpleasant did you feel?", description=_TO_READ)
    valence_low: Label = Field("very unpleasant", description=_ON_BUTTON)
    valence_middle: Label = Field("neither", description=_ON_BUTTON)
    valence_high: Label = Field("very pleasant", description=_ON_BUTTON)
    arousal: Text = Field("How calm or excited did you feel?", description=_TO_READ)
    arousal_low: Label = Field("very calm", description=_ON_BUTTON)
    arousal_middle: Label = Field("in between", description=_ON_BUTTON)
    arousal_high: Label = Field("very excited", description=_ON_BUTTON)
    points: tuple[Label, ...] = Field(
        POINT_NAMES,
        min_length=9,
        max_length=9,
        description="Nine names of the points, for who hears the page",
    )
    felt: Text = Field("Which of these did you feel most?", description=_TO_READ)
    neutral: Label = Field("neutral", description=_ON_BUTTON)
    happiness: Label = Field("happiness", description=_ON_BUTTON)
    surprise: Label = Field("surprise", description=_ON_BUTTON)
    sadness: Label = Field("sadness", description=_ON_BUTTON)
    anger: Label = Field("anger", description=_ON_BUTTON)
    disgust: Label = Field("disgust", description=_ON_BUTTON)
    fear: Label = Field("fear", description=_ON_BUTTON)
    contempt: Label = Field("contempt", description=_ON_BUTTON)
    none: Label = Field("none of these", description=_ON_BUTTON)
    go_on: Label = Field("Continue", description=_ON_BUTTON)
    decline: Label = Field("I would rather not say", description=_ON_BUTTON)
    points_hint: Text = Field(
        "Use the arrow keys or touch a point, then press Enter.", description=_TO_READ
    )
    felt_hint: Text = Field(
        "Use the arrow keys or touch an answer, then press Enter.", description=_TO_READ
    )
    end_title: Label = Field("That was the last part", description="1 to 80 characters")
    end: Text = Field(
        "Thank you. The session has ended, and you may close this page.",
        description="At the end, 1 to 2000 characters",
    )

    no_scripts: Text = Field(
        "This page needs scripts, and they are off in this browser. Please tell the person who "
        "looks after you.",
        description="Where the browser runs no scripts, 1 to 2000 characters",
    )

    @property
    def direction(self) -> str:
        """``ltr``, or ``rtl`` for a language that is written from right to left."""
        if self.language.partition("-")[0].lower() in _RIGHT_TO_LEFT:
            return "rtl"
        return "ltr"

    @property
    def feelings(self) -> dict[str, str]:
        """What the answers to ``felt`` are called, in their order."""
        return {name: getattr(self, name) for name in FELT}

    @property
    def scales(self) -> dict[str, dict[str, str]]:
        """Question and poles of the scales of nine points."""
        return {
            name: {
                "title": getattr(self, name),
                **{pole: getattr(self, f"{name}_{pole}") for pole in ("low", "middle", "high")},
            }
            for name in ("valence", "arousal")
        }

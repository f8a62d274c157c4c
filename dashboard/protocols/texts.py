"""Texts of the participant's page, which a protocol's table ``[texts]`` says in another language,
and the scales of its questions.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from dashboard.languages.current import SOURCE, available, gettext, speaking
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.study import LABEL_LENGTH
from edge_agent.core.texts import N_
from edge_agent.timeline.database.schema import NONE_OF_THESE

FELT = (*(emotion.value for emotion in EMOTIONS), NONE_OF_THESE)
"""The answers to which emotion was felt."""
SHAPING = "\u00ad\u200c\u200d"
"""Soft hyphen, zero-width non-joiner and joiner: unseen, and needed to write German on a phone,
Persian or Hindi.
"""
_RIGHT_TO_LEFT = frozenset({"ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})
POINT_NAMES = (
    *(N_("one of nine"), N_("two of nine"), N_("three of nine")),
    *(N_("four of nine"), N_("five of nine"), N_("six of nine")),
    *(N_("seven of nine"), N_("eight of nine"), N_("nine of nine")),
)
_ON_BUTTON = "1 to 80 characters, on a button or beside a point"
_TO_READ = "1 to 2000 characters"


class Scale(StrEnum):
    """A scale on which participants rate themselves.

    Valence and arousal have nine points with figures of our own (``manikins``), after the
    Self-Assessment Manikin (Bradley & Lang 1994,
    Journal of Behavior Therapy and Experimental Psychiatry 25:49–59); ``emotion`` offers the eight
    categories and "none of these".
    """

    VALENCE = "valence"
    AROUSAL = "arousal"
    EMOTION = "emotion"


class ProtocolTable(BaseModel):
    """A table of the file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def on_screen(text: str) -> str:
    """Return a text without blanks around it; refuse what cannot be shown."""
    if not all(character.isprintable() or character in "\n" + SHAPING for character in text):
        raise ValueError(N_("a text may hold printable characters and line breaks only"))
    return text.strip()


def on_one_line(text: str) -> str:
    """Return a label without blanks around it; refuse what does not stand on one line."""
    if (
        not all(character.isprintable() or character in SHAPING for character in text)
        or not text.strip()
    ):
        raise ValueError(N_("a label is 1 to 80 printable characters on one line"))
    return text.strip()


Text = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(on_screen)]
Label = Annotated[str, Field(min_length=1, max_length=LABEL_LENGTH), AfterValidator(on_one_line)]


def known_language(given: Any) -> str | None:
    """Return the language that a table of texts names, if our catalogue has it and it is not
    English.
    """
    if not isinstance(given, dict) or not isinstance(given.get("language"), str):
        return None
    code = str(given["language"]).partition("-")[0].lower()
    if code == SOURCE or code not in available():
        return None
    return code


def said_text(default: object) -> object:
    """Return a text of the page, or several, in the language in use."""
    if isinstance(default, tuple):
        return tuple(gettext(one) for one in default)
    return gettext(str(default))


class Texts(ProtocolTable):
    """Every text of the participant's page that is no step's own.

    What is left out is said in the language that the table names, where our catalogue has it, and
    else in English. Wording and figures are ours: of the Self-Assessment Manikin they have the nine
    points and the poles, not its pictures.
    """

    language: str = Field(
        "en",
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
        description="Code of the language, such as en, de or pt-BR",
    )
    title: Label = Field(N_("Study"), description="In the window's title, 1 to 80 characters")
    welcome_title: Label = Field(N_("Welcome"), description="1 to 80 characters")
    welcome: Text = Field(
        N_(
            "Make yourself comfortable. When you are ready, press the space bar or touch the "
            "button."
        ),
        description=_TO_READ,
    )
    ready: Label = Field(N_("I am ready"), description=_ON_BUTTON)
    moment: Text = Field(
        N_("One moment, please."), description="In every break, 1 to 2000 characters"
    )
    listen: Text = Field(
        N_("Please listen."), description="While a sound is played, 1 to 2000 characters"
    )
    baseline: Text = Field(
        N_("Please look at the screen with a relaxed face."),
        description="Where a baseline has no text, 1 to 2000 characters",
    )
    rest: Text = Field(
        N_("Please rest."), description="Where a rest has no text, 1 to 2000 characters"
    )
    pressure: Text = Field(
        N_("Please sit still. Your blood pressure is taken now."),
        description="Where a pressure step has no text, 1 to 2000 characters",
    )
    valence: Text = Field(N_("How pleasant or unpleasant did you feel?"), description=_TO_READ)
    valence_low: Label = Field(N_("very unpleasant"), description=_ON_BUTTON)
    valence_middle: Label = Field(N_("neither"), description=_ON_BUTTON)
    valence_high: Label = Field(N_("very pleasant"), description=_ON_BUTTON)
    arousal: Text = Field(N_("How calm or excited did you feel?"), description=_TO_READ)
    arousal_low: Label = Field(N_("very calm"), description=_ON_BUTTON)
    arousal_middle: Label = Field(N_("in between"), description=_ON_BUTTON)
    arousal_high: Label = Field(N_("very excited"), description=_ON_BUTTON)
    points: tuple[Label, ...] = Field(
        POINT_NAMES,
        min_length=9,
        max_length=9,
        description="Nine names of the points, for who hears the page",
    )
    felt: Text = Field(N_("Which of these did you feel most?"), description=_TO_READ)
    neutral: Label = Field(N_("neutral"), description=_ON_BUTTON)
    happiness: Label = Field(N_("happiness"), description=_ON_BUTTON)
    surprise: Label = Field(N_("surprise"), description=_ON_BUTTON)
    sadness: Label = Field(N_("sadness"), description=_ON_BUTTON)
    anger: Label = Field(N_("anger"), description=_ON_BUTTON)
    disgust: Label = Field(N_("disgust"), description=_ON_BUTTON)
    fear: Label = Field(N_("fear"), description=_ON_BUTTON)
    contempt: Label = Field(N_("contempt"), description=_ON_BUTTON)
    none: Label = Field(N_("none of these"), description=_ON_BUTTON)
    go_on: Label = Field(N_("Continue"), description=_ON_BUTTON)
    declare: Label = Field(
        N_("It’s me"),
        description="On the button that says whose face leads; it is there where "
        "`vision.whose` is `declared`, 1 to 80 characters",
    )
    decline: Label = Field(N_("I would rather not say"), description=_ON_BUTTON)
    points_hint: Text = Field(
        N_("Use the arrow keys or touch a point, then press Enter."), description=_TO_READ
    )
    felt_hint: Text = Field(
        N_("Use the arrow keys or touch an answer, then press Enter."), description=_TO_READ
    )
    slider_hint: Text = Field(
        N_("Touch the line or use the arrow keys, then press Enter."), description=_TO_READ
    )
    end_title: Label = Field(N_("That was the last part"), description="1 to 80 characters")
    end: Text = Field(
        N_("Thank you. The session has ended, and you may close this page."),
        description="At the end, 1 to 2000 characters",
    )

    no_scripts: Text = Field(
        N_(
            "This page needs JavaScript, which is off in this browser. Please tell the person "
            "who runs the study."
        ),
        description="Where the browser runs no scripts, 1 to 2000 characters",
    )

    @model_validator(mode="before")
    @classmethod
    def _in_its_language(cls, given: Any) -> Any:
        """Fill in missing texts in the language that the table names."""
        code = known_language(given)
        if code is None:
            return given
        with speaking(code):
            said = {
                name: said_text(field.default)
                for name, field in cls.model_fields.items()
                if name != "language"
            }
        # What the table itself says wins.
        return {**said, **given}

    @property
    def direction(self) -> str:
        """``ltr``, or ``rtl`` for a language that is written from right to left."""
        if self.language.partition("-")[0].lower() in _RIGHT_TO_LEFT:
            return "rtl"
        return "ltr"

    @property
    def feelings(self) -> dict[str, str]:
        """Texts of the answers to ``felt``, in their order."""
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

"""What may be told of a participant beside the code: age band, sex, medication, and own fields.

Each of them makes a person easier to know again. They are kept only where the participant agreed,
as ``AttributeUse`` says, and never tell who somebody is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from edge_agent.core.errors import StudyError

AGE_BAND = "age_band"
SEX = "sex"
MEDICATION = "medication"
AGE_BANDS = ("under 18", "18-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80 and over")
SEXES = ("female", "male", "other", "not told")
MOST = 20
LENGTH = 80
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_CHOICES: Mapping[str, tuple[str, ...]] = {AGE_BAND: AGE_BANDS, SEX: SEXES}
_WHO = frozenset(
    {"name", "first_name", "last_name", "surname", "birthday", "birth_date", "date_of_birth"}
    | {"dob", "email", "e_mail", "phone", "telephone", "address", "street", "ssn", "patient_id"}
)
_COLUMNS = frozenset({"participant", "participant_id", "created_at", "simulated", "session"})


class AttributeUse(StrEnum):
    """What a participant agreed to about their attributes.

    ``none``: none are kept. ``here``: they are kept on this appliance, for its analysis.
    ``shared``: they may go along in exports, too.
    """

    NONE = "none"
    HERE = "here"
    SHARED = "shared"


def checked_attribute(name: str, value: str) -> tuple[str, str]:
    """Return name and value of an attribute without blanks around them.

    Raises:
        StudyError: the name is no name or says who somebody is, or the value is none of the
            choices, is empty, too long, or not printable on one line.
    """
    key = name.strip().lower()
    text = value.strip()
    if not _NAME.fullmatch(key):
        raise StudyError(
            f"Attribute {name!r}: give 1 to 32 lower-case letters, digits and '_', the first "
            "a letter, such as handedness."
        )
    if key in _WHO:
        raise StudyError(
            f"Attribute {name!r}: says who somebody is. Participants are known by codes "
            "only; keep such a list elsewhere."
        )
    if key in _COLUMNS or key.startswith("consent_"):
        raise StudyError(
            f"Attribute {name!r}: is a column of exported tables. Choose another name."
        )
    choices = _CHOICES.get(key)
    if choices is not None and text not in choices:
        raise StudyError(f"Attribute {key}: {text!r} is not one of: {', '.join(choices)}.")
    if not text or len(text) > LENGTH or not text.isprintable():
        raise StudyError(
            f"Attribute {key}: give 1 to {LENGTH} printable characters on one line, not {text!r}."
        )
    return key, text


def age_band(years: float) -> str:
    """Return the band in which an age in years lies.

    Example:
        >>> age_band(33)
        '30-39'
    """
    if years < 18:
        return AGE_BANDS[0]
    return AGE_BANDS[min(len(AGE_BANDS) - 1, max(1, int(years) // 10 - 1))]

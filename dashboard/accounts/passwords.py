"""Which passwords are good enough to be set."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.core.errors import AffectEdgeError

PASSWORD_MIN = 10
PASSWORD_MAX = 200
LEAST_SCORE = 3
"""Of 0 to 4 in zxcvbn: 3 means that a program needs 100 million guesses or more."""
_LOOKED_AT = 72
"""Characters; what follows makes no password worse, and judging takes time."""
_OURS = ("affect", "edge", "affect-edge", "affectedge", "affect edge", "raspberry", "dashboard")


class AccountError(AffectEdgeError):
    """A name, password, code or link was refused; the text says why and is fit to be shown."""


def check_new_password(password: str, name: str) -> None:
    """Refuse a password that somebody would guess soon.

    Common passwords, words, names, dates and patterns of the keyboard are known to ``zxcvbn``,
    which also says what makes them weak and how to do better.

    Raises:
        AccountError: it is too short, too long, or easy to guess.
    """
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise AccountError(
            f"A password has {PASSWORD_MIN} to {PASSWORD_MAX} characters; this one "
            f"has {len(password)}."
        )
    if name.casefold() in password.casefold() and len(password) - len(name) < PASSWORD_MIN // 2:
        raise AccountError("The password is little more than the name. Choose another.")
    if len(set(password)) < 4:
        raise AccountError("The password repeats too few characters. Choose another.")
    # Its lists of words take 0.2 s and 10 MB: only who sets a password loads them.
    from zxcvbn import zxcvbn

    judged = zxcvbn(password[:_LOOKED_AT], user_inputs=[name, *_OURS])
    if judged["score"] < LEAST_SCORE:
        feedback = judged["feedback"]
        raise AccountError(_advice(feedback["warning"], feedback["suggestions"]))


def _advice(warning: str, suggestions: Sequence[str]) -> str:
    """Return why a password is weak and what would be better, as one text."""
    why = warning or "Such a password is tried early"
    texts = [f"This password is easy to guess. {why}", *suggestions]
    return " ".join(text if text.endswith(".") else f"{text}." for text in texts)

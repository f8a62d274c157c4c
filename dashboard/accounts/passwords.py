"""Passwords and their hashes (Argon2id), codes typed once, and the texts of refusals."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.texts import N_, Message

PASSWORD_MIN = 10
PASSWORD_MAX = 200
LEAST_SCORE = 3
"""Of 0 to 4 in zxcvbn: 3 means that a program needs 100 million guesses or more."""
Check = Callable[[str, str], None]
"""Takes a password and the name of its account; raises ``AccountError``."""
_LOOKED_AT = 72
"""Characters; what follows makes no password worse, and judging takes time."""
_OURS = ("affect", "edge", "affect-edge", "affectedge", "affect edge", "raspberry", "dashboard")
ADVICE = (
    N_("Attackers try such passwords first."),
    N_("Use a few words, avoid common phrases."),
    N_("No need for symbols, digits, or uppercase letters."),
    N_("Add another word or two. Uncommon words are better."),
    N_("Straight rows of keys are easy to guess."),
    N_("Short keyboard patterns are easy to guess."),
    N_("Use a longer keyboard pattern with more turns."),
    N_('Repeats like "aaa" are easy to guess.'),
    N_('Repeats like "abcabcabc" are only slightly harder to guess than "abc".'),
    N_("Avoid repeated words and characters."),
    N_('Sequences like "abc" or "6543" are easy to guess.'),
    N_("Avoid sequences."),
    N_("Recent years are easy to guess."),
    N_("Avoid recent years."),
    N_("Avoid years that are associated with you."),
    N_("Dates are often easy to guess."),
    N_("Avoid dates and years that are associated with you."),
    N_("This is a top-10 common password."),
    N_("This is a top-100 common password."),
    N_("This is a very common password."),
    N_("This is similar to a commonly used password."),
    N_("A word by itself is easy to guess."),
    N_("Names and surnames by themselves are easy to guess."),
    N_("Common names and surnames are easy to guess."),
    N_("Capitalization doesn't help very much."),
    N_("All-uppercase is almost as easy to guess as all-lowercase."),
    N_("Reversed words aren't much harder to guess."),
    N_("Predictable substitutions like '@' instead of 'a' don't help very much."),
)
"""Sentences of zxcvbn, so that the catalogue has it."""
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without I, O, 0 and 1, which look alike
_GROUP = 4
WRONG = N_("Name or password is wrong.")
DISABLED = N_("This account is disabled. An administrator can enable it again.")
NO_ACCOUNT_HERE = N_(
    "The proxy logged you in as {name!r}, but no account here has that name. An administrator "
    "can create one."
)
WRONG_PRESENT = N_("The current password is wrong.")
SAME = N_("The new password is the same as the current one. Choose another.")
LINK_SPENT = N_(
    "This login link has expired or was already used; it works only once. Restart the program "
    "to get a new one."
)
SETUP_DONE = N_("Setup is already complete. Log in with the account created during setup.")
WRONG_CODE = N_(
    "This is not the setup code. The dashboard prints the code in its terminal or log; each "
    "start prints a new one."
)


class AccountError(AffectEdgeError):
    """A name, password, code or link was refused; the text says why and is fit to be shown."""

    exit_code = 2


def check_new_password(password: str, name: str) -> None:
    """Refuse a password that somebody would guess soon.

    Common passwords, words, names, dates and patterns of the keyboard are known to ``zxcvbn``,
    which also says what makes them weak and how to do better.

    Raises:
        AccountError: it is too short, too long, or easy to guess.
    """
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise AccountError(
            N_(
                "The password must have {password_min} to {password_max} characters; this one "
                "has {n}."
            ),
            password_min=PASSWORD_MIN,
            password_max=PASSWORD_MAX,
            n=len(password),
            field="password",
        )
    if name.casefold() in password.casefold() and len(password) - len(name) < PASSWORD_MIN // 2:
        raise AccountError(
            N_("The password is too similar to the name. Choose another."), field="password"
        )
    if len(set(password)) < 4:
        raise AccountError(
            N_("The password has too few different characters. Choose another."), field="password"
        )
    # Its lists of words take 0.2 s and 13 MB: a process loads them that ends again.
    from zxcvbn import zxcvbn

    judged = zxcvbn(password[:_LOOKED_AT], user_inputs=[name, *_OURS])
    if judged["score"] < LEAST_SCORE:
        feedback = judged["feedback"]
        raise AccountError(_advice(feedback["warning"], feedback["suggestions"]), field="password")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A new password that was found hard to guess, for the account of a name.

    Attributes:
        password: the password.
        name: of the account.
    """

    password: str = field(repr=False)
    name: str


def accepted(password: str | Accepted, name: str, check: Check) -> str:
    """Return a new password, after a check, unless it was checked for this name before.

    Raises:
        AccountError: ``check`` refuses it.
    """
    if isinstance(password, Accepted):
        if password.name == name:
            return password.password
        password = password.password
    check(password, name)
    return password


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password, with its salt and costs."""
    return PasswordHasher().hash(password)


def is_password(password: str, kept: str) -> bool:
    """Tell whether a password has the hash that was kept."""
    try:
        # what is longer than any password costs no more than the longest
        return PasswordHasher().verify(kept, password[: PASSWORD_MAX + 1])
    except (VerificationError, InvalidHashError):
        return False


def _advice(warning: str, suggestions: Sequence[str]) -> Message:
    """Return why a password is weak and what would be better, as one text."""
    why = _end_with_full_stop(warning or N_("Attackers try such passwords first"))
    text = Message(N_("This password is easy to guess. {why}"), why=Message(why))
    for suggestion in suggestions:
        text = Message(
            N_("{before} {after}"), before=text, after=Message(_end_with_full_stop(suggestion))
        )
    return text


def _end_with_full_stop(text: str) -> str:
    if text.endswith("."):
        return text
    return f"{text}."


def new_code(groups: int) -> str:
    """Draw a code of groups of four characters, 20 bit each, such as ``K7QD-W2MX-9RTA``."""
    return "-".join(
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(groups)
    )


def hash_of_code(code: str) -> str:
    """Return what is kept of a code, however a person writes it: small, with blanks, without
    hyphens.
    """
    plain = "".join(character for character in code.upper() if character.isalnum())
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def sha256(text: str) -> str:
    """Return the SHA-256 of a random secret in hexadecimal digits, as it is kept.

    Half characters, which a request may hold, hash to something that no secret has.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

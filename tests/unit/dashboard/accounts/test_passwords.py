"""Which passwords are refused, and what is said about them."""

from __future__ import annotations

import pytest

from dashboard.accounts.passwords import AccountError, check_new_password


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("1234567890", "top-100 common password"),
        ("password123", "very common password"),
        ("affect-edge", "tried early. Add another word"),
        ("Affect3dge!", "Predictable substitutions"),
        ("qwertzuiop", "common password"),
        ("Summer2026!", "similar to a commonly used password"),
        ("xyzw" * 50, "Repeats like"),
    ],
)
def test_what_many_use_or_a_pattern_makes_is_refused_with_better_advice(
    password: str, why: str
) -> None:
    with pytest.raises(AccountError, match=rf"^This password is easy to guess\. .*{why}"):
        check_new_password(password, "ada")


@pytest.mark.parametrize(
    "password", ["correct horse battery", "tr0ub4dor&3x", "ünïcödé päßwörter", "kFz8-wmQ2-xx71"]
)
def test_a_few_words_or_random_characters_are_good(password: str) -> None:
    check_new_password(password, "ada")


def test_the_name_is_no_help() -> None:
    with pytest.raises(AccountError, match="easy to guess"):
        check_new_password("lovelacelovelace1", "lovelace")

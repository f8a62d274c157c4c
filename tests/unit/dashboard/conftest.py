"""What the tests of the dashboard share."""

from __future__ import annotations

from functools import partial

import pytest
from argon2 import PasswordHasher

from dashboard.accounts import accounts


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a password cost next to nothing. What it costs to guess one is looked at in one test;
    paid in each of the hundreds that log in, it was half of what they took.
    """
    quick = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "PasswordHasher", quick)
    monkeypatch.setattr(accounts, "PasswordHasher", quick)

"""Contract tests that log in: passwords cost little."""

from tests.unit.dashboard.conftest import _quick_passwords

__all__ = ["_quick_passwords"]

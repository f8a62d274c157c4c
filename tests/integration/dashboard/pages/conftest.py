"""Whole pages asked for without a server: passwords cost little, and somebody is logged in."""

from tests.unit.dashboard.conftest import _quick_passwords, ada, database, stranger

__all__ = ["_quick_passwords", "ada", "database", "stranger"]

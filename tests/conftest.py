"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# The same cases in every run: a red run can be repeated. To search for new ones: pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

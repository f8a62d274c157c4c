"""The commands of the dashboard, which need no browser.

``affect-edge`` and ``python -m dashboard`` both have them, and load only the one that is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

_OF_QUESTIONS: Mapping[str, tuple[str, str]] = json.loads(
    Path(__file__).with_name("questions.json").read_text(encoding="utf-8")
)
COMMANDS: Mapping[str, tuple[str, str]] = {
    "account": (
        "dashboard.commands.account:account",
        "List, add, change and remove accounts of the dashboard.",
    ),
    "analyse": (
        "dashboard.commands.analyse:analyse_command",
        "Run the dashboard's t-tests in the terminal.",
    ),
    "password": (
        "dashboard.commands.account:password",
        "Set another password for who has forgotten theirs.",
    ),
    "plan-study": ("dashboard.commands.analyse:plan_command", "Say how many people a study needs."),
    "protocol": ("dashboard.commands.protocol:protocol", "Check protocol files."),
    **{name: (where, line) for name, (where, line) in _OF_QUESTIONS.items()},
}
"""Each command → ``module:name``, and its line in the list of commands. Those of the questions are
written by ``tools/write_questions.py``, for the list is printed without loading their register.
"""

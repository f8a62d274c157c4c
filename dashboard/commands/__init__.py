"""The commands of the dashboard, which need no browser.

``affect-edge`` and ``python -m dashboard`` both have them, and load only the one that is used.
"""

from __future__ import annotations

from collections.abc import Mapping

COMMANDS: Mapping[str, tuple[str, str]] = {
    "account": (
        "dashboard.commands.account:account",
        "List, add, change and remove accounts of the dashboard.",
    ),
    "analyse": (
        "dashboard.commands.analyse:analyse_command",
        "Run the dashboard's t-tests in the terminal.",
    ),
    "compare-sensors": (
        "dashboard.commands.answers:sensors",
        "Say how far two sources of a vital agree.",
    ),
    "coupling": (
        "dashboard.commands.answers:coupling",
        "Say whether face and heart go together within people.",
    ),
    "password": (
        "dashboard.commands.account:password",
        "Set another password for who has forgotten theirs.",
    ),
    "plan-study": ("dashboard.commands.analyse:plan_command", "Say how many people a study needs."),
    "protocol": ("dashboard.commands.protocol:protocol", "Check protocol files."),
    "responses": ("dashboard.commands.answers:responses", "Show what measures do around events."),
    "week": ("dashboard.commands.answers:week", "Say how one participant's week went."),
}
"""Each command → ``module:name``, and its line in the list of commands."""

"""Where the dashboard keeps what it writes itself: in the data folder, or in one of its own there.

On an appliance the dashboard is another user than the agent. It reads the data folder and writes
one folder in it, which the installer has made; to the database it writes through the gate. Where
one user runs both, there is no such folder, and everything lies side by side.
"""

from __future__ import annotations

from pathlib import Path

NAME = "dashboard"


def has_own_folder(data: Path) -> bool:
    """Tell whether agent and dashboard are two users here."""
    return (data / NAME).is_dir()


def own_folder(data: Path) -> Path:
    """Return the folder in which the dashboard writes; it may not be there.

    Args:
        data: the data folder, which the database lies in.
    """
    return data / NAME if has_own_folder(data) else data

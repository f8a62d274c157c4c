"""What was found where releases are published, kept for the page and for the next look."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.appliance.feed.whole_file import write_whole
from edge_agent.core.errors import UpdateError

STATE_NAME = "last-look.json"
PAGE_FOLDER = "updates"
"""Below the data folder: what the dashboard shows, written by the daily look."""
_LARGEST = 64_000


class LastLook(BaseModel):
    """The last look.

    Attributes:
        feed: where.
        checked_ms: when, in epoch milliseconds.
        number: of the newest list that was ever believed; 0: none.
        version: the newest release that it names; empty: none.
        problem: why the last look found nothing out; empty: it did.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    feed: str
    checked_ms: int = Field(ge=0)
    number: int = Field(0, ge=0)
    version: str = ""
    problem: str = ""

    def is_newer_than(self, version: str) -> bool:
        """Tell whether a newer release than this one is known."""
        return bool(self.version) and _order(self.version) > _order(version)


def read_look(file: Path) -> LastLook | None:
    """Return the last look; ``None``: there was none, or what is kept of it cannot be read."""
    try:
        with file.open("rb") as stream:
            return LastLook.model_validate_json(stream.read(_LARGEST))
    except (OSError, ValidationError):
        return None


def write_look(file: Path, answer: LastLook) -> None:
    """Keep the last look, whole or not at all.

    Raises:
        UpdateError: it cannot be written.
    """
    try:
        file.parent.mkdir(mode=0o755, exist_ok=True)
    except OSError as error:
        raise UpdateError(f"{file}: cannot be written ({error.strerror}).") from error
    write_whole(file, answer.model_dump_json())


def _order(version: str) -> tuple[int, ...]:
    with suppress(ValueError):
        return tuple(int(part) for part in version.split("."))
    return ()

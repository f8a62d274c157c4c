"""Which model was configured before which: what a way back needs, beside the installed models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from edge_agent.appliance.ownership import give_owner
from edge_agent.core.errors import ModelError
from edge_agent.store.database.replacement import sync_folder

HISTORY = "history.json"
"""Name of the file, in the folder of the installed models."""
KEPT = 20
"""Changes that are remembered."""


class Step(BaseModel):
    """A change of the configured model.

    Attributes:
        key: of the configuration, such as ``vision.expression_model``.
        before: what the file said; ``None``: nothing, so that the default held.
        now: what it says since.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    before: str | None
    now: str


_STEPS = TypeAdapter(tuple[Step, ...])


def read_steps(folder: Path) -> tuple[Step, ...]:
    """Return the changes that are remembered, the oldest first.

    Args:
        folder: of the installed models; it may be missing.

    Raises:
        ModelError: the file cannot be read.
    """
    file = folder / HISTORY
    try:
        return _STEPS.validate_json(file.read_bytes())
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError) as error:
        raise ModelError(
            f"{file}: cannot be read, so nothing is known of the models of before. Delete it, and "
            "name the model that is wanted: affect-edge model install NAME."
        ) from error


def write_steps(folder: Path, steps: Sequence[Step]) -> None:
    """Remember the last changes, whole or as before.

    Raises:
        OSError: they cannot be written.
    """
    file = folder / HISTORY
    write_safely(file, _STEPS.dump_json(tuple(steps)[-KEPT:], indent=2))


def write_safely(file: Path, content: bytes) -> None:
    """Write a file so that a power cut leaves the one of before or the new one.

    Raises:
        OSError: it cannot be written; the one of before is there.
    """
    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        give_owner(part, file, 0o640)
        part.replace(file)
        sync_folder(file.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise

"""Messages between the dashboard and the process that reads pictures.

The dashboard sends one line of JSON with the options, then pictures: the number of their bytes in
four bytes, and the bytes. The process answers each with one line of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

from edge_agent.config.vision import VisionSettings

_SIZE_BYTES = 4


def send_options(out: IO[bytes], options: VisionSettings) -> None:
    """Send what the chain is built from."""
    out.write(options.model_dump_json().encode() + b"\n")
    out.flush()


def options_from(source: IO[bytes]) -> VisionSettings | None:
    """Return what the chain is built from; ``None`` where nobody asks any more."""
    line = source.readline()
    if not line:
        return None
    return VisionSettings.model_validate_json(line)


def send_picture(out: IO[bytes], content: bytes) -> None:
    """Send the content of a file."""
    out.write(len(content).to_bytes(_SIZE_BYTES))
    out.write(content)
    out.flush()


def pictures_from(source: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of each file, until there are no more."""
    while len(head := source.read(_SIZE_BYTES)) == _SIZE_BYTES:
        yield source.read(int.from_bytes(head))


def send_answer(out: IO[bytes], answer: dict[str, Any]) -> None:
    """Send what was read in a picture, or why nothing was."""
    out.write(json.dumps(answer).encode() + b"\n")
    out.flush()

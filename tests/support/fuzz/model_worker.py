"""Loads and runs damaged models as ``edge_agent.vision.models.model`` does, many in one process: a
runtime that dies takes the process with it, and the test that asked sees it.

A request on the standard input is the length of a TFLite file in eight bytes, and the file. The
answer is a line: what was raised (empty: nothing), and seconds of the processor.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from edge_agent.core.errors import ModelError
from edge_agent.vision.models.card import read_card
from edge_agent.vision.models.model import MEMORY_BYTES, load_model


def write_damaged(card_path: Path, content: bytes) -> None:
    """Write a damaged model, and the card that fits it."""
    card = read_card(card_path)
    fields = json.loads(card_path.read_text(encoding="utf-8"))
    fields["sha256"] = hashlib.sha256(content).hexdigest()
    card_path.write_text(json.dumps(fields), encoding="utf-8")
    card_path.with_name(card.file).write_bytes(content)


def tried(card_path: Path, content: bytes) -> str:
    """Return what loading and running a damaged model raised."""
    write_damaged(card_path, content)
    card = read_card(card_path)
    try:
        model = load_model(card_path, kind=card.kind)
        model.run(np.zeros(model.card.input.shape[1:], np.uint8))
    except ModelError:
        return "ModelError"
    except Exception as error:  # noqa: BLE001 - any other than ours is what is looked for
        return f"{type(error).__name__}: {error}".replace("\n", " ")
    return ""


def main(card_path: Path) -> None:
    """Answer requests until there are none."""
    while head := sys.stdin.buffer.read(8):
        content = sys.stdin.buffer.read(int.from_bytes(head, "big"))
        begun = time.process_time()
        outcome = tried(card_path, content)
        print(f"{time.process_time() - begun:.3f} {outcome}", flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main(Path(sys.argv[1]))

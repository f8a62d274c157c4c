"""A model of others is tried in a process of its own before this one loads it.

The runtime checks the form of a file, but not what its numbers ask for: a few changed bytes can
make it take gigabytes. The process has little memory and time, and what it dies of is said.

    python -m edge_agent.vision.models.trial CARD
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from edge_agent.core.errors import ModelError
from edge_agent.vision.models.card import MODELS_FOLDER, read_card
from edge_agent.vision.models.model import load_model

MEMORY_BYTES = 384 << 20
"""Less than the agent's unit has; the shipped models take a tenth."""
CPU_SECONDS = 10
"""For loading, and for running once; the largest shipped model takes 0.01 s of a server's."""
WAIT_SECONDS = 60.0
_REFUSED = 3


def try_apart(card_path: Path) -> None:
    """Load a model and run it once in another process, unless it is a shipped one.

    Raises:
        ModelError: what `load_model` says of it; or it takes too much memory or time, or ends the
            process.
    """
    if card_path.resolve().parent == MODELS_FOLDER.resolve():
        return
    words = [sys.executable, "-P", "-m", __name__, str(card_path.absolute())]
    try:
        done = subprocess.run(words, capture_output=True, timeout=WAIT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise _too_much(card_path) from error
    if done.returncode == _REFUSED:
        raise ModelError(done.stdout.decode(errors="replace").strip())
    if done.returncode != 0:
        raise _too_much(card_path)


def limit() -> None:
    """Give this process no more than a model may take; what is loaded already does not count."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _too_much(card_path: Path) -> ModelError:
    return ModelError(
        f"{card_path}: its TFLite file cannot be loaded within {MEMORY_BYTES >> 20} MB and "
        f"{CPU_SECONDS} s of the processor, or ends the program that tries. It is damaged, or too "
        "large for the agent; use another."
    )


def main(card_path: Path) -> int:
    """Load a model and run it once; return the exit code."""
    limit()
    try:
        load_model(card_path, kind=read_card(card_path).kind)
    except ModelError as error:
        print(error)
        return _REFUSED
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))

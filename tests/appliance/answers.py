"""What the shipped models answer to pictures, in whole numbers as the runtime gives them.

Run on two processors.

python answers.py PICTURES.npz ANSWERS.npz
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_agent.vision.models.card import read_card, shipped_models
from edge_agent.vision.models.model import load_model


def answers_of(card: Path, pictures: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
    """Return for each output of a model its answers to all pictures, not dequantized."""
    model = load_model(card, kind=read_card(card).kind)
    given: dict[str, list[npt.NDArray[Any]]] = defaultdict(list)
    for picture in pictures:
        with model.answering(picture) as answer:
            for output in model.card.outputs:
                given[output.name].append(answer(output.name).values)
    return {name: np.concatenate(values) for name, values in given.items()}


def main(pictures: str, out: str) -> None:
    """Read the pictures of each model, write what it answers."""
    found: dict[str, Any] = {}
    with np.load(pictures) as taken:
        for name, card in shipped_models().items():
            found |= {
                f"{name} {output}": values
                for output, values in answers_of(card, taken[name]).items()
            }
    np.savez(out, **found)
    runtime = importlib.metadata.version("ai-edge-litert")
    print(
        f"{platform.machine()}, Python {platform.python_version()}, LiteRT {runtime}, NumPy "
        f"{np.__version__}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

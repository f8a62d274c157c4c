"""The committed classifier answers the same under tflite-runtime 2.14 with NumPy 1."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.vision.align import crop_face
from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.models.model import find_model, load_model
from tests.support.vision.portraits import detector, serious, smiling

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = ROOT / ".venv-tflite"
REQUIREMENTS = ("tflite-runtime==2.14.0", "numpy<2", "pydantic>=2.9")
UNREACHABLE = (
    "Retrying (",
    "NewConnectionError",
    "from versions: none",
    "ProxyError",
    "ReadTimeoutError",
)

CLASSIFY = """
import json, sys
from pathlib import Path
import numpy
from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.models.model import load_model
classifier = ExpressionClassifier(load_model(Path(sys.argv[1]), kind="expression"))
expressions = [classifier.classify(crop) for crop in numpy.load(sys.argv[2])]
print(json.dumps({
    "numpy": numpy.__version__,
    "runtimes": sorted({"ai_edge_litert", "tflite_runtime", "cv2"} & set(sys.modules)),
    "labels": [expression.dominant for expression in expressions],
    "probabilities": [expression.probabilities for expression in expressions],
}))
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONNOUSERSITE": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )


@pytest.fixture(scope="module")
def old_python() -> str:
    """The interpreter of an environment with the old runtime, made once and kept."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS)
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return str(python)
    maker = shutil.which("python3.11") or sys.executable
    if run(maker, "-m", "venv", "--clear", str(ENVIRONMENT)).returncode:
        pytest.skip(f"{maker} cannot make a virtual environment")
    installed = run(
        str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *REQUIREMENTS
    )
    if installed.returncode != 0:
        if any(sign in installed.stderr for sign in UNREACHABLE):
            pytest.skip("pip cannot reach its package index to install tflite-runtime 2.14")
        pytest.fail(f"tflite-runtime could not be installed: {installed.stderr}")
    stamp.write_text(wanted, encoding="utf-8")
    return str(python)


def crops(size: int, name: str) -> npt.NDArray[np.uint8]:
    """Two real faces, each in six variants, uint8, 12 × size × size.

    As it is, mirrored, darker, brighter, blurred and turned.
    """
    made: list[npt.NDArray[Any]] = []
    for portrait in (smiling(), serious()):
        crop = crop_face(portrait, detector().detect(portrait)[0], size, name)
        turn = cv2.getRotationMatrix2D((size / 2, size / 2), 12, 1)
        made += [crop, crop[:, ::-1], crop // 2, 255 - (255 - crop) // 2]
        made += [cv2.GaussianBlur(crop, (0, 0), 1.5), cv2.warpAffine(crop, turn, (size, size))]
    return np.stack([np.asarray(picture, np.uint8) for picture in made])


@pytest.mark.deep
@pytest.mark.timeout(900)  # the first run downloads the environment
def test_the_classifier_answers_alike_under_tflite_runtime(old_python: str, tmp_path: Path) -> None:
    card = find_model("expression-fast")
    classifier = ExpressionClassifier(load_model(card, kind="expression"))
    pictures = crops(classifier.size, classifier.crop)
    np.save(tmp_path / "crops.npy", pictures)
    here = [classifier.classify(picture) for picture in pictures]
    answer = run(old_python, "-c", CLASSIFY, str(card), str(tmp_path / "crops.npy"))
    assert answer.returncode == 0, answer.stderr
    there = json.loads(answer.stdout)
    assert there["numpy"].startswith("1.")
    assert there["runtimes"] == ["tflite_runtime"]
    assert there["labels"] == [expression.dominant.value for expression in here]
    # The runtimes may round a sum of products differently: by one step of an int8 logit at the
    # most.
    assert np.allclose(there["probabilities"], [e.probabilities for e in here], atol=0.05)

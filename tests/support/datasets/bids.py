"""BIDS data sets of tests, and the official validator."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

_VALIDATOR = "bids-validator@1.15.0"


def downloaded_validator(folder: Path) -> Path:
    """The program of the official validator, from npm; its bundle needs no other package.

    Skips where node or npm is missing, or the package does not arrive.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: the official validator needs it")
    words = ["npm", "pack", "--silent", _VALIDATOR]
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("the validator did not arrive within 60 s")
    archives = list(folder.glob("*.tgz"))
    if done.returncode or not archives:
        why = (done.stderr.strip().splitlines() or ["no archive"])[-1]
        pytest.skip(f"the validator cannot be downloaded: {why}")
    subprocess.run(["tar", "-xf", str(archives[0]), "-C", str(folder)], check=True)
    return folder / "package" / "bin" / "bids-validator"


def validated(validator: Path, dataset: Path) -> tuple[set[str], set[str]]:
    """The errors and the warnings that the validator of npm has of a data set.

    Its last release is older than the events of physiological recordings, which BIDS has had since
    1.11: it takes each of them for a file that is not to be there, and nothing else.
    """
    words = ["node", str(validator), str(dataset), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    issues = json.loads(done.stdout)["issues"]
    errors = {
        f"{one['key']}: {file['evidence']}" for one in issues["errors"] for file in one["files"]
    }
    newer = {one for one in errors if re.fullmatch(r"NOT_INCLUDED: .*_physioevents\..*", one)}
    assert len(newer) == len(list(dataset.rglob("*_physioevents.*")))
    return errors - newer, {one["key"] for one in issues["warnings"]}


def judged_by_schema(dataset: Path) -> dict[str, set[str]]:
    """The codes of what the validator of today finds, by ``error`` and ``warning``.

    It reads the rules from the specification's own schema, which it brings along, so it needs no
    network. Skips where it is not installed.
    """
    package = pytest.importorskip(
        "bids_validator_deno", reason="the dev extra is not installed, or not for this processor"
    )
    deno = pytest.importorskip("deno", reason="deno is not there for this processor")
    program = Path(package.__file__).with_name("bids-validator.js")
    words = ["run", "--no-prompt", "--allow-read", "--allow-env", str(program)]
    # Deno reads nothing below /dev, where the files of a test may lie in memory.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        copied = shutil.copytree(dataset, Path(place, "dataset"))
        done = subprocess.run(
            [deno.find_deno_bin(), *words, "--format", "json", str(copied)],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    found: dict[str, set[str]] = {"error": set(), "warning": set()}
    for one in json.loads(done.stdout)["issues"]["issues"]:
        code = ": ".join(filter(None, (one["code"], one.get("subCode"))))
        found[one["severity"]].add(code)
    return found


def write_dataset(folder: Path, files: Mapping[str, Any]) -> Path:
    """A data set of another laboratory: paths → text, JSON, or samples that are packed."""
    described = {"Name": "Films", "BIDSVersion": "1.8.0"}
    for name, content in ({"dataset_description.json": described} | dict(files)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(content.encode()))
        elif isinstance(content, str):
            path.write_text(content)
        else:
            path.write_text(json.dumps(content))
    return folder

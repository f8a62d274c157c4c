"""A password that is a word of a command can be read by every user of the machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = [ROOT / "install.sh", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_the_brokers_password_is_no_word_of_a_command(place: Path) -> None:
    assert "mosquitto_passwd -b" not in place.read_text(encoding="utf-8")


@pytest.mark.broker
def test_the_installers_way_leaves_a_hash(tmp_path: Path) -> None:
    lines = (ROOT / "install.sh").read_text(encoding="utf-8").splitlines()
    steps = [line.strip() for line in lines if "affect-edge:$password" in line]
    steps += [line.strip() for line in lines if line.strip().startswith("mosquitto_passwd ")]
    assert len(steps) == 2
    file = tmp_path / "passwd"
    script = "\n".join([f"broker_files=(a b '{file}')", "password=secret-word", *steps])
    subprocess.run(["bash", "-euc", script], check=True)
    text = file.read_text(encoding="utf-8")
    assert text.startswith("affect-edge:$") and "secret-word" not in text
    assert file.stat().st_mode & 0o077 == 0

"""What `encrypt-data` asks of the real `cryptsetup`, as far as no device mapper is needed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from edge_agent.appliance.encryption.steps import luks_format

PASSPHRASE = "four words of no song"
ENVIRONMENT = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("container") / "data.luks"
    with file.open("wb") as stream:
        stream.truncate(32 * 2**20)
    done = cryptsetup(*luks_format(file)[1:], given=PASSPHRASE)
    assert done.returncode == 0, done.stderr
    return file


def cryptsetup(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run it."""
    return subprocess.run(
        ["cryptsetup", *words],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )


def test_its_header_has_the_promised_strength_however_busy_the_machine_is(container: Path) -> None:
    header = cryptsetup("luksDump", str(container)).stdout
    assert re.search(r"^Version:\s+2$", header, re.MULTILINE), header
    assert re.search(r"PBKDF:\s+argon2id", header) and "aes-xts-plain64" in header
    assert re.search(r"Memory:\s+131072$", header, re.MULTILINE), header
    assert re.search(r"Time cost:\s+6$", header, re.MULTILINE), header


@pytest.mark.parametrize(
    ("passphrase", "code"), [(PASSPHRASE, 0), (PASSPHRASE.title(), 2), (PASSPHRASE + "\n", 2)]
)
def test_it_opens_with_its_passphrase_alone(container: Path, passphrase: str, code: int) -> None:
    words = ("open", "--test-passphrase", "--key-file", "-", str(container))
    assert cryptsetup(*words, given=passphrase).returncode == code


def test_the_file_holds_no_byte_of_the_passphrase(container: Path) -> None:
    assert PASSPHRASE.encode() not in container.read_bytes()

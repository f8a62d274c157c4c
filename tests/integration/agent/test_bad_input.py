"""What a stranger may do wrong, at the commands themselves: a sentence, an exit code, and nothing
half-done.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.timeline.database.lock import lock
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from tests.support.commands import affect_edge
from tests.support.timeline import query
from tests.support.vision.portraits import SERIOUS_FILE

ROOT = Path(__file__).resolve().parents[3]
PEOPLE = "SELECT count(*) FROM participant"


def by_process(
    *words: object, stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PYTHONIOENCODING": "utf-8:strict", **environment}
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", *map(os.fspath, map(str, words))],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        check=False,
        cwd=ROOT,
        env=variables,
        timeout=110,
    )


@pytest.mark.parametrize("command", ["run", "dashboard"])
def test_the_home_of_a_user_that_there_is_not_is_named(command: str) -> None:
    done = affect_edge(command, "--data", "~nobody-of-this-name/data")
    assert done.code == 2
    assert "~nobody-of-this-name/data: there is no such home folder" in done.err


def test_file_names_that_are_no_text_are_printed_as_valid_json(tmp_path: Path) -> None:
    picture = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    picture.write_bytes(SERIOUS_FILE.read_bytes())
    done = by_process("classify", picture, tmp_path / "n\u00f6.jpg", "--json")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = [json.loads(line) for line in done.stdout.encode("ascii").splitlines()]
    assert [line["file"] for line in lines] == [str(picture), str(tmp_path / "n\u00f6.jpg")]
    spoken = by_process("classify", picture)
    assert (spoken.returncode, "caf\\udce9.jpg" in spoken.stdout) == (0, True)


def test_a_terminal_without_our_signs_gets_others_not_a_traceback(tmp_path: Path) -> None:
    done = by_process(
        "doctor",
        "--data",
        tmp_path,
        PYTHONIOENCODING="ascii:strict",
        AFFECT_EDGE_CAMERA__SOURCE="demo",
    )
    assert "Traceback" not in done.stderr
    assert "dashboard port" in done.stdout


def test_picture_that_cannot_be_opened_is_an_error_beside_the_others(tmp_path: Path) -> None:
    done = affect_edge("classify", "x" * 300 + ".jpg", str(SERIOUS_FILE), "--json")
    assert done.code == 1
    first, second = map(json.loads, done.out.splitlines())
    assert "File name too long" in first["error"]
    assert len(second["faces"]) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_onto_a_full_disk_is_reported_in_a_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = by_process("model", "list", stdout=full.fileno())
    assert done.returncode == 1
    assert done.stderr == "affect-edge: the output cannot be written (No space left on device).\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "0001-01-01"], "0001-01-01"),
        (
            ["--from", "2026-02-01", "--to", "2026-01-01"],
            "--from 2026-02-01 is not before --to 2026-01-01",
        ),
    ],
)
def test_an_impossible_range_of_an_export_is_wrong_use_and_exports_nothing(
    tmp_path: Path, words: list[str], said: str
) -> None:
    migrate(tmp_path / DATABASE_NAME)
    done = affect_edge("export", "--data", str(tmp_path), "--out", str(tmp_path / "out"), *words)
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("host", ["there-is-no-such-host.invalid", "192.0.2.1"])
def test_a_demonstration_that_cannot_listen_names_the_host(tmp_path: Path, host: str) -> None:
    done = by_process(
        "demo", "--data", tmp_path, "--seconds", "110", AFFECT_EDGE_DASHBOARD__HOST=host
    )
    assert done.returncode == 1
    assert f"dashboard.host = '{host}'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not socket.has_ipv6, reason="this system has no IPv6")
def test_an_ipv6_address_of_the_dashboard_is_looked_at_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFECT_EDGE_DASHBOARD__HOST", "::1")
    done = affect_edge("doctor", "--data", str(tmp_path))
    assert "dashboard port" in done.out
    assert "Address family" not in done.out


def test_demonstration_beside_running_agent_puts_no_example_into_database(tmp_path: Path) -> None:
    database = tmp_path / DATABASE_NAME
    migrate(database)
    with lock(database):
        done = by_process("demo", "--data", tmp_path, "--seconds", "2")
    assert done.returncode == 1
    assert "another agent records into this database" in done.stderr
    assert query(database, PEOPLE) == [(0,)]

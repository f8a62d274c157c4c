"""What a process that gave up its rights can still do: nothing but what its work needs."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.core.helper.process import end_apart, start_apart

TRIES = """
import os, resource, socket, subprocess, sys, threading
from edge_agent.core.helper.rights import forbid

waiting = threading.Event()
results = []

def attempt(name, action):
    try:
        action()
    except (OSError, RuntimeError):
        results.append(f"-{name}")
    else:
        results.append(f"+{name}")

def other_thread():
    waiting.wait()
    attempt("open-elsewhere", lambda: open("/etc/passwd"))

older = threading.Thread(target=other_thread)
older.start()
assert forbid(network=sys.argv[1] == "network")
waiting.set()
older.join()
parent = os.getppid()
newer = threading.Thread(target=lambda: attempt("open-newer", lambda: open("/etc/passwd")))
attempt("thread", newer.start)
newer.join()
for name, action in {
    "open": lambda: open("/etc/passwd"),
    "write": lambda: open(sys.argv[2], "w"),
    "list": lambda: os.listdir("/"),
    "delete": lambda: os.unlink(__file__),
    "rename": lambda: os.rename(__file__, sys.argv[2]),
    "mode": lambda: os.chmod(__file__, 0o777),
    "folder": lambda: os.mkdir(sys.argv[2]),
    "fork": os.fork,
    "program": lambda: subprocess.run(["/bin/true"]),
    "signal": lambda: os.kill(parent, 0),
    "limits": lambda: resource.prlimit(parent, resource.RLIMIT_CORE),
    "priority": lambda: os.setpriority(os.PRIO_PROCESS, parent, 5),
    "memory-file": lambda: os.memfd_create("x"),
    "local": lambda: socket.socket(socket.AF_UNIX),
    "netlink": lambda: socket.socket(socket.AF_NETLINK),
    "own-limits": lambda: resource.prlimit(0, resource.RLIMIT_CORE),
    "four": lambda: socket.socket(socket.AF_INET).close(),
    "six": lambda: socket.socket(socket.AF_INET6).close(),
}.items():
    attempt(name, action)
os.write(1, " ".join(results).encode())
os._exit(0)
"""
REFUSED = (
    *("open-elsewhere", "open-newer", "open", "write", "list", "delete", "rename", "mode"),
    *("folder", "fork", "program", "signal", "limits", "priority", "memory-file", "local"),
    "netlink",
)


@pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"}, reason="these two are what a Pi and a PC have"
)
@pytest.mark.parametrize("network", [True, False])
def test_rights_given_up_leave_no_file_program_or_other_process(
    tmp_path: Path, network: bool
) -> None:
    script = tmp_path / "tries.py"
    script.write_text(TRIES, encoding="utf-8")
    words = ["network" if network else "pipes", str(tmp_path / "new")]
    done = subprocess.run([sys.executable, script, *words], capture_output=True, check=True)
    allowed = {"thread", "own-limits", *(("four", "six") if network else ())}
    told = set(done.stdout.decode().split())
    assert {one[1:] for one in told if one[0] == "+"} == allowed, done.stderr.decode()
    assert {one[1:] for one in told if one[0] == "-"} >= set(REFUSED)
    assert script.exists()


def test_a_process_apart_gets_no_secret_of_environment_and_no_open_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AFFECT_EDGE_MQTT__PASSWORD", "s3cret")
    with (tmp_path / "database").open("wb") as held:
        os.set_inheritable(held.fileno(), True)
        process = start_apart("edge_agent.camera.decoder_worker")
        try:
            assert process.stdout is not None
            assert process.stdout.read(1), "it is ready"
            variables = Path(f"/proc/{process.pid}/environ").read_bytes()
            files = {entry.readlink() for entry in Path(f"/proc/{process.pid}/fd").iterdir()}
        finally:
            code = end_apart(process)
    assert b"s3cret" not in variables and b"AFFECT_EDGE" not in variables
    assert Path(held.name) not in files
    assert code == -9

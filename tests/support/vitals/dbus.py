"""A D-Bus daemon of its own, which stands for the system bus in a test."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import pytest

_DAEMON = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="*"/>
    {policy}
  </policy>
</busconfig>
"""
# what Debian's policy says to who is not in "bluetooth"
NOT_IN_THE_GROUP = '<deny send_destination="org.bluez"/>'


class Bus:
    """A dbus-daemon of its own; ``address`` is for ``DBUS_SYSTEM_BUS_ADDRESS``.

    Args:
        policy: further rules of who may talk to whom.
    """

    def __init__(self, policy: str = "") -> None:
        # a socket's path must be short, pytest's folders are not
        self._folder = Path(tempfile.mkdtemp(prefix="bus-"))
        self._socket = self._folder / "socket"
        self._policy = policy
        self.address = f"unix:path={self._socket}"

    def __enter__(self) -> Self:
        program = shutil.which("dbus-daemon")
        if program is None:
            pytest.skip("dbus-daemon is not installed; on Debian: apt install dbus-daemon")
        config = self._folder / "bus.conf"
        config.write_text(
            _DAEMON.format(socket=self._socket, policy=self._policy), encoding="utf-8"
        )
        self._process = subprocess.Popen(
            [program, f"--config-file={config}", "--nofork", "--print-address=1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith("unix:"), "the daemon does not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()
        shutil.rmtree(self._folder)

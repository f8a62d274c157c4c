"""Profiles of a fleet on a booted machine: fetched, tried, taken back and kept by the units."""

from __future__ import annotations

from dataclasses import dataclass

from tests.appliance.installation import AGENT, PLENTY_S, pid_of
from tests.appliance.kept_apart import PROFILE, PROFILE_FETCH
from tests.appliance.machine import Machine

FOLDER = "/srv/profiles"
KEY = "/root/care"
CONFIG = "/etc/affect-edge/affect-edge.toml"
_RIGHTS = f"stat -c '%U %G %a' {CONFIG}"
KEPT_S = 420.0
"""A profile is watched for five minutes."""


@dataclass(frozen=True, slots=True)
class Care:
    """Who publishes profiles, and the device that takes them."""

    machine: Machine

    def begin(self) -> None:
        """Make a key, let the owner trust it and follow a folder."""
        self.machine.shell(
            f"ssh-keygen -q -t ed25519 -N '' -f {KEY} && affect-edge fleet-profile trust --yes "
            f"{KEY}.pub && mkdir {FOLDER} && affect-edge fleet-profile follow {FOLDER}"
        )
        self.machine.shell("systemctl is-active affect-edge-profile.timer")

    def end(self) -> None:
        """Let the owner follow nobody any more."""
        self.machine.shell(
            f"affect-edge fleet-profile follow none && affect-edge fleet-profile revoke {KEY}.pub",
            within_s=PLENTY_S,
        )
        self.machine.shell(f"rm -r {FOLDER} {KEY} {KEY}.pub")

    def publish(self, version: int, seconds: int) -> None:
        """Give a profile to all devices, and let this one look for it as each hour."""
        self.machine.shell(
            f"printf '[record]\\nbatch_seconds = {seconds}.0\\n' >/run/summer.toml && affect-edge "
            f"fleet-profile make {FOLDER} --name summer --version {version} --percent 100 "
            f"--settings /run/summer.toml --key {KEY} && rm /run/summer.toml"
        )
        self.look()

    def look(self) -> None:
        """Start what the timer starts; the profile is applied by the unit that follows."""
        self.machine.run("systemctl", "start", PROFILE_FETCH, within_s=120)

    def wait_for(self, state: str, within_s: float = 60.0) -> None:
        """Wait until the device says of its profile that it stands so."""
        show = "affect-edge fleet-profile show"
        try:
            self.machine.wait_for(f"{show} | grep -q '^summer .*: {state}'", within_s)
        except AssertionError as error:
            unit = f"{show}; systemctl status --no-pager -l {PROFILE}"
            raise AssertionError(
                f"{error}\n{self.machine.run('bash', '-c', unit).output}"
            ) from None

    def settings(self) -> str:
        """Return what the configuration says of the key that the profiles set."""
        return self.machine.shell(f"grep batch_seconds {CONFIG} | grep -v '^#' || true")


def tried_taken_back_and_kept(machine: Machine) -> None:
    """A profile whose trial is disturbed is taken back; one that is cut short is tried again."""
    care = Care(machine)
    before, rights = pid_of(machine, AGENT), machine.shell(_RIGHTS)
    owners = care.settings()
    care.begin()
    care.publish(1, 3)
    care.wait_for("trying")
    machine.wait_for(f"grep -q '^batch_seconds = 3.0' {CONFIG}", 60)
    machine.wait_for(f"test $(systemctl show -P MainPID {AGENT}) != {before}", 60)
    refused = machine.run("affect-edge", "update", "--yes", "/var/cache/none.tar.gz")
    assert refused.code == 1 and "is being applied right now" in refused.output, refused.output
    machine.shell(f"systemctl kill --kill-whom=main -s KILL {AGENT}")
    care.wait_for("taken back")
    assert care.settings() == owners

    care.publish(2, 4)
    care.wait_for("trying")
    machine.wait_for(f"grep -q '^batch_seconds = 4.0' {CONFIG}", 60)
    machine.shell(f"systemctl kill --kill-whom=main -s KILL {PROFILE}")
    machine.shell(f"mv {FOLDER} {FOLDER}.away")
    care.look()  # fails, and what was cut short is looked after without it
    machine.shell(f"mv {FOLDER}.away {FOLDER}")
    care.wait_for("applied", KEPT_S)
    assert care.settings().startswith("batch_seconds = 4.0")
    assert machine.shell(_RIGHTS) == rights, "who may read the configuration"
    care.end()
    assert care.settings() == owners

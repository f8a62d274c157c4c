"""``affect-edge fleet-rollout``: a profile goes to more devices while none is worse with it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click
from pydantic import ValidationError

from dashboard.commands.exit_codes import run_command
from dashboard.fleet.address import FleetAddress
from dashboard.fleet.rollout import Decision, Rollout, before_of, decide, followers
from edge_agent.appliance.profiles.index import ProfileIndex
from edge_agent.core import clock
from edge_agent.core.errors import UpdateError

HOUR_MS = 3_600_000


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--source",
    required=True,
    help="What collectors write to, such as postgresql://reader@db.example/fleet.",
)
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    help="File whose first line is the password of that account.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="Private key that signs; left out: nothing is signed, and the command for it is shown.",
)
@click.option(
    "--hours",
    type=click.FloatRange(0, 10_000),
    default=24.0,
    show_default=True,
    help="How long each stage lasts at least.",
)
def rollout_command(
    folder: Path, source: str, password_file: Path | None, key: Path | None, hours: float
) -> None:
    """Give the profile in FOLDER to 1 %, 10 %, then all devices, and stop where some are worse.

    One look: run it every hour or day. It ends with 1 where the profile is stopped.
    """
    if urlsplit(source).password:
        raise click.UsageError(
            "--source holds a password. Write it into a file, and give that with --password-file."
        )
    decision = look_once(folder, FleetAddress(source, password_file), key, hours)
    click.echo(decision.text)
    if decision.stopped:
        raise UpdateError(
            "The profile is stopped. Publish another version when the cause is known."
        )


def look_once(folder: Path, source: FleetAddress, key: Path | None, hours: float) -> Decision:
    """Look at the devices once, and publish what is decided; return it.

    Args:
        folder: what devices pull from.
        source: what collectors write to.
        key: signs; ``None``: nothing is published.
        hours: how long a stage lasts at least.

    Raises:
        UpdateError: no profile is published there, or it cannot be signed.
        StoreError: the database cannot be read.
    """
    from dashboard.fleet.connections import FleetDatabase
    from dashboard.fleet.device_reader import all_devices
    from edge_agent.appliance.profiles.publishing import published_profile

    profile = published_profile(folder)
    database = FleetDatabase(source)
    try:
        devices = followers(all_devices(database))
    finally:
        database.close()
    now_ms = clock.now().wall_ms
    file = record_file(folder)
    record = _record(file, profile, now_ms)
    for device in devices:
        if not profile.includes(device.name):
            record.before[device.name] = before_of(device)
    waited_h = (now_ms - record.since_ms) / HOUR_MS
    decision = decide(profile, devices, record, waited_h, hours)
    _write(file, record)
    if decision.stage == profile.stage and not decision.stopped:
        return decision
    return _publish(folder, key, record, profile, decision)


def record_file(folder: Path) -> Path:
    """Return where is remembered how devices were: beside the folder, which others can read."""
    return folder.with_name(f"{folder.name}.rollout.json")


def _publish(
    folder: Path, key: Path | None, record: Rollout, profile: ProfileIndex, decision: Decision
) -> Decision:
    from edge_agent.appliance.profiles.publishing import restage_profile

    if decision.stopped and not record.stopped:
        record.stopped = decision.text
    text = decision.text
    if decision.stage != profile.stage and key is None:
        text += f"\naffect-edge fleet-profile stage {folder} {decision.stage / 10:g} --key KEY"
    elif decision.stage != profile.stage and key is not None:
        now_s = clock.now().wall_ms // 1000
        restage_profile(folder, decision.stage, key, now_s)
        record.stage, record.since_ms = decision.stage, now_s * 1000
        text += f"\n{profile.title} is published for {decision.stage / 10:g} % of the devices."
    _write(record_file(folder), record)
    return Decision(decision.stage, text, decision.stopped)


def _record(file: Path, profile: ProfileIndex, now_ms: int) -> Rollout:
    """Return what is remembered of this profile; a new record for another one."""
    fresh = Rollout(digest=profile.digest, stage=profile.stage, since_ms=now_ms)
    try:
        record = Rollout.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return fresh
    except (OSError, ValidationError) as error:
        raise UpdateError(
            f"{file}: how devices were before cannot be read. Delete it: then each alarm of a "
            "device that has the profile counts as new."
        ) from error
    if record.digest != profile.digest:
        return fresh
    if record.stage != profile.stage:  # somebody signed it by hand since
        record.stage, record.since_ms = profile.stage, now_ms
    return record


def _write(file: Path, record: Rollout) -> None:
    new = file.with_name(f".{file.name}")
    try:
        new.write_text(record.model_dump_json(indent=2), encoding="utf-8")
        new.replace(file)
    except OSError as error:
        raise UpdateError(f"{file}: cannot be written ({error.strerror}).") from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit code: 0 done, 1 stopped or failed, 2 wrong use."""
    return run_command(rollout_command, arguments, "affect-edge fleet-rollout")

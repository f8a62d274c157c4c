"""Looking for newer releases where the owner says, and taking the newest from there."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.core.clock import now
from edge_agent.core.errors import UpdateError

if TYPE_CHECKING:
    from edge_agent.appliance.update import Place

ROOTS_STATE = "feed.json"
"""Below the program's folder: what root has seen, which no service can change."""
_ARRANGE_S = 120.0


def check_feed(*, if_due: bool) -> None:
    """Look whether there is a newer release, and say so; never install it."""
    from edge_agent.appliance.feed.look import is_due, look
    from edge_agent.appliance.release import version_of
    from edge_agent.appliance.update import Place

    place = Place()
    feed = _feed_of(place)
    state = _state(place)
    now_ms = now().wall_ms
    if if_due and not is_due(state, feed, now_ms):
        click.echo("The last look was less than a day ago.")
        return
    present = version_of(place.current())
    answer = look(feed, place.trust(), state, now_ms)
    if answer.is_newer_than(present):
        click.echo(
            f"Affect Edge {answer.version} is there, {present} is installed. To install it: sudo "
            "affect-edge update"
        )
    else:
        click.echo(f"Affect Edge {present} is the newest that is published there.")


def update_from_feed(place: Place, yes: bool) -> None:
    """Install the newest release of where the owner looks for them."""
    from edge_agent.appliance import update as room
    from edge_agent.appliance.feed.look import fetch_archive, fetch_index, look
    from edge_agent.appliance.release import version_of

    feed = _feed_of(place)
    present = version_of(place.current())
    trust = place.trust()
    answer = look(feed, trust, _state(place), now().wall_ms)
    if not answer.is_newer_than(present):
        click.echo(f"Affect Edge {present} is the newest that is published at {feed}.")
        return
    newest = fetch_index(feed, trust)
    if (newest.number, newest.version) != (answer.number, answer.version):
        raise UpdateError(f"{feed}: changed its list of releases just now. Try it again.")
    click.echo(f"{present} is installed; {newest.version} is there ({newest.size / 1e6:.0f} MB).")
    click.echo("Recording stops for some seconds.")
    if not yes:
        click.confirm("Update now?", abort=True)
    with tempfile.TemporaryDirectory(dir=place.program) as folder:
        archive = fetch_archive(feed, newest, Path(folder))
        version = room.update(place, str(archive), lambda sentence: click.echo(f"• {sentence}"))
    click.echo(f"Affect Edge {version} runs. `affect-edge rollback` goes back to the one before.")


def set_feed(place: Place, feed: str) -> None:
    """Write into the configuration where newer releases are looked for, and arrange the timer."""
    from edge_agent.config.editing.document import ConfigFile, checked, read_file, with_changes
    from edge_agent.config.editing.saving import save

    wanted = None if feed == "none" else feed
    before = read_file(place.config)
    after = ConfigFile(before.path, with_changes(before.text, {"updates.feed": wanted}))
    checked(after)
    if after.text != before.text:
        save(before, after.text)
    done = subprocess.run(
        [str(place.current() / "install.sh"), "--arrange-feed"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_ARRANGE_S,
    )
    if done.returncode:
        raise UpdateError(
            f"The configuration is written, but the daily look could not be arranged. It said: "
            f"{(done.stderr.strip() or done.stdout.strip())[-400:]}"
        )
    if wanted is None:
        click.echo("Nothing looks for newer releases any more.")
    else:
        click.echo(f"Once a day {feed} is asked whether a newer release is there; the page Health")
        click.echo("tells of it. Nothing is installed by itself: `affect-edge update` does that.")


def _feed_of(place: Place) -> str:
    from edge_agent.config import load_settings

    feed = load_settings(place.config).updates.feed
    if feed is None:
        raise UpdateError(
            "Nobody has said where newer releases are published. Give an archive (affect-edge "
            "update FILE), or say where to look: sudo affect-edge update --feed ADDRESS"
        )
    return feed


def _state(place: Place) -> Path:
    """Return where the last look is kept: root's own, or that of the page."""
    from edge_agent.appliance.feed.last_look import PAGE_FOLDER, STATE_NAME

    if os.geteuid() == 0:
        return place.program / ROOTS_STATE
    return place.data / PAGE_FOLDER / STATE_NAME

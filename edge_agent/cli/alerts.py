"""The command about alerts: those that stand, the log, and a trial of the addresses."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.cli.options import common_options, json_option, load, log_to_stderr

if TYPE_CHECKING:
    from edge_agent.alerts.options import AlertOptions
    from edge_agent.store.alert_log.entries import AlertEntry

_ROWS = 50


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also those that have ended: the last 50.")
@click.option(
    "--test", "trial", is_flag=True, help="Send a test message to every address of alerts.notify."
)
@common_options
@json_option
def alerts(
    everything: bool, trial: bool, config: Path | None, data: Path | None, as_json: bool
) -> None:
    """Show the alerts that stand, or try the addresses; none of them is a medical alarm.

    With --test it ends with 1 when an address was not reached.
    """
    log_to_stderr(logging.WARNING)
    settings, folder = load(config, data)
    from edge_agent.alerts.options import alert_options
    from edge_agent.store.alert_log.alert_log import AlertLog
    from edge_agent.store.alert_log.entries import AlertFilter
    from edge_agent.store.database.schema import DATABASE_NAME

    if trial:
        sys.exit(_try_addresses(alert_options(settings), as_json=as_json))
    wanted = AlertFilter(state="open")
    nothing = "No alert stands."
    if everything:
        wanted = AlertFilter()
        nothing = "No alert has begun yet."
    _, rows = AlertLog(folder / DATABASE_NAME).page(wanted, _ROWS, 1)
    if as_json:
        click.echo(json.dumps([_told(alert) for alert in rows]))
        return
    for alert in rows:
        click.echo(_line(alert))
    if not rows:
        click.echo(nothing)


def _try_addresses(options: AlertOptions, *, as_json: bool) -> int:
    """Send a message to each address; return the exit code."""
    from edge_agent.alerts.post import Post, post
    from edge_agent.alerts.rules import DISCLAIMER
    from edge_agent.core.errors import ConfigError
    from edge_agent.core.texts import N_, Message

    try:
        targets = options.targets()
    except (OSError, ValueError) as error:
        raise ConfigError(f"alerts.notify_file: cannot be read ({error}).") from error
    if not targets:
        raise ConfigError("alerts.notify: names no address. Give one, such as ntfys://ntfy.sh/NAME")
    title = Message(N_("Affect Edge {device}: test"), device=options.device)
    body = Message(
        "{text}\n{disclaimer}",
        text=Message(N_("Alerts of this appliance arrive here.")),
        disclaimer=Message(DISCLAIMER),
    )
    posts = [Post(target, title, body) for target in targets]
    answers = post(posts, language=options.language)
    errors = {target.name: answer for target, answer in zip(targets, answers, strict=True)}
    if as_json:
        told = [{"address": name, "error": answer or None} for name, answer in errors.items()]
        click.echo(json.dumps(told))
    else:
        for name, answer in errors.items():
            click.echo(f"{name}: {answer or 'sent'}")
    return int(any(errors.values()))


def _told(alert: AlertEntry) -> dict[str, object]:
    from edge_agent.core.clock import iso_utc

    ended = None
    if alert.ended_ms is not None:
        ended = iso_utc(alert.ended_ms)
    return {
        "id": alert.id,
        "rule": alert.rule,
        "kind": alert.kind,
        "text": alert.text,
        "value": alert.value,
        "session": alert.session,
        "began": iso_utc(alert.raised_ms),
        "ended": ended,
        "ending": alert.ending,
        "quiet": alert.quiet,
        "acknowledged_by": alert.acknowledged_by,
    }


def _line(alert: AlertEntry) -> str:
    told = _told(alert)
    state = "open"
    if alert.acknowledged_by is not None:
        state = f"seen by {alert.acknowledged_by}"
    if not alert.is_open:
        state = f"until {told['ended']}"
    return f"{told['began']}  {alert.rule}: {alert.text} ({state})"

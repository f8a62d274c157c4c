"""The group of all commands, and the parts that several commands share.

These are options, the appliance of a command, the log, times (ISO 8601 with a zone, or with that of
an option or of this machine), and tables for people.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from edge_agent import __version__
from edge_agent.core.advice import shell_word
from edge_agent.core.bounds import COMMAND_LINE
from edge_agent.core.columns import aligned
from edge_agent.core.command_line import Group, warn
from edge_agent.core.errors import DataFileError, ReadingError, StudyError
from edge_agent.core.owners import become_owner_of
from edge_agent.core.unmet import EVERY_TIME_HAS_A_ZONE, unmet_choice

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

    from edge_agent.config.settings import Settings
    from edge_agent.core.readings import GivenZone
    from edge_agent.timeline.study.sessions import Study
    from edge_agent.vitals.column_map import ColumnMap
    from edge_agent.vitals.csv_files import CsvFile
    from edge_agent.vitals.dates import DateOrder
    from edge_agent.vitals.health.files import ChannelChoice


P = ParamSpec("P")
T = TypeVar("T")

ACTOR = COMMAND_LINE
"""Name of the command line in the audit trail."""


PATH = click.Path(path_type=Path)
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_WIDEST = 60
_ZONES = "affect_edge.zones"


class LateCommand(click.Command):
    """A command of another product, which is loaded when it is used: others do without it.

    Args:
        name: of the command.
        place: where it is, ``module:name``.
        summary: its line in the list of commands.
    """

    def __init__(self, name: str, place: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self._place = place

    def loaded(self) -> click.Command:
        """Return the command itself, with its options and commands."""
        command = resolve_name(self._place)
        assert isinstance(command, click.Command)
        return command


class AllCommands(Group):
    """The group of all commands; it loads a late one when its name is typed."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return name, command and the words after it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.loaded() if isinstance(command, LateCommand) else command, rest


@click.group(cls=AllCommands, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="affect-edge", message="%(prog)s %(version)s")
def cli() -> None:
    """Affect Edge: expressions and vital signs on one timeline, on a Raspberry Pi."""


def how_to_use(config: Path | None, services: Sequence[str]) -> str:
    """Return the line on how a change of the configuration takes effect.

    Args:
        config: the file of ``--config``; ``None``: the usual one.
        services: that read the changed keys.
    """
    from edge_agent.config.loading import SYSTEM_FILE

    if config is None or config == SYSTEM_FILE:
        return f"to use it: sudo systemctl restart {' '.join(services)}"
    return f"to use it: restart what runs with --config {shell_word(str(config))}"


@dataclass(frozen=True, slots=True)
class Here:
    """The appliance of a command.

    Attributes:
        config: the configuration file of ``--config``; ``None``: the usual one.
        settings: its contents.
        folder: the data folder.
    """

    config: Path | None
    settings: Settings
    folder: Path

    @property
    def database(self) -> Path:
        """The database, which may be missing."""
        from edge_agent.timeline.database.schema import DATABASE_NAME

        return self.folder / DATABASE_NAME

    def made_database(self) -> Path:
        """Return the database, and create it if needed: a study can be prepared before a run.

        One of an earlier release is upgraded.

        Raises:
            StoreError: another process upgrades it just now.
        """
        from edge_agent.timeline.database.upgrade_process import migrate_apart
        from edge_agent.timeline.database.upgrade_progress import refuse_during_upgrade

        refuse_during_upgrade(self.database)
        migrate_apart(self.database)
        return self.database

    @property
    def study(self) -> Study:
        """The study in it, as the dashboard uses it."""
        # Imports stand in functions all over this folder: `--help` and completion load none of the
        # rooms.
        from edge_agent.timeline.study.sessions import Study

        purposes = self.settings.dashboard.purposes
        outbox_rows = self.settings.mqtt.outbox_rows
        return Study(self.database, purposes=purposes, outbox_rows=outbox_rows)


config_option = click.option("--config", type=PATH, help="Configuration file (TOML).")


def place_options(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command ``--config`` and ``--data``."""
    data = click.option("--data", type=PATH, help="Data folder; overrides the configuration.")
    return config_option(data(command))


def on_appliance(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the same two options, and pass it the appliance that they select.

    Where root runs it, it runs as the owner of the data folder.
    """

    @wraps(command)
    def with_appliance(config: Path | None, data: Path | None, **options: object) -> None:
        command(Here(config, *load(config, data)), **options)

    return place_options(with_appliance)


def on_appliance_as_root(command: Callable[..., None]) -> Callable[..., None]:
    """Do the same for a command that root runs as root, since it works in folders of several users.

    It takes the rights of the owner before it works in a folder (``edge_agent/core/owners.py``).
    """

    @wraps(command)
    def with_appliance(config: Path | None, data: Path | None, **options: object) -> None:
        command(Here(config, *read_settings(config, data)), **options)

    return place_options(with_appliance)


def json_option(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON only.")(command)


def answer(as_json: bool, told: object, lines: Iterable[object]) -> None:
    """Print a value as JSON if ``as_json``, else lines for people."""
    # Lines of a generator are not made where they are not printed.
    for line in [json.dumps(told)] if as_json else lines:
        click.echo(line)


def load(config: Path | None, data: Path | None) -> tuple[Settings, Path]:
    """Read the configuration, and return it with the data folder.

    Root becomes the owner of the folder, for good.
    """
    settings, folder = read_settings(config, data)
    become_owner_of(folder)
    return settings, folder


def read_settings(
    config: Path | None, data: Path | None, *, strict: bool = False
) -> tuple[Settings, Path]:
    """Read the configuration, and return it with the data folder; root stays root."""
    from edge_agent.config.loading import load_settings
    from edge_agent.config.section import at_home

    settings = load_settings(config, strict=strict)
    return settings, at_home(data or settings.data.folder)


def timezone_option(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command ``--timezone``, which says at its end if no time needed the zone."""

    @click.option(
        "--timezone",
        help="Time zone of times without one, such as Europe/Berlin; otherwise they are refused.",
    )
    @wraps(command)
    def run(*words: P.args, **options: P.kwargs) -> None:
        command(*words, **options)
        name = str(options["timezone"] or "")
        zone = zone_of(name)
        if zone is not None and not zone.is_used:
            warn([unmet_choice("--timezone", name, EVERY_TIME_HAS_A_ZONE)])

    return run


def instant_ms(
    option: str,
    text: str,
    timezone: str | None,
    *,
    local: bool = False,
    start_ms: int | None = None,
) -> int:
    """Return the time of an option in UTC milliseconds.

    Args:
        option: its name.
        text: what was given.
        timezone: of a time without a zone.
        local: whether it is that of this machine.
        start_ms: start of a session, from which text such as ``4:05`` counts.

    Raises:
        click.BadParameter: it is no time, or has no zone and none was given.
    """
    from edge_agent.core.readings import LocalTimes, time_ms
    from edge_agent.core.study import since_start_ms

    more = ""
    if start_ms is not None:
        with suppress(StudyError):
            return start_ms + since_start_ms(text, option)
        more = " Or count from the start of the session, such as 4:05."
    try:
        return time_ms(text, LocalTimes(None) if local else zone_of(timezone))
    except ReadingError as error:
        raise click.BadParameter(f"{option} {error.shown} {error.reason}{more}") from error


def zone_of(name: str | None) -> GivenZone | None:
    """Return the time zone of a name such as ``Europe/Berlin``, one for each command."""
    from edge_agent.core.readings import GivenZone
    from edge_agent.vitals.zone_names import zone_named

    try:
        zone = zone_named(name or "")
    except DataFileError as error:
        raise click.BadParameter(str(error)) from error
    if zone is None:
        return None
    context = click.get_current_context(silent=True)
    known: dict[str | None, GivenZone] = (
        {} if context is None else context.meta.setdefault(_ZONES, {})
    )
    return known.setdefault(name, GivenZone(zone))


def row_bar(rows: Iterable[T], label: str, length: int | None = None) -> ProgressBar[T]:
    """Return a context manager that yields rows, and shows on a terminal how many went through.

    It goes to standard error, so that the output stays the answer.
    """
    return click.progressbar(
        rows,
        length=length,
        label=label,
        show_pos=length is None,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        update_min_steps=500,
    )


def agree(sentence: str) -> None:
    """Ask on a terminal whether to go on with what a sentence names.

    Raises:
        click.Abort: somebody answered no.
    """
    if sys.stdin.isatty():
        click.confirm(f"{sentence} Go on?", abort=True, err=True)


def plain(row: Sequence[Any]) -> list[Any]:
    """Return the values of a row, bytes as hexadecimal digits."""
    return [value.hex() if isinstance(value, bytes) else value for value in row]


def table_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return the lines of a table for people: columns of numbers to the right, long texts cut."""
    kept = [plain(row) for row in rows]
    texts = [[_text(value) for value in row] for row in kept]
    numbers = {
        place
        for place, column in enumerate(zip(*kept, strict=True))
        if all(isinstance(value, int | float | None) for value in column)
    }
    rule = ["-" * max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    return aligned([columns, rule, *texts], numbers)


def _text(value: Any) -> str:
    if value is None:
        return ""
    # One line for each row, or the columns would not stand below each other.
    text = str(value).replace("\n", " ")
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def column_map(
    file: CsvFile, columns: tuple[str, ...], units: tuple[str, ...], dates: DateOrder
) -> ColumnMap | None:
    """Return the columns of ``--map``, ``--unit`` and ``--dates``; ``None`` without them."""
    from edge_agent.vitals.guessed_columns import (
        columns_without_guess,
        guess_map,
        with_stated_units,
    )

    given = [word for word in columns if word != "guess"]
    chosen = pairs_of("--map", given)
    of_units = pairs_of("--unit", units)
    if not columns:
        if of_units or dates != "iso":
            raise click.UsageError("--unit and --dates need --map, which explains the columns.")
        return None
    guessed = guess_map(file) if "guess" in columns else columns_without_guess(file)
    # What a person says wins over what was guessed.
    guessed = replace(guessed, columns={**guessed.columns, **chosen})
    if "guess" not in columns:
        guessed = with_stated_units(file, guessed)
    return replace(
        guessed,
        units={**guessed.units, **of_units},
        dates=guessed.dates if dates == "iso" else dates,
    )


def channel_choice(columns: tuple[str, ...], units: tuple[str, ...]) -> ChannelChoice:
    """Return what ``--map`` and ``--unit`` say of the channels of a recording."""
    from edge_agent.vitals.health.files import ChannelChoice

    chosen = pairs_of("--map", [word for word in columns if word != "guess"])
    only = bool(chosen) and "guess" not in columns
    return ChannelChoice(chosen, pairs_of("--unit", units), only)


def pairs_of(option: str, words: Iterable[str]) -> dict[str, str]:
    """Split each word at its ``=``."""
    pairs = [word.partition("=") for word in words]
    for name, sign, value in pairs:
        if not (name and sign and value):
            raise click.UsageError(f"{option} {name}{value}: write {option} NAME=VALUE.")
    return {name.strip(): value.strip() for name, _, value in pairs}

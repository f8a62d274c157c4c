"""The commands of ``affect-edge``.

Exit codes: 0 done, 1 failed while running, 2 wrong use or configuration. ``--json`` prints only JSON on stdout;
everything else goes to standard error. Each command imports what it needs when it runs, so that ``--help`` is quick.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from edge_agent import __version__
from edge_agent.errors import AffectEdgeError, ConfigError, DataFileError, PictureError

if TYPE_CHECKING:
    from edge_agent.config import Settings
    from edge_agent.domain import Session
    from edge_agent.store.study import Study
    from edge_agent.vision.recognizer import Recognizer
    from edge_agent.vitals.bluetooth import FoundSensor
    from edge_agent.vitals.csv_columns import ColumnMap, DateOrder

P = ParamSpec("P")
E = TypeVar("E", bound=StrEnum)

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def common_options(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command ``--config`` and ``--data``."""
    config = click.option("--config", type=click.Path(path_type=Path), help="Configuration file (TOML).")
    data = click.option("--data", type=click.Path(path_type=Path), help="Data folder; wins over the configuration.")
    return config(data(command))


def json_option(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON only.")(command)


def load(config: Path | None, data: Path | None) -> tuple[Settings, Path]:
    """Read the configuration and settle the data folder."""
    from edge_agent.config import at_home, load_settings

    settings = load_settings(config)
    return settings, at_home(data or settings.data.folder)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send the log to standard error; under systemd the journal adds the time."""
    under_systemd = "JOURNAL_STREAM" in os.environ
    form = "%(levelname)s %(name)s: %(message)s" if under_systemd else "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=level, format=form, datefmt="%H:%M:%S", stream=sys.stderr, force=True)


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="affect-edge", message="%(prog)s %(version)s")
def cli() -> None:
    """Affect Edge: expressions and vital signs on one timeline, on a Raspberry Pi."""


@cli.command()
@common_options
def run(config: Path | None, data: Path | None) -> None:
    """Run the agent: camera, vitals, timeline, MQTT."""
    log_to_stderr()
    settings, folder = load(config, data)
    from edge_agent.agent import Agent, StopSignals

    signals = StopSignals()
    agent = Agent(settings, folder)
    signals.tie(agent)
    sys.exit(agent.run())


@cli.command()
@common_options
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
def dashboard(config: Path | None, data: Path | None, host: str | None, port: int | None) -> None:
    """Serve the dashboard."""
    options = {"--config": config, "--data": data, "--host": host, "--port": port}
    words = [str(word) for name, value in options.items() if value is not None for word in (name, value)]
    os.execv(sys.executable, [sys.executable, "-m", "dashboard", *words])


@cli.command()
@common_options
@click.option("--seconds", type=click.IntRange(1, 366 * 86_400), help="End by itself after this long.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the dashboard.")
def demo(config: Path | None, data: Path | None, seconds: int | None, port: int | None) -> None:
    """Show everything: agent and dashboard, a demonstration camera, simulated vitals, an example study."""
    log_to_stderr()
    from edge_agent.demo import run_demo

    sys.exit(run_demo(config, data, seconds, port))


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@common_options
@json_option
@click.option(
    "--explain",
    "drawing",
    metavar="OUT.png",
    type=click.Path(path_type=Path),
    help="Draw where in the one PICTURE the evidence lies. Ends with 1 if there is no face to draw.",
)
def classify(
    paths: tuple[Path, ...], config: Path | None, data: Path | None, as_json: bool, drawing: Path | None
) -> None:
    """Find and read the faces in pictures and folders."""
    log_to_stderr(logging.WARNING)
    settings, _folder = load(config, data)
    picture = None if drawing is None else picture_to_draw(paths, drawing)
    from edge_agent.agent import recognizer_of
    from edge_agent.vision.pictures import classify_pictures

    recognizer = recognizer_of(settings)
    if drawing is not None and picture is not None:
        explain(picture, drawing, recognizer, as_json)
        return
    failed = False
    for line in classify_pictures(paths, recognizer):
        failed = failed or "error" in line
        click.echo(json.dumps(line) if as_json else describe_picture(line))
    sys.exit(int(failed))


def picture_to_draw(paths: tuple[Path, ...], drawing: Path) -> Path:
    """Return the one picture that a drawing is asked of, after making sure that the drawing has a place of its own."""
    from edge_agent.vision.drawing import check_place
    from edge_agent.vision.pictures import find_pictures

    pictures = find_pictures(paths)
    if len(pictures) != 1:
        raise click.UsageError(
            f"--explain draws one picture, and these are {len(pictures)}. Draw them one by one: "
            'for p in *.jpg; do affect-edge classify "$p" --explain "${p%.*}-evidence.png"; done'
        )
    try:
        check_place(drawing, pictures[0])
    except PictureError as error:
        raise click.UsageError(f"--explain {error}") from error
    return pictures[0]


def explain(picture: Path, drawing: Path, recognizer: Recognizer, as_json: bool) -> None:
    """Read one picture as `classify` does, and draw the evidence for what is said of its faces."""
    from edge_agent.vision.drawing import explain_picture, save_png

    line, drawn = explain_picture(picture, recognizer)
    click.echo(json.dumps(line) if as_json else describe_picture(line))
    if drawn is None:
        click.echo(f"affect-edge: {drawing} is not drawn: there is no face to explain.", err=True)
        sys.exit(1)
    save_png(drawn, drawing)
    click.echo(drawing, err=as_json)


def describe_picture(line: dict[str, Any]) -> str:
    """Say in words what ``classify --json`` says in one line."""
    if "error" in line:
        return str(line["error"])
    if not line["faces"]:
        return f"{line['file']}: no face"
    parts = []
    for face in line["faces"]:
        best = sorted(face["probabilities"].items(), key=lambda item: -item[1])[:2]
        said = ", ".join(f"{name} {probability:.0%}" for name, probability in best)
        x, y, width, height = (round(value) for value in face["box"])
        label = "uncertain" if face["uncertain"] else face["emotion"]
        parts.append(f"{label} ({said}) at {x},{y} {width}×{height}")
    return f"{line['file']}: " + "; ".join(parts)


@cli.command()
@common_options
@json_option
def doctor(config: Path | None, data: Path | None, as_json: bool) -> None:
    """Find what is wrong on this machine, and say the cure."""
    log_to_stderr(logging.CRITICAL)
    settings, folder = load(config, data)
    from edge_agent.doctor import diagnose, exit_code

    findings = []
    for finding in diagnose(settings, folder):
        findings.append(finding)
        if not as_json:
            click.echo(f"{finding.verdict.value:8} {finding.check}: {finding.found}")
            if finding.cure:
                click.echo(f"{'':8} → {finding.cure}")
    if as_json:
        click.echo(
            json.dumps([{"check": f.check, "verdict": f.verdict, "found": f.found, "cure": f.cure} for f in findings])
        )
    sys.exit(exit_code(findings))


@cli.command()
@common_options
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the files; made if needed.")
@click.option("--session", "sessions", type=int, multiple=True, help="Only this session; may be repeated.")
@click.option("--from", "start", type=click.DateTime(), help="Begin, local time.")
@click.option("--to", "end", type=click.DateTime(), help="End, local time.")
@click.option("--format", "form", type=click.Choice(["csv"]), default="csv", help="Form of the files.")
def export(
    config: Path | None,
    data: Path | None,
    out: Path,
    sessions: tuple[int, ...],
    start: datetime | None,
    end: datetime | None,
    form: str,  # noqa: ARG001 - one form today; the option is part of the contract
) -> None:
    """Write tidy CSV files: expressions, vitals, episodes, markers, sessions, participants."""
    log_to_stderr(logging.WARNING)
    _settings, folder = load(config, data)
    from edge_agent.store.export import export_csv
    from edge_agent.store.schema import DATABASE_NAME

    start_ms, end_ms = epoch_ms(start), epoch_ms(end)
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise click.UsageError(f"--from {start:%Y-%m-%dT%H:%M:%S} is not before --to {end:%Y-%m-%dT%H:%M:%S}.")
    files = export_csv(folder / DATABASE_NAME, out, sessions=list(sessions) or None, start_ms=start_ms, end_ms=end_ms)
    for file in files:
        click.echo(file)


def zone_of(name: str | None) -> tzinfo | None:
    """Return the time zone of a name such as ``Europe/Berlin``."""
    from edge_agent.vitals.csv_columns import zone_named

    try:
        return zone_named(name or "")
    except DataFileError as error:
        raise click.BadParameter(str(error)) from error


def epoch_ms(local: datetime | None) -> int | None:
    """Return UTC milliseconds of a local time."""
    try:
        return None if local is None else round(local.astimezone().timestamp() * 1000)
    except (OverflowError, ValueError, OSError) as error:
        raise click.BadParameter(f"{local}: is no time that this machine can reckon with.") from error


@cli.command("import-vitals")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--timezone", help="Zone of times that name none, such as Europe/Berlin; else such times are refused.")
@click.option(
    "--map",
    "columns",
    metavar="WHAT=COLUMN",
    multiple=True,
    help="Which column says what, such as --map at=Date --map heart_rate='Pulse (bpm)'; --map guess goes by the names.",
)
@click.option("--unit", "units", metavar="KIND=UNIT", multiple=True, help="Unit of a column, such as systolic=kPa.")
@click.option(
    "--dates", type=click.Choice(["iso", "dmy", "mdy"]), default="iso", help="How dates are written, with --map."
)
@common_options
def import_vitals(
    file: Path,
    timezone: str | None,
    columns: tuple[str, ...],
    units: tuple[str, ...],
    dates: DateOrder,
    config: Path | None,
    data: Path | None,
) -> None:
    """Import heart rate and blood pressure from a CSV file: all of it, or nothing."""
    log_to_stderr(logging.WARNING)
    _settings, folder = load(config, data)
    from edge_agent.store.imports import import_readings
    from edge_agent.store.schema import DATABASE_NAME, migrate
    from edge_agent.vitals.csv import read_readings

    readings = read_readings(file, zone_of(timezone), column_map(file, columns, units, dates))
    migrate(folder / DATABASE_NAME)
    done = import_readings(folder / DATABASE_NAME, readings)
    there = f", {done.duplicates} were there already" if done.duplicates else ""
    click.echo(f"{done.inserted} {'reading' if done.inserted == 1 else 'readings'} imported{there}")


def column_map(file: Path, columns: tuple[str, ...], units: tuple[str, ...], dates: DateOrder) -> ColumnMap | None:
    """Return what ``--map``, ``--unit`` and ``--dates`` say; ``None`` when they say nothing."""
    from edge_agent.vitals.csv import read_file
    from edge_agent.vitals.csv_columns import ColumnMap, guess_columns

    given = [word for word in columns if word != "guess"]
    chosen, of_units = pairs_of("--map", given), pairs_of("--unit", units)
    if not columns:
        if of_units or dates != "iso":
            raise click.UsageError("--unit and --dates go with --map: say which columns there are.")
        return None
    guessed = guess_columns(read_file(file).header) if "guess" in columns else ColumnMap({})
    return ColumnMap({**guessed.columns, **chosen}, {**guessed.units, **of_units}, dates)


def pairs_of(option: str, words: Iterable[str]) -> dict[str, str]:
    """Return what stands before and behind the ``=`` of each word."""
    pairs = [word.partition("=") for word in words]
    wrong = next((name + value for name, sign, value in pairs if not (name and sign and value)), None)
    if wrong is not None:
        raise click.UsageError(f"{option} {wrong}: write {option} NAME=VALUE.")
    return {name.strip(): value.strip() for name, _, value in pairs}


@cli.group()
def vitals() -> None:
    """Sensors of heart rate and blood pressure."""


@vitals.command("scan")
@click.option("--seconds", type=click.FloatRange(1, 300), default=8.0, show_default=True, help="How long to listen.")
@common_options
@json_option
def vitals_scan(seconds: float, config: Path | None, data: Path | None, as_json: bool) -> None:
    """Find Bluetooth straps and cuffs in reach, and print the lines that the configuration wants."""
    log_to_stderr(logging.ERROR)
    settings, _folder = load(config, data)
    from edge_agent.vitals.bluetooth import scan_sensors

    found = scan_sensors(seconds, settings.vitals.bluetooth.adapter)
    if as_json:
        click.echo(json.dumps([asdict(sensor) for sensor in found]))
        return
    for sensor in found:
        click.echo(describe_sensor(sensor))
    click.echo(
        f"\nPut the lines of yours into `devices` under [vitals.bluetooth] in {config or 'the configuration'}, then "
        "restart the agent."
        if found
        else f"No strap or cuff was heard within {seconds:g} s. A strap speaks while it is worn (wet its electrodes), "
        "a cuff for some seconds after a measurement; and neither while a phone or watch holds it.",
        err=not found,
    )


def describe_sensor(sensor: FoundSensor) -> str:
    """Say in words what ``vitals scan --json`` says, with the lines for the configuration below."""
    said = [
        sensor.name or "(no name)",
        sensor.address,
        "connected to this machine" if sensor.rssi is None else f"{sensor.rssi} dBm",
        " and ".join(kind.value.replace("_", " ") for kind in sensor.kinds),
    ]
    if sensor.battery_percent is not None:
        said.append(f"battery {sensor.battery_percent} %")
    return "\n".join([", ".join(said), *(f"  {sensor.config_line(kind)}" for kind in sensor.kinds)])


@cli.group()
def participant() -> None:
    """Participants of the study."""


@participant.command("list")
@common_options
@json_option
def participant_list(config: Path | None, data: Path | None, as_json: bool) -> None:
    """List the participants' codes."""
    log_to_stderr(logging.WARNING)
    _settings, folder = load(config, data)
    from edge_agent.clock import iso_utc
    from edge_agent.store.schema import DATABASE_NAME
    from edge_agent.store.study import Study

    people = Study(folder / DATABASE_NAME).participants()
    if as_json:
        rows = [{"code": p.code, "created": iso_utc(p.created_ms), "simulated": p.simulated} for p in people]
        click.echo(json.dumps(rows))
        return
    for person in people:
        click.echo(f"{person.code}  {iso_utc(person.created_ms)}" + ("  simulated" if person.simulated else ""))


@participant.command("erase")
@click.argument("code")
@common_options
@json_option
def participant_erase(code: str, config: Path | None, data: Path | None, as_json: bool) -> None:
    """Erase participant CODE for ever: all that was recorded in their sessions, and every trace of the code."""
    log_to_stderr(logging.WARNING)
    settings, folder = load(config, data)
    from edge_agent.store.erasure import erase_participant
    from edge_agent.store.schema import DATABASE_NAME

    done = erase_participant(folder / DATABASE_NAME, code, actor="command line", outbox_rows=settings.mqtt.outbox_rows)
    click.echo(json.dumps(asdict(done)) if as_json else done.sentence)


@cli.group()
def session() -> None:
    """Sessions of the study."""


@session.command("quality")
@click.argument("number", type=click.IntRange(1))
@common_options
@json_option
def session_quality(number: int, config: Path | None, data: Path | None, as_json: bool) -> None:
    """Say what was recorded of session NUMBER, and whether it is fit for analysis."""
    log_to_stderr(logging.WARNING)
    _settings, folder = load(config, data)
    from edge_agent.store.reader import Reader
    from edge_agent.store.schema import DATABASE_NAME

    report = Reader(folder / DATABASE_NAME).quality(number)
    if as_json:
        click.echo(json.dumps(asdict(report)))
        return
    click.echo(report.sentence)
    for check in report.checks:
        click.echo(f"{check.level.value:5} {check.name}: {check.found}")
        if check.cure:
            click.echo(f"{'':5} → {check.cure}")


@session.command("start")
@click.argument("participant_code", metavar="CODE")
@click.option("--purpose", required=True, help="research, medical, safety, personal or demonstration.")
@click.option("--setting", default="other", show_default=True, help="home, laboratory, clinic, workplace, education.")
@click.option("--name", default="", help="What to call it.")
@common_options
@json_option
def session_start(
    participant_code: str,
    purpose: str,
    setting: str,
    name: str,
    config: Path | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Open a session of participant CODE, who has consented, now."""
    study = study_of(config, data)
    from edge_agent.domain import Purpose, Setting

    opened = study.start_session(
        participant_code, named(Purpose, "--purpose", purpose), name, setting=named(Setting, "--setting", setting)
    )
    say_session(opened, as_json)


@session.command("mark")
@click.argument("kind")
@click.argument("label", default="")
@common_options
@json_option
def session_mark(kind: str, label: str, config: Path | None, data: Path | None, as_json: bool) -> None:
    """Set a marker in the open session, now.

    KIND is stimulus_start (opens the condition LABEL), stimulus_end, baseline or note.
    """
    study = study_of(config, data)
    from edge_agent.clock import iso_utc
    from edge_agent.domain import MarkerKind

    marker = study.add_marker(named(MarkerKind, "KIND", kind), label)
    said = {"at": iso_utc(marker.at.wall_ms), "kind": marker.kind, "label": marker.label, "session": marker.session}
    click.echo(json.dumps(said) if as_json else f"{marker.kind} {marker.label}, {said['at']}")


@session.command("end")
@common_options
@json_option
def session_end(config: Path | None, data: Path | None, as_json: bool) -> None:
    """Close the open session, now."""
    say_session(study_of(config, data).end_session(), as_json)


@session.command("show")
@common_options
@json_option
def session_show(config: Path | None, data: Path | None, as_json: bool) -> None:
    """Show the open session. Ends with 1 if there is none."""
    found = study_of(config, data).open_session()
    if found is None:
        click.echo("null" if as_json else "No session is open.", err=not as_json)
        sys.exit(1)
    say_session(found, as_json)


def study_of(config: Path | None, data: Path | None) -> Study:
    """Return the study of a data folder, as the dashboard uses it."""
    log_to_stderr(logging.WARNING)
    settings, folder = load(config, data)
    from edge_agent.store.schema import DATABASE_NAME
    from edge_agent.store.study import Study

    purposes, outbox_rows = settings.dashboard.purposes, settings.mqtt.outbox_rows
    return Study(folder / DATABASE_NAME, purposes=purposes, outbox_rows=outbox_rows)


def named(kind: type[E], option: str, text: str) -> E:
    """Return the member of an enumeration that a word names."""
    try:
        return kind(text)
    except ValueError as error:
        raise click.BadParameter(f"{option} {text!r}: choose one of {', '.join(kind)}") from error


def say_session(session: Session, as_json: bool) -> None:
    """Print a session."""
    from edge_agent.clock import iso_utc

    start, end = iso_utc(session.start_ms), None if session.end_ms is None else iso_utc(session.end_ms)
    if as_json:
        said = {"session": session.id, "participant": session.participant, "purpose": session.purpose}
        said |= {"setting": session.setting, "name": session.name, "start": start, "end": end}
        click.echo(json.dumps(said))
        return
    about = f"{session.participant}, {session.purpose}" + (f", {session.name}" if session.name else "")
    click.echo(f"session {session.id} ({about}): {start} to {end or 'now'}")


@cli.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def protocol(arguments: tuple[str, ...]) -> None:
    """Check protocol files (see ``protocol --help``)."""
    os.execv(sys.executable, [sys.executable, "-m", "dashboard", "protocol", *arguments])


@cli.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def analyse(arguments: tuple[str, ...]) -> None:
    """Run the dashboard's t-tests in the terminal (see ``analyse --help``)."""
    os.execv(sys.executable, [sys.executable, "-m", "dashboard", "analyse", *arguments])


@cli.group()
def model() -> None:
    """Model files."""


@model.command("list")
@common_options
@json_option
def model_list(config: Path | None, data: Path | None, as_json: bool) -> None:
    """List the shipped models; the configured ones are marked."""
    log_to_stderr(logging.WARNING)
    settings, _folder = load(config, data)
    from edge_agent.vision.card import read_card, shipped_models

    used = {settings.vision.expression_model, settings.vision.detector_model}
    rows = []
    for name, path in shipped_models().items():
        card = read_card(path)
        rows.append({"name": name, "kind": card.kind, "version": card.version, "used": name in used})
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{'*' if row['used'] else ' '} {row['name']:24} {row['version']:8} {row['kind']}")


@model.command("verify")
@click.argument("card", required=False, type=click.Path(path_type=Path))
@common_options
def model_verify(card: Path | None, config: Path | None, data: Path | None) -> None:
    """Check model files against their cards: CARD, or the configured ones."""
    log_to_stderr(logging.WARNING)
    settings, _folder = load(config, data)
    from edge_agent.vision.card import find_model, read_card
    from edge_agent.vision.model import load_model

    names: list[str | Path] = [card] if card else [settings.vision.detector_model, settings.vision.expression_model]
    for name in names:
        path = find_model(name)
        loaded = load_model(path, kind=read_card(path).kind)
        click.echo(f"{loaded.card.name} {loaded.card.version}: file, hash, labels and shapes agree")


@cli.group("config")
def config_group() -> None:
    """The configuration."""


@config_group.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@common_options
def config_check(file: Path | None, config: Path | None, data: Path | None) -> None:
    """Check a configuration file: unknown keys, wrong values, with their lines."""
    load(file or config, data)
    click.echo(f"{file or config or 'the configuration'} is right")


def main() -> None:
    """Run the command line; our own errors become one sentence and an exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal or a file name of another encoding
    try:
        cli(prog_name="affect-edge")
    except ConfigError as error:
        click.echo(f"affect-edge: {error}", err=True)
        sys.exit(2)
    except AffectEdgeError as error:
        click.echo(f"affect-edge: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        drop_output()
        sys.exit(1)
    except OSError as error:  # every room translates its own; what is left is mostly our output onto a full disk
        drop_output()
        what = "the output cannot be written" if error.errno == errno.ENOSPC else error.filename or "the system refuses"
        click.echo(f"affect-edge: {what} ({error.strerror or error}).", err=True)
        sys.exit(1)


def drop_output() -> None:
    """Send what is still to be written nowhere, so that the end of the program does not fail at it again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

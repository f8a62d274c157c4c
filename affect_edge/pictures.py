"""Commands that read pictures and recorded videos.

A video becomes a table (CSV, or Parquet where pyarrow is installed) or a part of the timeline.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from affect_edge import options as common
from affect_edge.markers import MarkerColumns, read_markers
from affect_edge.options import ACTOR, PATH, Here, cli, json_option, on_appliance_as_root
from affect_edge.study import named
from edge_agent.core import clock
from edge_agent.core.command_line import warn
from edge_agent.core.errors import AffectEdgeError, PictureError

if TYPE_CHECKING:
    from affect_edge.video_pulse import PulseOfVideo
    from edge_agent.config.camera import Rotation
    from edge_agent.config.settings import Settings
    from edge_agent.face_reading import VideoRow
    from edge_agent.timeline.intake.video import VideoImport
    from edge_agent.timeline.study.past import PastMarker
    from edge_agent.vision.recognizer import Recognizer

_GROUP_ROWS = 10_000  # held in memory until they become a row group: some 5 MB
SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts")
SESSION = ("into_session", "participant", "purpose", "setting", "markers")
"""The options of ``session_options``."""
INTERVAL_S = 1.0
"""Length of a row of the timeline, as the agent's by default."""


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@on_appliance_as_root
@json_option
@click.option(
    "--explain",
    "drawing",
    metavar="OUT.png",
    type=PATH,
    help="Draw the regions of one picture that are evidence for the result. Ends with 1 if there "
    "is no face to draw.",
)
@click.option(
    "--all",
    "name_all",
    is_flag=True,
    help="Name the emotion of faces with a flaw, too (cut off, too small, blurred …).",
)
def classify(
    here: Here, paths: tuple[Path, ...], as_json: bool, drawing: Path | None, name_all: bool
) -> None:
    """Find and read the faces in pictures and folders.

    A face that cannot be read well is listed with its flaw, without an emotion.
    """
    picture = None if drawing is None else picture_to_draw(paths, drawing)
    from edge_agent.agent.building import configured_recognizer, owner_of_models
    from edge_agent.core.owners import become
    from edge_agent.vision.stills import classify_pictures

    become(owner_of_models(here.settings))
    recognizer = configured_recognizer(here.settings)
    if drawing is not None and picture is not None:
        explain(picture, drawing, recognizer, as_json, name_all)
        return
    failed = False
    for line in classify_pictures(paths, recognizer, name_all=name_all):
        failed = failed or "error" in line
        click.echo(json.dumps(line) if as_json else describe_picture(line))
    sys.exit(int(failed))


def picture_to_draw(paths: tuple[Path, ...], drawing: Path) -> Path:
    """Return the one picture to be drawn, after a check that the drawing does not replace it."""
    from edge_agent.vision.drawing import check_place
    from edge_agent.vision.stills import find_pictures

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


def explain(
    picture: Path, drawing: Path, recognizer: Recognizer, as_json: bool, name_all: bool
) -> None:
    """Read one picture as `classify` does, and draw the evidence for the label of each face."""
    from edge_agent.vision.drawing import explain_picture, save_png

    line, drawn = explain_picture(picture, recognizer, name_all=name_all)
    click.echo(json.dumps(line) if as_json else describe_picture(line))
    if drawn is None:
        if "error" not in line:
            click.echo(
                f"affect-edge: {drawing} is not drawn: there is no face to explain.", err=True
            )
        sys.exit(1)
    save_png(drawn, drawing)
    click.echo(drawing, err=as_json)


def describe_picture(line: dict[str, Any]) -> str:
    """Return a line of ``classify --json`` in words."""
    if "error" in line:
        return str(line["error"])
    angle = line.get("field_of_view_deg")
    sees = "" if angle is None else f" (sees {angle:.0f}° from left to right)"
    if not line["faces"]:
        return f"{line['file']}: no face{sees}"
    parts = []
    for face in line["faces"]:
        best = sorted(face["probabilities"].items(), key=lambda item: -item[1])[:2]
        probabilities = ", ".join(f"{name} {probability:.0%}" for name, probability in best)
        x, y, width, height = (round(value) for value in face["box"])
        place = f"at {x},{y} {width}×{height}"
        flaw = str(face["flaw"] or "").replace("_", " ")
        label = "uncertain" if face["uncertain"] else face["emotion"]
        if face["emotion"] is None:
            parts.append(f"not read ({flaw}) {place}")
        elif flaw:
            parts.append(f"{label} ({probabilities}; {flaw}) {place}")
        else:
            parts.append(f"{label} ({probabilities}) {place}")
    return f"{line['file']}: " + "; ".join(parts) + sees


WriteRows = Callable[[Sequence["VideoRow"]], None]
"""Adds rows to an open table."""


@contextmanager
def _csv_table(path: Path) -> Iterator[WriteRows]:
    from edge_agent.face_reading import VideoRow

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column.name for column in fields(VideoRow)])
        yield lambda rows: writer.writerows(map(_cells, rows))


@contextmanager
def _parquet_table(path: Path) -> Iterator[WriteRows]:
    import pyarrow as pa
    from pyarrow import parquet

    schema = _parquet_schema()
    waiting: list[VideoRow] = []
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:

        def write_group() -> None:
            columns = zip(*map(astuple, waiting), strict=True)
            arrays = [
                pa.array(column).cast(field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            waiting.clear()

        def write(rows: Sequence[VideoRow]) -> None:
            waiting.extend(rows)
            if len(waiting) >= _GROUP_ROWS:
                write_group()

        yield write
        if waiting:
            write_group()


def _parquet_schema() -> Any:
    """Return the columns with the types of `VideoRow`; times are in UTC."""
    import pyarrow as pa

    from edge_agent.face_reading import VideoRow

    types = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "str": pa.string()}
    columns = {
        column.name: types[str(column.type).removesuffix(" | None")] for column in fields(VideoRow)
    }
    return pa.schema(columns | {"at": pa.timestamp("ms", tz="UTC")})


def _cells(row: VideoRow) -> list[object]:
    return [round(value, 6) if isinstance(value, float) else value for value in astuple(row)]


TABLES: dict[str, Callable[[Path], AbstractContextManager[WriteRows]]] = {
    "csv": _csv_table,
    "parquet": _parquet_table,
}
"""Format of a table → opens one at a path, and closes it."""


@dataclass(slots=True)
class VideoResult:
    """The result of reading one video.

    Attributes:
        frames: number of frames read.
        faces: number of frames with a face.
        seconds: length of the video.
        took_s: time of reading, seconds.
        damaged: number of frames that could not be decoded.
        missing_s: length that the file claims beyond the frames read, seconds.
        pulse: the pulse in it; ``None``: nobody asked for it.
    """

    frames: int = 0
    faces: int = 0
    seconds: float = 0.0
    took_s: float = 0.0
    damaged: int = 0
    missing_s: float = 0.0
    pulse: PulseOfVideo | None = None


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """Statements of a person about a video.

    Attributes:
        start_ms: when it began, UTC milliseconds; ``None``: its file says it, or nobody does.
        rotate: by how many degrees its frames are turned clockwise.
        pulse: whether to look for the pulse in it.
        again: whether tables that exist are replaced.
    """

    start_ms: int | None = None
    rotate: Rotation = 0
    pulse: bool = False
    again: bool = False

    def start_of(self, video: Path) -> int | None:
        """Return when a video began, UTC milliseconds; ``None``: nobody knows."""
        return _start_of(video) if self.start_ms is None else self.start_ms


def session_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name the session of imported rows; see ``import_of``."""
    for option in (
        click.option(
            "--markers",
            type=PATH,
            metavar="CSV",
            help="Add these markers to the session, as import-markers takes them.",
        ),
        click.option(
            "--setting",
            help="Setting of the new session: home, laboratory, clinic, workplace, education. "
            "Default: other.",
        ),
        click.option("--purpose", metavar="PURPOSE", help="Purpose of the new session."),
        click.option(
            "--participant",
            metavar="CODE",
            help="Add the rows as a new session of this participant.",
        ),
        click.option(
            "--into-session", type=int, metavar="ID", help="Add the rows to this session."
        ),
    ):
        command = option(command)
    return command


@cli.command("analyse-video")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@click.option("--out", type=PATH, help="Folder of the tables; default: beside a video.")
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(TABLES)),
    default="csv",
    show_default=True,
    help="Form of the tables.",
)
@click.option("--again", is_flag=True, help="Read videos again whose table exists already.")
@click.option("--start", metavar="TIME", help="Start of the recording; default: from the file.")
@click.option(
    "--rotate",
    type=click.Choice(["0", "90", "180", "270"]),
    default="0",
    show_default=True,
    help="Turn every frame clockwise, where the camera stood on its side.",
)
@click.option(
    "--pulse",
    is_flag=True,
    help="Look for the pulse of the participant's face, too (experimental): NAME.pulse.csv, or "
    "readings of the session.",
)
@session_options
@common.timezone_option
@common.place_options
@json_option
def analyse_video(
    paths: tuple[Path, ...],
    timezone: str | None,
    config: Path | None,
    data: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Read every frame of recorded videos, and of the videos in folders, into tables.

    NAME.mp4 becomes NAME.faces.csv (or .parquet): a row for each face of each frame, with the time
    at which the frame is shown. An existing table is kept, so the work on a folder can be
    continued. With --into-session or --participant one video becomes part of the timeline instead,
    at the time of its recording: its second-by-second rows can be analysed with the readings of
    that time.
    """
    videos = find_videos(paths)
    start = chosen["start"]
    start_ms = None if start is None else common.instant_ms("--start", start, timezone)
    rotate = cast("Rotation", int(chosen["rotate"]))
    of = VideoOptions(start_ms, rotate, chosen["pulse"], chosen["again"])
    into = {name: chosen[name] for name in SESSION if chosen[name] is not None}
    if into and (len(videos) != 1 or ("into_session" in into) == ("participant" in into)):
        raise click.UsageError(
            "One video goes into one session: give one file, and either --into-session ID or "
            "--participant CODE with --purpose."
        )
    if into:
        (video,) = videos
        here = Here(config, *common.load(config, data))
        say(video, *into_timeline(video, of, timezone, here, into), as_json)
        return
    if start_ms is not None and len(videos) != 1:
        raise click.UsageError("--start is the time of one video; give one file.")
    form = chosen["form"]
    if form == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise click.UsageError(
            "--format parquet needs the library pyarrow, which is not installed. On an appliance: "
            "sudo ./install.sh --with parquet. In a checkout: .venv/bin/pip install -e "
            "'.[parquet]'. With pipx: pipx inject affect-edge pyarrow. Or use --format csv. "
            "Nothing was read."
        )
    settings, _folder = common.read_settings(config, data)
    failed = False
    # All names first, so that a clash is told before hours of reading.
    for table, video in tables_of(videos, chosen["out"], f".faces.{form}").items():
        done = table.exists() and (not of.pulse or pulse_table(video, table).exists())
        if done and not of.again:
            click.echo(f"{video}: {table} exists already; --again reads it again.", err=as_json)
            continue
        try:
            result = write_table(video, table, TABLES[form], settings, of)
        except AffectEdgeError as error:
            failed = True
            click.echo(json.dumps({"file": str(video), "error": str(error)}) if as_json else error)
            continue
        say(video, result, str(table), as_json)
    sys.exit(int(failed))


def find_videos(paths: tuple[Path, ...]) -> list[Path]:
    """Return the files to read: files as given, and all videos in folders, by name."""
    videos: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
        if path.is_dir() and not inside:
            raise click.UsageError(f"{path}: is a folder without videos ({', '.join(SUFFIXES)}).")
        videos += inside or [path]
    return videos


def tables_of(videos: list[Path], out: Path | None, suffix: str) -> dict[Path, Path]:
    """Return each table and its video; two videos of one table are refused."""
    tables: dict[Path, Path] = {}
    for video in videos:
        table = (out or video.parent) / f"{video.stem}{suffix}"
        if table in tables and tables[table] != video:
            raise click.UsageError(
                f"{tables[table]} and {video} would both become {table}. Rename one, or read them "
                "one by one, each with another --out."
            )
        tables[table] = video
    return tables


def write_table(
    video: Path,
    table: Path,
    opened: Callable[[Path], AbstractContextManager[WriteRows]],
    settings: Settings,
    of: VideoOptions,
) -> VideoResult:
    """Read a video into a table, and its pulse into another; each appears when it is complete, or
    not at all.
    """
    from edge_agent.face_reading import video_rows

    result = VideoResult()
    known_ms = of.start_of(video)
    # In the same folder, for a file can only be renamed within one disk.
    partial = table.with_name(f"{table.name}.partial")
    table.parent.mkdir(parents=True, exist_ok=True)
    try:
        with opened(partial) as write:
            for frame in _frames(video, settings, of, result):
                write(video_rows(frame, dated=known_ms is not None))
        # What is there already is kept: only the other one was missing.
        pulse = pulse_table(video, table)
        if result.pulse is not None and (of.again or not pulse.exists()):
            result.pulse.write(pulse, dated=known_ms is not None)
        if of.again or not table.exists():
            partial.replace(table)
    finally:
        partial.unlink(missing_ok=True)
    return result


def pulse_table(video: Path, table: Path) -> Path:
    """Return where the pulse of a video stands: beside the table of its faces."""
    return table.with_name(f"{video.stem}.pulse.csv")


def into_timeline(
    video: Path, of: VideoOptions, timezone: str | None, here: Here, into: dict[str, Any]
) -> tuple[VideoResult, str]:
    """Read a video into the timeline, after checking that everything but its rows is right."""
    database = here.made_database()
    from edge_agent.timeline.intake.video import check_video, store_video
    from edge_agent.timeline.write.recorder import Intervals

    known_ms = of.start_of(video)
    if known_ms is None:
        raise click.UsageError(
            f"{video}: contains no time of recording. Give it with --start, such as "
            "2026-11-20T08:15:00Z."
        )
    rights: dict[str, Any] = {"purposes": here.settings.dashboard.purposes, "actor": ACTOR}
    result = VideoResult()
    # Before the reading, which takes long; the video's true length is known only after it.
    planned = import_of(video, known_ms, _length_of(video), timezone, into, database)
    check_video(database, planned, **rights)
    _tell_short_lived(planned, here.settings.record.keep_days)
    intervals = Intervals(INTERVAL_S)
    rows: list[Any] = []
    for frame in _frames(video, here.settings, of, result):
        rows += intervals.add(frame.recognition)
    rows += intervals.finish()
    if result.pulse is not None:
        rows += result.pulse.rows()
    new = import_of(video, known_ms, result.seconds, timezone, into, database)
    session = store_video(database, new, rows, round(INTERVAL_S * 1000), **rights)
    return result, f"session {session.id}"


def _tell_short_lived(planned: VideoImport, keep_days: int) -> None:
    """Report the part of a video whose rows the next maintenance deletes; ask on a terminal.

    Raises:
        click.Abort: somebody answered no.
    """
    from edge_agent.timeline.upkeep.retention import kept_from_ms, short_lived

    old_ms = min(kept_from_ms(keep_days), planned.end_ms) - planned.start_ms
    length_s = (planned.end_ms - planned.start_ms) / 1000
    seconds = ("seconds of the video", math.ceil(max(old_ms, 0) / 1000), math.ceil(length_s))
    for sentence in short_lived([seconds], keep_days):
        warn([sentence])
        common.agree("Its rows would not stay.")


def say(video: Path, result: VideoResult, place: str, as_json: bool) -> None:
    """Print the result of a video."""
    if as_json:
        message = {"file": str(video), "frames": result.frames, "with_face": result.faces}
        message |= {"seconds": round(result.seconds, 3), "damaged": result.damaged, "in": place}
        message |= {"missing_seconds": round(result.missing_s, 3)}
        if result.pulse is not None:
            message["pulse_readings"] = len(result.pulse.readings)
        click.echo(json.dumps(message))
        return
    damaged = f", {result.damaged} damaged" if result.damaged else ""
    speed = result.seconds / max(result.took_s, 1e-3)
    pulse = "" if result.pulse is None else f", the pulse at {len(result.pulse.readings):,} times"
    click.echo(
        f"{video}: {result.frames:,} frames{damaged}, {result.faces:,} with a face{pulse}; "
        f"{result.seconds:.0f} s of video in {result.took_s:.0f} s ({speed:.1f} times as fast as "
        f"it plays) → {place}"
    )
    if result.missing_s:
        click.echo(
            f"{video}: ends early: {result.missing_s:.0f} s of the "
            f"{result.seconds + result.missing_s:.0f} s that the file says it has cannot be read. "
            "The copy is likely cut off; copy the file again.",
            err=True,
        )


def _frames(
    video: Path, settings: Settings, of: VideoOptions, result: VideoResult
) -> Iterator[Any]:
    """Yield the frames of a video as they are read, and count them."""
    from affect_edge.video_pulse import PulseOfVideo
    from edge_agent.agent.building import configured_recognizer
    from edge_agent.face_reading import VideoReader

    began = clock.boot_seconds()
    shown = 0.0
    lasts = 0.0
    recognizer = configured_recognizer(settings)
    if of.pulse:
        result.pulse = PulseOfVideo()
    listener = None if result.pulse is None else result.pulse.on_frame
    start_ms = of.start_of(video) or 0
    with (
        closing(VideoReader(video, recognizer, start_ms, of.rotate, listener)) as reader,
        click.progressbar(
            reader, length=reader.frames or None, label=video.name, file=sys.stderr
        ) as bar,
    ):
        for frame in bar:
            result.frames += 1
            result.faces += bool(frame.recognition.observations)
            lasts = frame.seconds - shown  # the last frame is shown as long as the one before it
            shown = frame.seconds
            yield frame
        if result.pulse is not None:
            result.pulse.finish()
        result.seconds = shown + lasts
        result.damaged = reader.damaged
        result.missing_s = _missing_seconds(reader.frames, result)
    result.took_s = clock.boot_seconds() - began


def _missing_seconds(promised: int, result: VideoResult) -> float:
    """Return the length of the frames that a file claims but does not contain.

    Some containers only estimate their number: less than a second, or two per cent, is no loss.
    """
    read = result.frames + result.damaged
    if not result.frames or promised <= read * 1.02:
        return 0.0
    seconds = (promised - read) * result.seconds / result.frames
    return seconds if seconds >= 1.0 else 0.0


def _start_of(video: Path) -> int | None:
    """Return the time of recording in a video's file, and print where it comes from."""
    from edge_agent.face_reading import creation_ms

    made_ms = creation_ms(video)
    if made_ms is not None:
        click.echo(
            f"{video}: recorded from {clock.iso_utc(made_ms)} on, as the file says; if that is the "
            "end of the recording or local time, give --start.",
            err=True,
        )
    return made_ms


def _length_of(video: Path) -> float:
    """Return the shortest length of a video according to its file, seconds."""
    from edge_agent.camera.video_files import open_video

    file = open_video(video)
    frames = file.frames
    fps = file.fps
    file.release()
    # A second less than the file claims, as its number of frames is often an estimate: this check
    # must not refuse what fits.
    return max(frames / fps - 1.0, 0.001) if fps > 0 else 0.001


def import_of(
    video: Path,
    start_ms: int,
    seconds: float,
    timezone: str | None,
    into: dict[str, Any],
    database: Path | None = None,
) -> VideoImport:
    """Return the session and time of a video, from the options.

    Args:
        video: the file.
        start_ms: when it began, UTC milliseconds.
        seconds: its length.
        timezone: of times without one.
        into: the options of its session.
        database: its participants and sessions, with which a table of markers is compared.
    """
    from edge_agent.core.study import NewSession, Purpose, SessionSetting
    from edge_agent.timeline.intake.named_people import Owners
    from edge_agent.timeline.intake.video import VideoImport
    from edge_agent.timeline.study.past import PastSession

    end_ms = start_ms + max(round(seconds * 1000), 1)
    session: int | PastSession
    if "participant" in into:
        purpose = named(Purpose, "--purpose", str(into.get("purpose", "")))
        setting = named(SessionSetting, "--setting", into.get("setting", SessionSetting.OTHER))
        about = NewSession(into["participant"], purpose, video.stem, setting)
        session = PastSession(about=about, start_ms=start_ms, end_ms=end_ms)
    else:
        if "setting" in into or "purpose" in into:
            raise click.UsageError("--purpose and --setting are those of a new session.")
        session = into["into_session"]
    markers: tuple[PastMarker, ...] = ()
    if "markers" in into:
        people = Owners(database, has_ends=True)
        new_code = into.get("participant")
        owners = people.at if new_code is None else lambda _: [new_code]
        how = MarkerColumns(common.zone_of(timezone))
        markers = tuple(read_markers(into["markers"], how, people.codes, owners).markers)
    return VideoImport(start_ms, end_ms, session, markers, video.name)

"""The protocol file and its media.

The file is TOML; each mistake is told with key, value, what is allowed, and the line. Pictures,
sounds and videos lie in the folder of the file or below.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from dashboard.protocols.texts import Label, Part, Scale, Text, Texts
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.own_neutral import LEAST_SECONDS
from edge_agent.core.texts import N_, text_of

MEDIA_BYTES = 1024**3
_HEAD = 16
# The first bytes: PNG and JPEG as in their specifications; RIFF and ISO media (ftyp) name their
# kind after four or eight bytes; EBML begins WebM; an MP3 file begins with an ID3 tag or with a
# frame's eleven set bits.
_MP3 = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")
FILE_BYTES = 64 * 1024
MOST_STEPS = 200
ENDING = ".toml"
EXAMPLES = Path(__file__).parent / "examples"
"""The folder of the shipped examples, listed where no other is configured."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class MediaKind(StrEnum):
    """The kind of a media file; also the key of a protocol file that names it."""

    PICTURE = "picture"
    SOUND = "sound"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class _Format:
    """The format of files of one ending: their kind, their type for browsers, and the bytes that
    they hold at an offset.
    """

    kind: MediaKind
    type: str
    magic: tuple[bytes, ...]
    offset: int = 0


_FORMATS = {
    ".png": _Format(MediaKind.PICTURE, "image/png", (b"\x89PNG\r\n\x1a\n",)),
    ".jpg": _Format(MediaKind.PICTURE, "image/jpeg", (b"\xff\xd8\xff",)),
    ".jpeg": _Format(MediaKind.PICTURE, "image/jpeg", (b"\xff\xd8\xff",)),
    ".webp": _Format(MediaKind.PICTURE, "image/webp", (b"WEBP",), 8),
    ".mp3": _Format(MediaKind.SOUND, "audio/mpeg", _MP3),
    ".ogg": _Format(MediaKind.SOUND, "audio/ogg", (b"OggS",)),
    ".wav": _Format(MediaKind.SOUND, "audio/wav", (b"WAVE",), 8),
    ".flac": _Format(MediaKind.SOUND, "audio/flac", (b"fLaC",)),
    ".m4a": _Format(MediaKind.SOUND, "audio/mp4", (b"ftyp",), 4),
    ".mp4": _Format(MediaKind.VIDEO, "video/mp4", (b"ftyp",), 4),
    ".webm": _Format(MediaKind.VIDEO, "video/webm", (b"\x1a\x45\xdf\xa3",)),
}


class MediaError(AffectEdgeError, ValueError):
    """A file of a protocol is not there, or is not what the protocol says."""


def endings(kind: MediaKind) -> str:
    """Return the endings that files of a kind may have, for people."""
    return ", ".join(ending for ending, form in _FORMATS.items() if form.kind is kind)


def media_type(name: str) -> str:
    """Return the type that a browser is told; ``name`` has been checked."""
    return _FORMATS[PurePosixPath(name).suffix.lower()].type


def find_media(folder: Path, name: str) -> Path:
    """Return where a file of a protocol lies.

    Args:
        folder: of the protocol file.
        name: as the protocol names it.

    Raises:
        MediaError: it lies, or a link leads, outside of the folder; the text says so.
    """
    home = folder.resolve()
    # Resolved: a link that leads out of the folder is refused as well.
    place = (home / name).resolve()
    # A backslash parts folders on Windows, where the protocol may have been written.
    if Path(name).is_absolute() or "\\" in name or home not in place.parents:
        raise MediaError(
            N_("it must be in the protocol's folder or a folder below; give its path from there")
        )
    return place


def check_media(folder: Path, name: str, kind: MediaKind) -> None:
    """Make sure that a file is there and is what the protocol says.

    Raises:
        MediaError: it is not; the text says why and what to do.
    """
    form = _FORMATS.get(PurePosixPath(name).suffix.lower())
    if form is None or form.kind is not kind:
        raise MediaError(
            N_("a {kind} is a file that ends in one of: {endings}"),
            kind=kind,
            endings=endings(kind),
        )
    place = find_media(folder, name)
    try:
        if not place.is_file():
            raise MediaError(
                N_("there is no such file in {folder}; put it there, or correct the name"),
                folder=folder,
            )
        size = place.stat().st_size
        with place.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise MediaError(
            N_(
                "the file cannot be read ({strerror}); give the dashboard's user permission to "
                "read it"
            ),
            strerror=error.strerror,
        ) from error
    if size > MEDIA_BYTES:
        raise MediaError(
            N_("the file has {size:,.0f} MiB; {media_bytes:,.0f} MiB are allowed"),
            size=size / 1024**2,
            media_bytes=MEDIA_BYTES / 1024**2,
        )
    if not head.startswith(form.magic, form.offset):
        raise MediaError(
            N_("the file is not {type}, although its name says so; save it in that format"),
            type=form.type,
        )


class ProtocolError(AffectEdgeError):
    """A protocol file cannot be used; the text names key, value, what is allowed, and the line."""

    exit_code = 2


class Order(StrEnum):
    """In which order the stimuli come."""

    GIVEN = "given"
    COUNTERBALANCED = "counterbalanced"


Seconds = Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)]
FileName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


class Baseline(Part):
    """The participant looks neutral.

    Opens a condition, and sets the marker that a neutral face is taken from.
    """

    kind: Literal["baseline"]
    seconds: Seconds = Field(60, description="1 to 3600")
    label: Label = Field("baseline", description="Condition that it opens")
    text: Text | None = Field(None, description="1 to 2000 characters; left out: that of [texts]")


class Stimulus(Part):
    """Something is shown or played; opens the condition ``label``."""

    kind: Literal["stimulus"]
    label: Label = Field(description="Condition that it opens")
    seconds: Seconds | None = Field(
        None, description="1 to 3600; sound and video may leave it out: their length"
    )
    text: Text | None = Field(None, description="1 to 2000 characters")
    picture: FileName | None = Field(
        None, description="Picture file, from the folder of the protocol"
    )
    sound: FileName | None = Field(None, description="Sound file, from the folder of the protocol")
    video: FileName | None = Field(None, description="Video file, from the folder of the protocol")

    @model_validator(mode="after")
    def _one_thing(self) -> Stimulus:
        if (
            sum(given is not None for given in (self.text, self.picture, self.sound, self.video))
            != 1
        ):
            raise ValueError(N_("a stimulus has exactly one of text, picture, sound, video"))
        if self.seconds is None and (self.text or self.picture):
            raise ValueError(N_("a text or a picture needs seconds (1 to 3600)"))
        return self

    @property
    def media(self) -> tuple[MediaKind, str] | None:
        """Kind and name of its file; ``None`` for a text."""
        named = ((kind, getattr(self, kind.value)) for kind in MediaKind)
        return next(((kind, name) for kind, name in named if name is not None), None)


class Rest(Part):
    """Nothing is asked of the participant; no condition is open."""

    kind: Literal["rest"]
    seconds: Seconds = Field(30, description="1 to 3600")
    text: Text | None = Field(None, description="1 to 2000 characters; left out: that of [texts]")


class Pressure(Part):
    """Somebody takes the blood pressure now.

    The condition of the step before stays open for the reading.
    """

    kind: Literal["pressure"]
    seconds: Seconds = Field(60, description="1 to 3600")
    text: Text | None = Field(
        None, description="What the participant reads; left out: that of [texts]"
    )


class Report(Part):
    """The participant says how they felt, one question after the other, in their own time."""

    kind: Literal["report"]
    scales: tuple[Scale, ...] = Field(
        tuple(Scale), min_length=1, description=f"Some of: {', '.join(Scale)}"
    )

    @model_validator(mode="after")
    def _each_once(self) -> Report:
        if len(set(self.scales)) != len(self.scales):
            raise ValueError(N_("scales lists a scale twice; list each once"))
        return self


Step = Baseline | Stimulus | Rest | Pressure | Report


class ProtocolFile(Part):
    """The whole file."""

    title: Label = Field(description="What people call it")
    order: Order = Field(Order.GIVEN, description="given, or counterbalanced over the participants")
    texts: Texts = Field(Texts(), description="what the page says by itself")
    own_neutral: bool | None = Field(
        None,
        description="true or false: whether its baseline calibrates each person's own neutral; "
        "left out: as the session or vision.own_neutral says",
    )
    step: tuple[Annotated[Step, Field(discriminator="kind")], ...] = Field(
        min_length=1, max_length=MOST_STEPS, description="[[step]] tables in order"
    )

    @model_validator(mode="after")
    def _has_a_baseline(self) -> ProtocolFile:
        lengths = [one.seconds for one in self.step if isinstance(one, Baseline)]
        if self.own_neutral and max(lengths, default=0) < LEAST_SECONDS:
            raise ValueError(
                N_(
                    "own_neutral = true needs a step of kind baseline of 10 s or more; add one, or "
                    "take own_neutral away"
                )
            )
        return self


@dataclass(frozen=True, slots=True)
class StudyProtocol:
    """A protocol file that was read and checked.

    Attributes:
        name: of the file, without its ending.
        title: what people call it.
        order: in which order the stimuli come.
        steps: as the file gives them.
        texts: what the participant's page says by itself.
        folder: that media are named from.
        sha256: of the file's bytes, so that a record can say which version was run.
        own_neutral: whether its baseline calibrates each person's own neutral; ``None``: it does
            not say.
    """

    name: str
    title: str
    order: Order
    steps: tuple[Step, ...]
    texts: Texts
    folder: Path
    sha256: str
    own_neutral: bool | None = None


@dataclass(frozen=True, slots=True)
class ListedProtocol:
    """A protocol file of a folder: what it is, or why it cannot be used."""

    name: str
    title: str
    problem: str | None


def load_protocol(path: Path) -> StudyProtocol:
    """Read and check a protocol file and the media that it names.

    Raises:
        ProtocolError: it cannot be used.
    """
    text, digest = _read(path)
    try:
        content = ProtocolFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(
            N_("{path}: is not valid TOML: {error}. Put text values in quotes."),
            path=path,
            error=error,
        ) from error
    except ValidationError as error:
        raise ProtocolError(
            "\n".join(_describe(detail, path, text) for detail in error.errors())
        ) from error
    except RecursionError as error:
        raise ProtocolError(
            N_("{path}: tables are nested too deeply. Write only [[step]] tables."), path=path
        ) from error
    problems = list(_media_problems(content, path, text))
    if problems:
        raise ProtocolError("\n".join(problems))
    return StudyProtocol(
        *(path.stem, content.title, content.order, content.step, content.texts, path.parent),
        digest,
        content.own_neutral,
    )


def find_protocol(folder: Path, name: str) -> StudyProtocol:
    """Read the protocol of a name.

    Args:
        folder: of the protocols.
        name: of a file in it, without its ending.

    Raises:
        ProtocolError: there is none of that name, or it cannot be used.
    """
    # The pattern first: a name with a slash or two dots must never become a path.
    if not _NAME.fullmatch(name) or not (folder / (name + ENDING)).is_file():
        raise ProtocolError(
            N_("There is no protocol {name!r} in {folder}. Choose another."),
            name=name[:64],
            folder=folder,
            field="protocol",
        )
    return load_protocol(folder / (name + ENDING))


def list_protocols(folder: Path) -> list[ListedProtocol]:
    """Return the protocols of a folder in order of their names, those that cannot be used with the
    reason.
    """
    try:
        files = sorted(
            path
            for path in folder.iterdir()
            if path.suffix == ENDING and _NAME.fullmatch(path.stem)
        )
    except OSError as error:
        return [
            ListedProtocol(
                "", "", f"{folder}: the folder of protocols cannot be read ({error.strerror})."
            )
        ]
    return [_list_entry(path) for path in files]


def _list_entry(path: Path) -> ListedProtocol:
    try:
        return ListedProtocol(path.stem, load_protocol(path).title, None)
    except ProtocolError as error:
        return ListedProtocol(path.stem, path.stem, text_of(error))


def _read(path: Path) -> tuple[str, str]:
    """Return text and SHA-256 of a file."""
    try:
        with path.open("rb") as file:
            # One byte more tells that a file is too large, without reading all of it.
            content = file.read(FILE_BYTES + 1)
        if len(content) > FILE_BYTES:
            raise ProtocolError(
                N_("{path}: is larger than {file_bytes} KiB. Shorten its texts."),
                path=path,
                file_bytes=FILE_BYTES // 1024,
            )
        # The hash is of the bytes as they lie there; only the
        # text loses its mark and Windows' breaks.
        return content.decode("utf-8-sig").replace("\r\n", "\n"), hashlib.sha256(
            content
        ).hexdigest()
    except FileNotFoundError as error:
        raise ProtocolError(
            N_("{path}: no such file. Name a protocol file (TOML)."), path=path
        ) from error
    except OSError as error:
        raise ProtocolError(
            N_("{path}: cannot be read ({strerror}). Name a file that this user may read."),
            path=path,
            strerror=error.strerror,
        ) from error
    except UnicodeDecodeError as error:
        raise ProtocolError(
            N_("{path}: is not UTF-8 text (byte {start}). Save it as UTF-8."),
            path=path,
            start=error.start,
        ) from error


def _media_problems(content: ProtocolFile, path: Path, text: str) -> Iterator[str]:
    """Say of each media file what is wrong with it."""
    for number, step in enumerate(content.step):
        if isinstance(step, Stimulus) and step.media is not None:
            kind, name = step.media
            try:
                check_media(path.parent, name, kind)
            except (ValueError, OSError) as error:
                where = _place_in_file(path, text, number, kind)
                yield f"{where}step {number + 1}, {kind} = {name!r}: {error}."


def _describe(detail: ErrorDetails, path: Path, text: str) -> str:
    """Say where an error lies, which key and value it is about, and what is allowed."""
    # pydantic puts the name of a validator into the path of its error.
    parts = [part for part in detail["loc"] if part != "function-after"]
    table: int | str | None = next((part for part in parts if isinstance(part, int)), None)
    if parts[:1] == ["texts"]:
        table = "texts"
    model = _model_of(parts)
    inside = parts if table is None else parts[1:]
    # The path of a step's error holds the kind of the step, too, which is no key.
    names = [part for part in inside if isinstance(part, str) and part not in _MODELS]
    key = names[0] if names else None
    if table is None:
        called = ""
    elif isinstance(table, int):
        called = f"step {table + 1}"
    else:
        called = table
    name = ", ".join(part for part in (called, key or "") if part) or "protocol"
    where = _place_in_file(path, text, table, key)
    if detail["type"] == "extra_forbidden":
        return f"{where}{name}: unknown key. Known here: {', '.join(model.model_fields)}."
    field = model.model_fields.get(key or "")
    if field is not None and field.description:
        allowed = f" ({field.description})"
    else:
        allowed = ""
    if detail["type"] in {"value_error", "missing"} or key is None:
        value = ""
    else:
        value = f" = {_short(detail['input'])}"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{where}{name}{value}: {message[0].lower()}{message[1:]}{allowed}."


_MODELS: dict[str, type[Part]] = {
    get_args(m.model_fields["kind"].annotation)[0]: m for m in get_args(Step)
}


def _model_of(parts: list[Any]) -> type[Part]:
    """Return the table that an error lies in."""
    if parts[:1] == ["texts"]:
        return Texts
    return next(
        (_MODELS[part] for part in parts if isinstance(part, str) and part in _MODELS), ProtocolFile
    )


def _short(value: object) -> str:
    shown = repr(value)
    if len(shown) <= 80:
        return shown
    return shown[:79] + "…"


def _place_in_file(path: Path, text: str, table: int | str | None, key: str | None) -> str:
    line = line_of(text, table, key)
    if line:
        return f"{path}, line {line}: "
    return f"{path}: "


def line_of(text: str, wanted: int | str | None, key: str | None) -> int | None:
    """Return the 1-based line of a key in a table.

    The table's own line stands for a key that is not there.

    Args:
        text: of the file.
        wanted: the table: number of a ``[[step]]`` from 0, name of another one, or ``None``: above
            all tables.
        key: the key.

    Returns:
        ``None`` where neither is found.
    """
    # ``tomllib`` tells no lines of keys, so the text is looked through for them.
    table: int | str | None = None
    steps = -1
    best = None
    for at, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\[?\s*(\w+)\s*\]", line):
            steps += header[1] == "step"
            table = steps if header[1] == "step" else header[1]
            best = at if table == wanted else best
        elif table == wanted and key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return at
    return best

"""The protocol file.

The file is TOML; each mistake is reported with key, value, what is allowed, and the line. Pictures,
sounds and videos lie in the folder of the file or below.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from dashboard.protocols.media import check_media
from dashboard.protocols.steps import STEP_KINDS, Baseline, Following, Step, Stimulus, keys_of
from dashboard.protocols.texts import Label, ProtocolTable, Texts
from edge_agent.core.bounds import ERRORS_SHOWN
from edge_agent.core.brought_values import ValuesError, parse_toml
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.instruments import LONGEST, InstrumentName, instruments_text
from edge_agent.core.own_neutral import LEAST_SECONDS
from edge_agent.core.texts import N_

FILE_BYTES = 64 * 1024
MOST_STEPS = 200
_MODELS: dict[str, type[ProtocolTable]] = {kind.name: kind.model for kind in STEP_KINDS}
ENDING = ".toml"
EXAMPLES = Path(__file__).parent / "examples"
"""The folder of the shipped examples, listed where no other is configured."""


class ProtocolError(AffectEdgeError):
    """A protocol file cannot be used; the text names key, value, what is allowed, and the line."""

    exit_code = 2


class Order(StrEnum):
    """In which order stimuli, or blocks, come."""

    GIVEN = "given"
    COUNTERBALANCED = "counterbalanced"
    RANDOM = "random"


class ProtocolFile(ProtocolTable):
    """The whole file."""

    title: Label = Field(title=N_("Title"), description="What people call it")
    order: Order = Field(
        Order.GIVEN,
        title=N_("Order of the stimuli"),
        description="given, counterbalanced over the participants, or random in each run; stimuli "
        "of a block change places within it",
    )
    blocks: Order = Field(
        Order.GIVEN,
        title=N_("Order of the blocks"),
        description="given, counterbalanced over the participants, or random in each run",
    )
    texts: Texts = Field(Texts(), description="what the page says by itself")
    own_neutral: bool | None = Field(
        None,
        description="true or false: whether its baseline calibrates each person's own neutral; "
        "left out: as the session or vision.own_neutral says",
    )
    instruments: dict[InstrumentName, Label] = Field(
        default_factory=dict,
        description="[instruments]: what sessions with this protocol are measured with, such as "
        "skin_site",
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

    @model_validator(mode="after")
    def _fits_a_session(self) -> ProtocolFile:
        if len(_text_of(self.instruments)) > LONGEST:
            raise ValueError(
                N_("instruments: together they have more than 600 characters; shorten them")
            )
        return self

    @model_validator(mode="after")
    def _behind_stimuli(self) -> ProtocolFile:
        for place, step in enumerate(self.step):
            before = self.step[place - 1] if place else Baseline(kind="baseline")
            behind_one = isinstance(before, Stimulus) or belongs(before)
            if belongs(step) and not (behind_one and before.block == step.block):
                raise ValueError(
                    N_(
                        "with_stimulus = true needs a stimulus before it in the same block, or a "
                        "step that belongs to one; move the step, or take with_stimulus away"
                    )
                )
        return self

    @model_validator(mode="after")
    def _whole_blocks(self) -> ProtocolFile:
        names = [name for name, _ in groupby(self.step, lambda step: step.block) if name]
        if len(set(names)) < len(names):
            raise ValueError(
                N_(
                    "the steps of a block must follow each other without other steps between; "
                    "move them together, or rename the block"
                )
            )
        if self.blocks is not Order.GIVEN and len(names) < 2:
            raise ValueError(
                N_("blocks orders steps that name a block; give two or more steps a block")
            )
        if names and self.order is Order.COUNTERBALANCED:
            raise ValueError(
                N_(
                    'order = "counterbalanced" is for stimuli without blocks; write blocks = '
                    '"counterbalanced", or order = "random"'
                )
            )
        return self


def belongs(step: object) -> bool:
    """Tell whether a step belongs to the stimulus before it."""
    return isinstance(step, Following) and step.with_stimulus


@dataclass(frozen=True, slots=True)
class StudyProtocol:
    """A protocol file that was read and checked.

    Attributes:
        name: of the file, without its ending.
        title: what people call it.
        order: in which order the stimuli come.
        blocks: in which order the blocks come.
        steps: as the file gives them.
        texts: what the participant's page says by itself.
        folder: that media are named from.
        sha256: of the file's bytes, so that a record can say which version was run.
        own_neutral: whether its baseline calibrates each person's own neutral; ``None``: it does
            not say.
        instruments: what its sessions are measured with, as text; empty: it does not say.
    """

    name: str
    title: str
    order: Order
    blocks: Order
    steps: tuple[Step, ...]
    texts: Texts
    folder: Path
    sha256: str
    own_neutral: bool | None = None
    instruments: str = ""

    @property
    def is_random(self) -> bool:
        """True where each run has an order of its own."""
        return Order.RANDOM in {self.order, self.blocks}


def load_protocol(path: Path) -> StudyProtocol:
    """Read and check a protocol file and the media that it names.

    Raises:
        ProtocolError: it cannot be used.
    """
    text, digest = _read(path)
    try:
        content = ProtocolFile.model_validate(parse_toml(text))
    except ValuesError as error:
        raise ProtocolError(
            N_("{path}: is not valid TOML: {error}. Put text values in quotes."),
            path=path,
            error=error,
        ) from error
    except ValidationError as error:
        details = error.errors()
        lines = [_describe(detail, path, text) for detail in details[:ERRORS_SHOWN]]
        if more := details[ERRORS_SHOWN:]:
            lines.append(f"… and {len(more)} more.")
        raise ProtocolError("\n".join(lines)) from error
    problems = list(_media_problems(content, path, text))
    if problems:
        raise ProtocolError("\n".join(problems))
    return StudyProtocol(
        *(path.stem, content.title, content.order, content.blocks),
        *(content.step, content.texts, path.parent, digest),
        content.own_neutral,
        _text_of(content.instruments),
    )


def _text_of(instruments: Mapping[InstrumentName, str]) -> str:
    return instruments_text({name.value: text for name, text in instruments.items()})


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
        return f"{where}{name}: unknown key. Known here: {', '.join(keys_of(model))}."
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


def _model_of(parts: list[Any]) -> type[ProtocolTable]:
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

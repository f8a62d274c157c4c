"""Small files that would fill the memory, and the readers of files that are given them.

``python -m tests.support.bombs READER FOLDER`` gives a reader its bombs, each in a process of its
own whose memory may grow by ``GROWTH``, and prints a line of JSON for each: what became of it.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import struct
import sys
import traceback
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dashboard.device_files import worker
from dashboard.protocols.library import Library
from edge_agent.config.loading import load_settings
from edge_agent.core import bounds
from edge_agent.core.brought_files import tables_in
from edge_agent.core.clock import now
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.given_readings import ArrivalTimes, ReadingOrigin, parse_payload, read_given
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.intake.sent_files import PORTION_BYTES, StudyChoices
from edge_agent.vision.face_tables import FaceChoice, read_face_table
from edge_agent.vitals.csv_files import CsvFile
from edge_agent.vitals.csv_readings import rows_of
from edge_agent.vitals.guessed_columns import guess_map
from edge_agent.vitals.health.xdf.samples import load_libraries
from edge_agent.vitals.passed_over import PassedOver
from edge_agent.vitals.zone_names import local_times

MOST_GROWN = 64 * 2**20
"""Bytes by which a process that serves others may grow while it reads a file."""
GROWTH = 160 * 2**20
"""Of the address space, so that a bomb that goes off ends; it is more than memory."""
HELPER_GROWTH = worker.MEMORY_BYTES
SECONDS = 120
"""Of the processor, so that a bomb that goes off ends; what is refused needs few."""
MOST_WORK = 1_000_000
READ, REFUSED = "read", "refused"

Bombs = Mapping[str, Callable[[], bytes]]


@dataclass(frozen=True)
class Reader:
    """A reader of files of others.

    Attributes:
        read: reads a file in a folder that is empty but for it.
        bombs: what each is called → its bytes.
        growth: bytes by which its memory may grow.
        opens: whether it opens the file by itself.
    """

    read: Callable[[Path], object]
    bombs: Bombs
    growth: int = GROWTH
    opens: bool = False

    @property
    def most_grown(self) -> int:
        """By so many bytes its memory may grow: of a helper by all that it may ask for."""
        return MOST_GROWN if self.growth == GROWTH else self.growth


# ------------------------------------------------------------------- texts

_COLUMNS = b"at,kind,value\n"
_BEATS = b"timestamp,beats per minute\n"
_ROW = b"2026-01-05T08:00:00Z,heart_rate,"
TABLES: Bombs = {
    "blank lines": lambda: b"\n" * 1_300_000,
    "rows of blanks": lambda: _COLUMNS + b",,\n" * 1_100_000,
    "a line without end": lambda: b"x" * 12_000_000,
    "a row without end": lambda: _COLUMNS + b'"' + b'","\n' * 900_000,
    "a row of empty cells": lambda: _COLUMNS + b"1,2,3" + b"," * 1_000_000 + b"\n",
    "rows of empty cells": lambda: _COLUMNS + (b"1,2,3" + b"," * 1_000_000 + b"\n") * 3,
    "a long name": lambda: b"a" * 1_000_000 + b",b\n1,2\n",
    "many columns": lambda: b"a," * 400_000 + b"\n",
    "long lines above": lambda: (b"#" + b"y" * 1_000_000 + b"\n") * 18,
    "a number of many digits": lambda: _COLUMNS + _ROW + b"9" * 99_000,
    "no text": lambda: b"\0" * 15_000_000,
    "a cell without end": lambda: _COLUMNS + b'"' + b"\n" * 900_000,
}
VALUES: Bombs = {
    "levels of lists": lambda: b"[" * 200_000,
    "levels of objects": lambda: b'{"a":' * 150_000 + b"1" + b"}" * 150_000,
    "levels in an object": lambda: b'{"BIDSVersion":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "a number of many digits": lambda: b'{"BIDSVersion":' + b"9" * 4_301 + b"}",
    "a number that no float holds": lambda: b'{"BIDSVersion":' + b"9" * 4_000 + b"}",
    "a long name": lambda: b'{"' + b"a" * 900_000 + b'":1}',
    "blanks": lambda: b" " * 200_000_000,
    "empty lists": lambda: b"[" + b"[]," * 1_200_000 + b"[]]",
    "a text without end": lambda: b'{"a":"' + b"\\u0041" * 4_000_000,
}
_STEP = 'title = "A"\n[[step]]\nkind = "rest"\n'


def _toml(text: str) -> Callable[[], bytes]:
    return text.encode


TOMLS: Bombs = {
    "a key of many parts": _toml("a." * 30_000 + "a = 1"),
    "a quoted key of many parts": _toml('"a" . ' * 10_000 + "a = 1"),
    "a table of many parts": _toml("[" + "a." * 30_000 + "a]"),
    "a list of tables of many parts": _toml("[[" + "a." * 30_000 + "a]]"),
    "many parts within a list": _toml('x = ["""a"""", {' + "a." * 30_000 + "a = 1}]"),
    "a whole number of many digits": _toml("x = " + "9" * 60_000),
    "a hexadecimal number of many digits": _toml(f"{_STEP}seconds = 0x" + "f" * 60_000),
    "levels of lists": _toml("x = " + "[" * 60_000),
    "levels of tables": _toml("x = " + "{a = " * 12_000),
    "many keys": _toml(_STEP + "".join(f"k{n} = 1\n" for n in range(6_000))),
    "many steps": _toml('title = "A"\n' + "[[step]]\n" * 6_000),
    "many tables": _toml("".join(f"[t{n}]\n" for n in range(6_000))),
    "a text without end": _toml('title = """' + '\\"""' * 15_000),
    "a long text": _toml('title = "' + "x" * 60_000 + '"'),
    "blanks": _toml(" " * 50_000_000),
}

# ------------------------------------------------------------------- archives


def packed(contents: Mapping[str, bytes]) -> bytes:
    """Return a zip of files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return target.getvalue()


def long_list(entries: int, wide: bool = False) -> bytes:
    """Return a zip with nothing but a list of files.

    Args:
        entries: how many it has.
        wide: whether its size stands in the record for large archives alone.
    """
    entry = (
        struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", *(20, 0, 20, 0), *(0,) * 7, 1, *(0,) * 6) + b"a"
    )
    listed = entry * entries
    end = b""
    size = len(listed)
    if wide:
        end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, *(entries,) * 2, size, 0)
        end += struct.pack("<4sLQL", b"PK\6\7", 0, size, 1)
        size = 0xFFFFFFFF
    some = min(entries, 0xFFFF)
    # A file stands before the list, as in every archive.
    return (
        b"PK\3\4"
        + bytes(26)
        + listed
        + end
        + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, some, some, size, 0, 0)
    )


def lying(name: str, content: bytes, said: int) -> bytes:
    """Return a zip with one file, whose list says another size."""
    made = packed({name: content})
    return made.replace(struct.pack("<L", len(content)), struct.pack("<L", said))


ARCHIVES: Bombs = {
    "a long list": lambda: long_list(400_000),
    "a long list of a large archive": lambda: long_list(400_000, wide=True),
    "a name of many folders": lambda: packed({"a/" * 30_000 + "session.csv": b"a"}),
    "names of many folders": lambda: packed(
        {f"{n}/" + "a/" * 450 + "session.csv": b"a" for n in range(300)}
    ),
    "a size that is not true": lambda: lying("session.csv", b"session\n" * 90_000, 9),
    "a zip in a zip": lambda: packed({"a.zip": packed({"a.csv": b"\n" * 10_000_000})}),
    "many folders": lambda: packed({f"sub-{n}/sub-{n}_events.tsv": b"" for n in range(9_000)}),
}
_SESSIONS = b"session,participant,purpose,setting,start_at,end_at\n"


_FIRST_MS = 1_700_000_110_000


def _session(number: int) -> bytes:
    start_s = 1_700_000_000 + 100 * number
    return b"%d,P%d,research,home,%d,%d\n" % (number, number, start_s, start_s + 50)


def _study(**tables: bytes) -> bytes:
    sessions = {"session.csv": _SESSIONS + _session(1)}
    return packed(sessions | {f"{name}.csv": text for name, text in tables.items()})


COUNTS: Bombs = {
    "many sessions": lambda: _study(session=_SESSIONS + b"".join(map(_session, range(1, 3_000)))),
    "many people": lambda: _study(
        participant=b"participant\n" + b"".join(b"P%d\n" % n for n in range(3_000))
    ),
    "many readings of one time": lambda: _study(
        vital=b"at,kind,value\n" + b"1700000110,rr_interval,800\n" * 3_000
    ),
    "readings of a few times in turn": lambda: _study(
        vital=b"at,kind,value\n"
        + b"".join(
            b"%d,heart_rate,%d.%03d\n" % (1_700_000_110 + n % 3, 60 + n // 999, n % 999)
            for n in range(3_000)
        )
    ),
    "many tracks": lambda: _study(
        movement=b"at,track,smile\n" + b"".join(b"1700000110,%d,0.5\n" % n for n in range(12_000))
    ),
    "many stretches that are left out": lambda: _study(
        exclusion=b"session,start_ms,end_ms,reason\n"
        + b"".join(b"1,%d,%d,x\n" % (at, at + 1) for at in range(_FIRST_MS, _FIRST_MS + 12_000))
    ),
    "many sources": lambda: _study(
        vital=b"at,kind,value,source\n"
        + b"".join(b"%d,heart_rate,70,s%d\n" % (1_700_000_110, n) for n in range(3_000))
    ),
}
"""Of what is kept until a study is read; each is beyond the steps that a reader has here."""
_DESCRIPTION = b'{"Name": "A", "BIDSVersion": "1.8.0"}'
_SUB = "sub-01/sub-01_task-a"


def dataset(**changed: bytes) -> bytes:
    """Return a BIDS data set as a zip."""
    events = b"onset\tduration\ttrial_type\n0\t1\tanger\n"
    sampled = b'{"SamplingFrequency": 10, "StartTime": 0, "Columns": ["heart_rate"]}'
    contents = {
        "dataset_description.json": changed.get("description", _DESCRIPTION),
        "participants.tsv": changed.get("people", b"participant_id\nsub-01\n"),
        f"{_SUB}_events.tsv": changed.get("events", events),
        f"{_SUB}_physio.json": changed.get("sidecar", sampled),
        f"{_SUB}_physio.tsv.gz": changed.get("physio", gzip.compress(b"61\n" * 100)),
    }
    return packed(contents)


def _gzipped_lines() -> bytes:
    return dataset(physio=gzip.compress(b"\n" * 1_300_000))


def _many_sidecars() -> bytes:
    names = [f"{prefix}physio.json" for prefix in ("", "sub-01_", "task-a_", "sub-01_task-a_")]
    # An entity that no file has: these are of other files, and are looked at for each.
    names += [f"acq-{n}_physio.json" for n in range(300)]
    long = b'{"Columns": "' + b"x" * 900_000 + b'"}'
    made = io.BytesIO(dataset())
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, long)
    return made.getvalue()


def _of_tables(bombs: Bombs, where: Callable[[bytes], bytes], name: str) -> Bombs:
    def changed(make: Callable[[], bytes]) -> Callable[[], bytes]:
        return lambda: where(make())

    return {f"{name}: {what}": changed(make) for what, make in bombs.items()}


def _tabs(text: bytes) -> bytes:
    return text.replace(b",", b"\t").replace(b"at\tkind\tvalue", b"onset\tduration\ttrial_type")


DATA_SETS: Bombs = {
    **_of_tables(VALUES, lambda text: dataset(description=text), "description"),
    **_of_tables(VALUES, lambda text: dataset(sidecar=text), "sidecar"),
    **_of_tables(TABLES, lambda text: dataset(events=_tabs(text)), "events"),
    **_of_tables(TABLES, lambda text: dataset(physio=gzip.compress(_tabs(text), 1)), "physio"),
    "many lines in gzip": _gzipped_lines,
    "many sidecars": _many_sidecars,
    "many people": lambda: dataset(
        people=b"participant_id\n" + b"".join(b"sub-%d\n" % n for n in range(3_000))
    ),
}

# ------------------------------------------------------------------- recordings

_UUID = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")


def _chunk(tag: int, content: bytes, said: int | None = None) -> bytes:
    size = len(content) + 2 if said is None else said
    return b"\x08" + struct.pack("<QH", size, tag) + content


def _xdf(*chunks: bytes) -> Callable[[], bytes]:
    return lambda: b"XDF:" + b"".join(chunks)


def _described(text: bytes) -> bytes:
    return _chunk(2, struct.pack("<L", 1) + text)


RECORDINGS: Bombs = {
    "boundaries alone": _xdf(_UUID * 60_000),
    "boundaries between damage": _xdf((b"\x07" + _UUID) * 60_000),
    "a length that is not true": _xdf(_chunk(3, b"a" * 9, said=2**62)),
    "levels of a description": _xdf(_described(b"<a>" * 200_000)),
    "many elements": lambda: (
        b"XDF:"
        + b"".join(
            _chunk(2, struct.pack("<L", n) + b"<info>" + b"<a/>" * 90_000 + b"</info>")
            for n in range(30)
        )
    ),
    "entities": _xdf(_described(b'<!DOCTYPE a [<!ENTITY b "cc">]><a>&b;</a>')),
    "many streams": lambda: (
        b"XDF:" + b"".join(_chunk(2, struct.pack("<L", n) + b"<info/>") for n in range(20_000))
    ),
    "many chunks": _xdf(_chunk(5, b"") * 900_000),
    "many channels": _xdf(
        _described(
            b"<info><channel_count>999999</channel_count>"
            b"<channel_format>float32</channel_format></info>"
        )
    ),
}


def _read_tables_of_study(path: Path) -> object:
    return _read_study(path, None)


def _read_dataset(path: Path) -> object:
    return _read_study(path, 1_780_000_000_000)


def _read_study(path: Path, first_ms: int | None) -> object:
    database = path.parent / "affect-edge.db"
    commands = Commands(database)
    content = path.read_bytes()
    key = commands.begin_file("study.zip", actor="ada")
    for at in range(0, len(content), PORTION_BYTES):
        commands.add_portion(key, at, content[at : at + PORTION_BYTES], actor="ada")
    stated = StudyChoices(text_version="v1", given_ms=1_600_000_000_000, first_ms=first_ms)
    return commands.preview_study(key, stated, actor="ada")


def _read_tables(path: Path) -> object:
    file = CsvFile.parse("t.csv", path.read_bytes())
    passed_over = PassedOver()
    return list(passed_over.readings_of(rows_of(file, guess_map(file), None)))


def _read_payload(path: Path) -> object:
    return read_given(parse_payload(path.read_bytes()), now(), ReadingOrigin("a"), ArrivalTimes())


def _read_protocol(path: Path) -> object:
    return Library(path.parent / "own").add_upload("a.toml", path, programs=True)


def _read_archived_protocol(path: Path) -> object:
    return Library(path.parent / "own").add_upload("a.zip", path, programs=True)


def _read_experiment(path: Path) -> object:
    library = Library(path.parent / "own")
    name = library.add("a", _STEP)
    return library.add_media(name, "a.zip", path, programs=True)


def _read_archive(path: Path) -> object:
    with tables_in(path) as (tables, _):
        return [table.stat().st_size for table in tables]


def _read_device(name: str) -> Callable[[Path], object]:
    return lambda path: worker.read(name, path.read_bytes(), local_times("UTC"))


def _read_faces(path: Path) -> object:
    return read_face_table(path, FaceChoice()).rows


READERS: Mapping[str, Reader] = {
    "tables of a study": Reader(
        _read_tables_of_study,
        {
            **ARCHIVES,
            **_of_tables(TABLES, lambda text: packed({"session.csv": text}), "session.csv"),
            **COUNTS,
        },
    ),
    "data set": Reader(_read_dataset, DATA_SETS),
    "readings": Reader(_read_tables, TABLES),
    "payload": Reader(_read_payload, VALUES),
    "faces": Reader(_read_faces, TABLES, opens=True),
    "protocol": Reader(_read_protocol, TOMLS, opens=True),
    "archived protocol": Reader(
        _read_archived_protocol,
        {**ARCHIVES, **_of_tables(TOMLS, lambda text: packed({"a.toml": text}), "a.toml")},
        opens=True,
    ),
    "experiment": Reader(_read_experiment, ARCHIVES, opens=True),
    "settings": Reader(load_settings, TOMLS, opens=True),
    "archive": Reader(_read_archive, ARCHIVES, opens=True),
    "recording": Reader(_read_device("a.xdf"), RECORDINGS, HELPER_GROWTH),
    "day of a watch": Reader(_read_device("heart_rate-2026-01-05.json"), VALUES, HELPER_GROWTH),
    "table of a watch": Reader(
        _read_device("heart_rate_2026-01-05.csv"),
        _of_tables(TABLES, lambda text: text.replace(_COLUMNS, _BEATS), "table"),
        HELPER_GROWTH,
    ),
}


def main() -> None:
    """Give a reader its bombs."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    # Steps are counted, not seconds: fewer of them show the same.
    bounds.MOST_WORK = MOST_WORK
    reader = READERS[name]
    migrate(folder / "affect-edge.db")
    if reader.growth == HELPER_GROWTH:  # as the process does before it reads
        load_libraries()
    for what in sys.argv[3:] or reader.bombs:
        path = folder / "bomb"
        path.write_bytes(reader.bombs[what]())
        print(json.dumps([what, *_outcome(reader, path)]), flush=True)


def _outcome(reader: Reader, path: Path) -> tuple[str, str, int]:
    """Return what became of a bomb, what the reader says of it, and by how many bytes its memory
    grew at the most.
    """
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        with os.fdopen(sending, "w") as told:
            json.dump(_given(reader, path), told)
            told.flush()
            os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if not text:
        return f"ended with {status}", "", 0
    outcome, said, grown = json.loads(text)
    return outcome, said, grown


def _given(reader: Reader, path: Path) -> tuple[str, str, int]:
    at_rest = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the most is counted anew
    outcome, said = _read(reader, path)
    # What a reader gets as bytes is the request's, which is bounded where it is received.
    given = 0 if reader.opens else path.stat().st_size
    return outcome, said, max(0, _memory("VmHWM") - at_rest - given)


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def _read(reader: Reader, path: Path) -> tuple[str, str]:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + reader.growth + path.stat().st_size
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        return READ, str(reader.read(path))[:200]
    except AffectEdgeError as error:
        return REFUSED, str(error)[:9000]
    except BaseException as error:  # noqa: BLE001 - told to the test
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        places = " > ".join(f"{Path(one.filename).name}:{one.lineno}" for one in frames)
        return type(error).__name__, f"{str(error)[:200]} at {places}"


if __name__ == "__main__":
    main()

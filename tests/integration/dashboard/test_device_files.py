"""Files of devices, read by a process that may open none."""

from __future__ import annotations

import gzip
from contextlib import nullcontext
from datetime import UTC, datetime
from io import BytesIO
from typing import cast

import pytest

from dashboard.device_files import worker
from dashboard.device_files.packed import PackedBytes
from dashboard.device_files.reader import (
    DeviceFile,
    DeviceFileReader,
    ReaderClosedError,
    TooLargeError,
)
from edge_agent.core.errors import DataFileError
from tests.support.laboratory.xdf import Xdf
from tests.support.vitals.health_exports import apple_export, apple_record, fitbit_day, garmin_day

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
SECONDS = 1_767_600_000  # of START
E4 = f"{SECONDS}.000000\n4.000000\n1.5\nnone\n1.7\n".encode()
SHIMMER = (
    b'"sep=\t"\nS_1_Timestamp_FormattedUnix_CAL\tS_1_GSR_Skin_Conductance_CAL\n'
    b"yyyy/mm/dd hh:mm:ss.000\tuS\n2026/01/05 09:00:00.000\t2.5\n"
)
XDF = (
    Xdf("2026-01-05T09:00:00+0100")
    .stream(1, "Strap", "HeartRate", [("HR", "bpm")], rate=1.0)
    .samples(1, [(100.0 + n, [61.0]) for n in range(30)])
    .content
)
FORMS = {
    "EDA.csv": ("Empatica E4", E4, "skin_conductance", 1.5),
    "session.csv": ("Shimmer", SHIMMER, "skin_conductance", 2.5),
    "heart_rate-2026-01-05.json": (
        "Fitbit",
        fitbit_day(("01/05/26 09:00:00", 61, 2)),
        "heart_rate",
        61.0,
    ),
    "export.xml": (
        "Apple Health",
        apple_export(apple_record("HeartRate", 61, "count/min", "2026-01-05 09:00:00 +0100")),
        "heart_rate",
        61.0,
    ),
    "lab.xdf": ("XDF (Lab Streaming Layer)", XDF, "heart_rate", 61.0),
    "day.fit": ("Garmin (FIT)", garmin_day(START), "heart_rate", 61.0),
}


def recognised(name: str, content: bytes) -> DeviceFile:
    return cast("DeviceFile", DeviceFile.recognise(name, PackedBytes.of(BytesIO(content))))


@pytest.mark.parametrize("name", FORMS)
def test_device_file_of_each_form_is_read_where_nothing_can_be_opened(name: str) -> None:
    form, content, kind, value = FORMS[name]
    file = recognised(name, content)
    assert file.form == form
    table = DeviceFileReader().read(file, "Europe/Berlin").table
    first = next(one for one in table if one.kind == kind)
    assert (first.at.wall_ms, first.value) == (1000 * SECONDS, value)


def test_device_file_that_unpacks_to_more_than_any_is_refused() -> None:
    bomb = gzip.compress(garmin_day(START)[:14] + bytes(65 * 2**20))
    with pytest.raises(DataFileError, match="has more than 64 MiB, which no FIT file has"):
        DeviceFileReader().read(recognised("day.fit.gz", bomb), "")


def test_device_file_without_an_answer_in_time_is_left_to_the_command() -> None:
    with pytest.raises(TooLargeError, match=r"EDA.csv: could not be read in 0 seconds"):
        DeviceFileReader(answer_s=0.001).read(recognised("EDA.csv", E4), "")


def test_device_file_of_a_reader_that_is_closed_is_not_read() -> None:
    reader = DeviceFileReader()
    reader.close()
    with pytest.raises(ReaderClosedError, match="The dashboard is stopping"):
        reader.read(recognised("EDA.csv", E4), "")


def test_device_file_with_too_many_readings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(worker.read("EDA.csv", E4, None).table.rows) == 2
    monkeypatch.setattr(worker, "MOST_READINGS", 1)
    with pytest.raises(DataFileError, match="more than 1 readings"):
        worker.read("EDA.csv", E4, None)


def test_device_file_behind_many_others_is_refused_and_does_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = DeviceFileReader()
    monkeypatch.setattr(reader, "_answer", lambda *_: reader.read(recognised("EDA.csv", E4), ""))
    monkeypatch.setattr(reader, "_turn", nullcontext())
    with pytest.raises(DataFileError, match="4 files of others are read before it"):
        reader.read(recognised("EDA.csv", E4), "")
    monkeypatch.undo()
    assert reader.read(recognised("EDA.csv", E4), "").table.rows

"""Files that people bring in place of a table: each is named, with the way out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core.brought_files import kind_of
from edge_agent.core.errors import DataFileError
from edge_agent.vision.face_tables import FaceChoice, read_face_table
from edge_agent.vitals.csv_files import read_file
from edge_agent.vitals.health.exports import open_export

EDF = b"0       X X X X".ljust(168) + b"02.10.2606.00.00" + b"512     EDF+C".ljust(52)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'<?xml version="1.0"?>\n<TrainingCenterDatabase xmlns="x">', "is a TCX file. Export"),
        (b'<?xml version="1.0"?><!-- a watch -->\n<gpx version="1.1">', "is a GPX file. Export"),
        (b"<!DOCTYPE html><html><title>Sign in", "is a web page, not the file that it offers."),
        (b"<?xml version='1.0'?><sessions>", "is XML. Of XML only Apple Health's export.xml"),
        (b'{"data": {"metrics": []}}', "is JSON. Of JSON only Fitbit's heart_rate-….json is"),
        (b'\xef\xbb\xbf[\n  {"bpm": 61}]', "is JSON."),
        (EDF, "is an EDF recording of signals. Export heart rate or intervals"),
        (b"\xffBIOSEMI", "is a BDF recording of signals."),
        (
            b"Brain Vision Data Exchange Header File Version 1.0\r\n; Data created by the Recorder",
            "is a header or markers of BrainVision. Its signals stand in the file .eeg beside it.",
        ),
        (b"XDF:\x04\x0f", "is an XDF recording of the Lab Streaming Layer. import-vitals takes"),
        (b"Obj\x01\x04\x14avro.codec", "is an Avro file. EmbracePlus keeps raw signals in it;"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel file of an old form. Save it as CSV UTF-8."),
        (b"%PDF-1.7", "is a PDF. Let the app export CSV"),
        (b"{\\rtf1", "is a text with formatting (RTF). Save it"),
        (b"PAR1\x15", "is a Parquet file."),
        (b"\x89HDF\r\n", "is a MATLAB or HDF5 file."),
        (b"\x1f\x8b\x08", "is packed by gzip. Unpack it: gunzip FILE."),
    ],
)
def test_a_file_of_another_kind_is_named_with_the_way_out(
    tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    for read in (read_file, lambda path: read_face_table(path, FaceChoice())):
        with pytest.raises(DataFileError) as refused:
            read(file)
        assert str(refused.value).startswith(f"file.csv: {said}")
        assert str(refused.value).endswith("Nothing was imported.")


def test_a_database_of_an_app_is_named_with_the_command_for_its_table(tmp_path: Path) -> None:
    file = tmp_path / "health_connect_export.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE heart_rate_record_series_table (beats_per_minute INT)")
    with pytest.raises(DataFileError, match="is a SQLite database. Write the table with the readi"):
        read_file(file)


@pytest.mark.parametrize(
    "table",
    [
        b"at,kind,value\n",
        b"[at],hr\n",
        b"{id};puls\n",
        b"0       ,1\n",
        b"\xff\xfea\x00",
        b"",
        b"<5,6",
    ],
)
def test_a_table_is_no_other_kind(table: bytes) -> None:
    assert kind_of(table) is None


def test_apples_export_is_not_refused_as_xml() -> None:
    assert kind_of(b'<?xml version="1.0"?>\n<!DOCTYPE HealthData [\n<!ELEMENT x>') is None
    assert kind_of(b'<?xml version="1.0" encoding="UTF-8"?>\n<HealthData locale="de_DE">') is None


def test_a_folder_of_other_files_says_what_each_kind_is(tmp_path: Path) -> None:
    (tmp_path / "a.tcx").write_bytes(b"<TrainingCenterDatabase>")
    (tmp_path / "b.tcx").write_bytes(b"<TrainingCenterDatabase>")
    (tmp_path / "ring.csv").write_text("timestamp,bpm\n")
    with pytest.raises(DataFileError) as refused, open_export(tmp_path):
        pass
    told = str(refused.value).splitlines()
    assert "none of its 3 files has a known format. Known: Apple Health, Fitbit" in told[0]
    assert told[1].startswith("a.tcx is a TCX file. Export the activity as FIT")
    assert told[2].startswith("ring.csv is a table. Import each table by itself, with --map guess")

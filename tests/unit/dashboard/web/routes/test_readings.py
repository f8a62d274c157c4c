"""The page Readings: by hand and from a file."""

from __future__ import annotations

import html
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from dashboard.web.services import FILE_S, FILES_KEPT, ShortLived
from edge_agent.core.bounds import COLUMNS_MOST, LINE_MOST
from edge_agent.core.clock import now
from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.intake.imports import undo_import
from edge_agent.vitals.csv_files import MAX_FILE_BYTES
from tests.support.clocks.simulated_time import Seconds
from tests.support.dashboard import consenting, log_in_as
from tests.support.timeline import query

CUFF = b"""Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse,Notes
2026-01-05,08:00,121,80,66,tea
2026-01-05,20:00,90,85,,
"""


def stored(folder: Path) -> list[tuple[Any, ...]]:
    return query(
        folder / "affect-edge.db", "SELECT kind, value, source, flags FROM vital ORDER BY at, kind"
    )


def enter(ada: TestClient, **fields: str) -> Any:
    return ada.post("/readings/by-hand", data=fields)


def send(ada: TestClient, content: bytes, name: str = "cuff.csv") -> str:
    answer = ada.post("/readings/import", files={"file": (name, content, "text/csv")})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def test_reading_by_hand_is_stored_with_its_flag(ada: TestClient, tmp_path: Path) -> None:
    at = now().wall_ms - 60_000
    answer = enter(ada, systolic="121", diastolic="80,5", heart_rate=" 66 ", at=str(at))
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/readings?taken=3&there=0&flagged=0",
    )
    assert stored(tmp_path) == [
        ("diastolic", 80.5, "manual:ada", "manual"),
        ("heart_rate", 66.0, "manual:ada", "manual"),
        ("systolic", 121.0, "manual:ada", "manual"),
    ]
    without_scripts = enter(ada, heart_rate="60", at="2026-03-01T08:00")
    assert without_scripts.headers["location"] == "/readings?taken=1&there=0&flagged=0"
    sql = "SELECT at FROM vital WHERE value = 60"
    assert query(tmp_path / "affect-edge.db", sql) == [(1_772_352_000_000,)]
    again = enter(ada, systolic="121", diastolic="80,5", heart_rate="66", at=str(at))
    assert again.headers["location"] == "/readings?taken=0&there=3&flagged=0"
    page = ada.get("/readings?taken=1&there=2&flagged=1").text
    assert "1 reading was saved. 2 were already saved and unchanged. 1 looks unlikely" in page


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({}, "heart_rate", "Enter a heart rate, or both pressures."),
        ({"heart_rate": "fast"}, "heart_rate", "&#39;fast&#39; is not a number."),
        ({"systolic": "120"}, "diastolic", "A cuff measures both pressures: enter this one too."),
        ({"heart_rate": "60", "at": "yesterday"}, "at", "&#39;yesterday&#39; is not a time."),
        ({"heart_rate": "60", "at": "2096-10-02T07:06"}, "at", "This time is in the future."),
        (
            {"heart_rate": "60", "note": "after tea"},
            "note",
            "No session is open, so there is nowhere to save the note.",
        ),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(
    ada: TestClient, tmp_path: Path, fields: dict[str, str], field: str, problem: str
) -> None:
    answer = enter(ada, **{"diastolic": "", **fields})
    assert answer.status_code == 422
    label = "Time" if field == "at" else field.replace("_", " ").capitalize()
    assert f"1 field needs a correction: {label}." in answer.text
    assert re.search(rf'id="{field}-problem">{re.escape(problem)}', answer.text), answer.text
    for value in fields.values():
        assert f'value="{value}"' in answer.text, "what was written is still there"
    assert stored(tmp_path) == []


def test_a_note_goes_to_the_open_session(ada: TestClient, tmp_path: Path) -> None:
    study = consenting(tmp_path / "affect-edge.db", "P-01")
    assert "belong to no session and appear in no week" in ada.get("/readings").text
    session = study.start_session(NewSession("P-01", Purpose.MEDICAL, "ward"))
    assert "belong to the open session ward of P-01" in ada.get("/readings").text
    early = enter(ada, heart_rate="66", at=str(session.start_ms - 60_000), note="tea")
    assert "The time is before the start of the open session" in early.text
    assert enter(ada, heart_rate="66", note="x" * 81).status_code == 422
    assert enter(ada, heart_rate="66", note="after tea").status_code == 303
    assert [(marker.kind, marker.label) for marker in study.markers(session.id)] == [
        ("note", "after tea")
    ]
    assert len(stored(tmp_path)) == 1


def test_readings_page_takes_utc_in_a_column_and_not_the_browsers_zone(ada: TestClient) -> None:
    place = send(ada, b"timestamp_utc,HR\n2026-10-02T06:00:00,71\n").partition("?")[0]
    page = ada.get(place, params={"zone": "Europe/Berlin"}).text
    assert "All of these rows are valid" in page and 'value="Europe/Berlin"' not in page
    chosen = {"dates": "iso", "column_at": "timestamp_utc", "column_heart_rate": "HR"}
    refused = ada.post(place, data={**chosen, "zone": "Europe/Berlin"})
    assert refused.status_code == 422 and "the column names UTC" in refused.text


def test_a_file_is_looked_at_corrected_and_imported(ada: TestClient, tmp_path: Path) -> None:
    place = send(ada, CUFF)
    page = ada.get(place).text
    assert "has no time zone" in page
    chosen = {
        "dates": "iso",
        "zone": "Europe/Berlin",
        "column_at": "Date",
        "column_time": "Time",
        "column_systolic": "Systolic (mmHg)",
        "column_diastolic": "Diastolic (mmHg)",
        "column_heart_rate": "Pulse",
    }
    page = ada.get(place, params=chosen).text
    assert "All of these rows are valid" in page
    assert page.count("out of range") == 2, "90 over 85"
    done = ada.post(place, data=chosen)
    place = done.headers["location"]
    assert (done.status_code, place) == (
        303,
        "/readings?taken=5&there=0&import=1&flagged=2&outside=5&given=5",
    )
    assert "5 of 5 lie in no session; there is none yet." in ada.get(place).text
    assert stored(tmp_path)[1] == ("heart_rate", 66.0, "csv:cuff.csv", "imported")


def test_import_preview_asks_by_column_what_each_is(ada: TestClient, tmp_path: Path) -> None:
    place = send(ada, b"at,Pulse,BP,first,second\n2026-01-05T08:00:00Z,61,121/79,36.5,97\n")
    place = place.partition("?")[0]
    page = ada.get(place).text
    lists = re.findall(r'<select name="(is_\d)"(.*?)</select>', page, re.S)
    picked = {name: re.findall(r'value="([^"]*)" selected', options) for name, options in lists}
    chosen = {name: "".join(values) for name, values in picked.items()}
    both = "systolic diastolic"
    assert list(chosen.values()) == ["at", "heart_rate", both, "", ""]
    assert 'data-label="Values" translate="no">121/79</td>' in page
    given = {"dates": "iso", "zone": "UTC", "unit_2": "mmHg"} | chosen
    given |= {"is_3": "body_temperature", "is_4": "oxygen_saturation"}
    page = ada.get(place, params=given).text
    assert "All of these rows are valid" in page
    twice = html.unescape(ada.get(place, params=given | {"is_4": "heart_rate"}).text)
    assert "Pulse and second both have the meaning heart rate. Choose one, or" in twice
    assert re.search(r'<button class="button" type="submit" disabled>', twice)
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))
    done = ada.post(place, data=hidden).headers["location"]
    assert done.startswith("/readings?taken=5&")
    kinds = ["body_temperature", "diastolic", "heart_rate", "oxygen_saturation", "systolic"]
    assert sorted(kind for kind, *_ in stored(tmp_path)) == kinds


def test_import_preview_offers_columns_of_a_wide_file_a_hundred_at_a_time(ada: TestClient) -> None:
    names = ",".join(f"c{number}" for number in range(250))
    cells = ",".join("7" for _ in range(250))
    place = send(ada, f"at,{names}\n2026-01-05T08:00:00Z,{cells}\n".encode()).partition("?")[0]
    page = ada.get(place).text
    assert 'name="is_100"' in page and 'name="is_101"' not in page
    later = ada.get(f"{place}?from=100").text
    assert 'name="is_101"' in later and 'name="is_1"' not in later and 'name="is_0"' in later
    assert "from=200" in later and "The next columns" not in ada.get(f"{place}?from=200").text


def test_readings_of_another_hour_are_taken(ada: TestClient, tmp_path: Path) -> None:
    study = consenting(tmp_path / "affect-edge.db", "P-01")
    start = study.start_session(NewSession("P-01", Purpose.RESEARCH)).start_ms
    rows = b"".join(f"{start - 1000 * n},heart_rate,70\n".encode() for n in (8, 9, 10))
    place = send(ada, b"at,kind,value\n" + rows)
    done = ada.post(place, data={})
    assert done.headers["location"] == (
        "/readings?taken=3&there=0&import=1&outside=3&given=3&nearest=1&later=8"
    )
    page = ada.get(done.headers["location"]).text
    assert "3 of 3 lie in no session; the nearest is session 1 (P-01), 8 s later." in page
    assert ada.get(place).status_code == 410, "the file is forgotten"
    unknown = ada.get("/readings?taken=3&outside=3&given=3&nearest=7&later=8").text
    assert "3 of 3 lie in no session" in unknown


def test_a_file_with_a_bad_row_stores_nothing_and_names_it(ada: TestClient, tmp_path: Path) -> None:
    rows = b"".join(b"%d,heart_rate,70\n" % (1_790_000_400 - n) for n in range(30))
    place = send(ada, b"at,kind,value\n" + rows + b"1790000400,heart_rate,fast\n")
    assert "All of these rows are valid" in ada.get(place).text, "the bad row lies further down"
    done = ada.post(
        place,
        data={"dates": "iso", "column_at": "at", "column_kind": "kind", "column_value": "value"},
    )
    assert done.status_code == 422
    assert "cuff.csv, row 32, column value: &#39;fast&#39; is not a number." in done.text
    assert stored(tmp_path) == []
    assert ada.get(place).status_code == 200, "and can be looked at again"


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"dates": "iso"}, "no column has the time of the readings"),
        ({"dates": "odd", "column_at": "nowhere", "column_value": "at"}, "no column has the time"),
        (
            {"dates": "iso", "column_at": "at", "zone": "../etc", "column_heart_rate": "value"},
            "is no known",
        ),
    ],
)
def test_a_choice_that_cannot_work_is_explained(
    ada: TestClient, chosen: dict[str, str], problem: str
) -> None:
    place = send(ada, b"at,kind,value\n1790000400,heart_rate,70\n")
    assert problem in ada.get(place, params=chosen).text
    assert ada.post(place, data=chosen).status_code == 422


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "cuff.csv: is empty"),
        (b"Gr\xf6\xdfe\n1\n", "cuff.csv, row 1: is not UTF-8 text"),
        (b'at,"kind\n1,2', "is not CSV"),
        (b"at\n" + b"1" * (MAX_FILE_BYTES + 1), "cuff.csv: is larger than 20 MiB. Split it."),
        (b"," * (LINE_MOST + 1), "cuff.csv, line 1: is longer than 1048576 characters"),
    ],
)
def test_a_file_that_is_no_csv_is_refused(ada: TestClient, content: bytes, problem: str) -> None:
    answer = ada.post("/readings/import", files={"file": ("cuff.csv", content)})
    assert answer.status_code == 422
    assert problem in answer.text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"file=x", "application/x-www-form-urlencoded"),
        (b"odd", "multipart/form-data"),
        (
            b"--x\r\nContent-Disposition: nothing\r\n\r\n\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_a_form_without_a_file_is_refused(ada: TestClient, body: bytes, kind: str) -> None:
    answer = ada.post("/readings/import", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert "Choose" in answer.text


def test_the_preview_of_the_widest_file_is_a_page_that_a_browser_can_show(ada: TestClient) -> None:
    names = b",".join(b"<&\"'%012d" % number for number in range(COLUMNS_MOST))
    place = send(ada, names + b"\n" + b"," * (COLUMNS_MOST - 1) + b"\n")
    page = ada.get(place)
    assert page.status_code == 200 and len(page.content) < 3_000_000


def test_a_file_with_a_name_beyond_that_of_any_disk_is_refused(ada: TestClient) -> None:
    name = "x" * 256
    answer = ada.post("/readings/import", files={"file": (name, b"at,kind,value\n")})
    assert answer.status_code == 422
    assert "has more than 255 characters. Rename it." in answer.text and name not in answer.text


def test_marks_for_no_value_and_unread_columns_are_told_before_and_after(ada: TestClient) -> None:
    columns = "at,SpO2(%),Pulse Rate(bpm),Motion,heart rate of the day"
    place = send(ada, f"{columns}\n1790000400,96,61,3,\n1790000404,255,65535,0,\n".encode())
    page = ada.get(place).text
    for column in ("SpO2(%)", "Pulse Rate(bpm)"):
        assert f"Column {column}: 1 cell of the file contains a sensor’s code for no value" in page
    assert "2 columns are not read: Motion, heart rate of the day" in page
    chosen = {"dates": "iso", "column_at": "at"}
    chosen |= {"column_heart_rate": "Pulse Rate(bpm)", "column_oxygen_saturation": "SpO2(%)"}
    done = ada.post(place, data=chosen).headers["location"]
    assert done.startswith("/readings?taken=2&there=0&import=1&empty=2&outside=2")
    page = ada.get(done).text
    assert "2 cells contained a sensor’s code for no value (such as 255 or --)" in page
    added = re.sub(r"<[^>]+>|\s+", " ", page[page.index("added-title") :])
    assert re.search(r"heart rate +csv:cuff\.csv +1 .* oxygen saturation +csv:cuff\.csv +1", added)


def test_import_page_doubtful_columns_says_which_and_takes_the_chosen_one(ada: TestClient) -> None:
    table = b"# of a monitor\nTime,PR,HR,SpO2\n2026-09-21T14:20:00Z,162,66,0.97\n"
    place = send(ada, table)
    page = ada.get(place).text
    assert "Several columns can be heart rate: PR, HR. Choose one" in page
    assert "cuff.csv: rows above the names of the columns, which are not read: 1." in page
    german = ada.get(place, headers={"accept-language": "de"}).text
    assert "Mehrere Spalten können Herzfrequenz sein: PR, HR. Wählen Sie eine" in german
    chosen = {"dates": "iso", "column_at": "Time", "column_heart_rate": "HR"}
    chosen |= {"column_oxygen_saturation": "SpO2", "unit_oxygen_saturation": "share"}
    page = re.sub(r"<[^>]+>", "", ada.get(place, params=chosen).text)
    assert "heart rate 66 /min" in page and "oxygen saturation 97 %" in page
    assert ada.post(place, data=chosen).headers["location"].startswith("/readings?taken=2&")


def test_a_file_never_touches_the_disk(
    ada: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what a file that is spooled to the disk, from a megabyte on, would need
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    place = send(ada, b"at,kind,value\n" + b"1790000400,heart_rate,70\n" * 50_000)
    assert ada.get(place).status_code == 200
    for file in tmp_path.rglob("*"):
        assert b"1790000400,heart_rate" not in (file.read_bytes() if file.is_file() else b"")


E4 = b"1767600000.000000\n4.000000\n1.5\nlost\n1.7\n"


def test_device_file_is_previewed_imported_and_undone(ada: TestClient, tmp_path: Path) -> None:
    place = send(ada, E4, "P01_EDA.csv")
    page = ada.get(place).text
    assert "A file of Empatica E4" in page and "1.5 – 1.7 µS" in page
    assert "1 row of the file gives no reading" in page
    assert "P01_EDA.csv, row 4: value: &#39;lost&#39; is not a number." in page
    assert stored(tmp_path) == []
    done = ada.post(place.partition("?")[0], data={"zone": ""}).headers["location"]
    assert done == "/readings?taken=2&there=0&import=1&left_out=1&outside=2&given=2"
    kept = ("skin_conductance", 1.5, "e4:P01", "imported")
    assert stored(tmp_path)[0] == kept
    page = ada.get(done).text
    assert "2 readings were saved." in page and "1 row of the file gave no reading." in page
    undo_import(tmp_path / "affect-edge.db", 1, actor="ada")
    assert stored(tmp_path) == []


def test_device_file_of_another_device_is_refused_until_it_has_a_source(
    ada: TestClient, tmp_path: Path
) -> None:
    values = ("2.5\n" * 20, "6.5\n" * 20)
    left, right = (f"1767600000.0\n4.0\n{one}".encode() for one in values)
    place = send(ada, left, "EDA.csv").partition("?")[0]
    assert ada.post(place, data={"zone": ""}).status_code == 303
    place = send(ada, right, "EDA.csv").partition("?")[0]
    refused = ada.post(place, data={"zone": ""})
    assert refused.status_code == 422
    assert "lie between others of the source csv:EDA.csv" in refused.text
    page = ada.get(place, params={"zone": "", "device": "right"}).text
    assert ">right</td>" in page and 'name="device" value="right"' in page
    assert ada.post(place, data={"zone": "", "device": "right"}).status_code == 303
    assert {source for _, _, source, _ in stored(tmp_path)} == {"csv:EDA.csv", "right"}


def test_table_of_two_devices_is_refused_under_one_source(ada: TestClient, tmp_path: Path) -> None:
    rows = [f"2026-01-05T08:00:{n:02}Z,{60 + n % 2 * 30},{'LR'[n % 2]}\n" for n in range(20)]
    table = ("at,HR,Side\n" + "".join(rows)).encode()
    place = send(ada, table).partition("?")[0]
    chosen = {"dates": "iso", "column_at": "at", "column_heart_rate": "HR", "zone": ""}
    refused = ada.post(place, data=chosen)
    assert refused.status_code == 422 and "names 2 devices or arms (L, R)" in refused.text
    chosen["column_source"] = "Side"
    under_one = ada.post(place, data={**chosen, "device": "band"})
    assert under_one.status_code == 422 and "would be one source (band)" in under_one.text
    assert ada.post(place, data=chosen).status_code == 303
    assert {source for _, _, source, _ in stored(tmp_path)} == {"L", "R"}


def test_table_of_a_recording_is_previewed_and_imported_from_its_start(
    ada: TestClient, tmp_path: Path
) -> None:
    text = (
        "P04.acq\n250 msec/sample\n2 channels\nEDA100C\nmicrosiemens\nDigital input\nVolts\n"
        "sec\tCH1\tCH16\n\t3\t3\n0.00\t4.1\t0\n0.25\t4.2\t0\n0.50\t4.3\t0\n"
    )
    place = send(ada, text.encode(), "signals.txt")
    page = ada.get(place).text
    assert "its times count from a start, which it does not tell." in page
    assert 'name="start"' in page
    chosen = {"dates": "iso", "zone": "Europe/Berlin", "start": "2026-01-05 08:00"}
    chosen |= {"column_at": "time since the start", "unit_skin_conductance": "\u00b5S"}
    chosen |= {"column_skin_conductance": "EDA (microsiemens)"}
    page = ada.get(place.partition("?")[0], params=chosen).text
    assert "signals.txt: these columns are read: at: time since the start, skin_conductance" in page
    assert "4.1 \u2013 4.3 \u00b5S" in page
    done = ada.post(place.partition("?")[0], data=chosen).headers["location"]
    assert done.startswith("/readings?taken=3&there=0")
    sql = "SELECT at, value FROM vital ORDER BY at"
    eight_ms = 1_767_596_400_000  # 2026-01-05T07:00:00Z by GNU date
    assert query(tmp_path / "affect-edge.db", sql) == [
        (eight_ms, 4.1),
        (eight_ms + 250, 4.2),
        (eight_ms + 500, 4.3),
    ]


def test_table_with_torn_rows_and_a_day_above_shows_both_before_the_import(
    ada: TestClient, tmp_path: Path
) -> None:
    text = "Date,2026-01-05\n\nTime,SpO2,Pulse\n23:59:58,97,61\n00:00:02,-1,62\n00:00:04,97\n"
    place = send(ada, text.encode(), "night.csv")
    page = html.unescape(ada.get(f"{place.partition('?')[0]}?zone=UTC").text)
    assert 'id="day" name="day"' in page
    assert 'value="2026-01-05"' in page
    assert "2 rows of the file give no reading" in page
    assert "night.csv, row 6: has 2 values, but there are 3 columns." in page
    assert "column SpO2: -1 % cannot be oxygen saturation." in page
    chosen = {"dates": "iso", "zone": "UTC", "day": "2026-01-05", "column_at": "Time"}
    chosen |= {"column_oxygen_saturation": "SpO2", "column_heart_rate": "Pulse"}
    done = ada.post(place.partition("?")[0], data=chosen).headers["location"]
    assert done.startswith("/readings?taken=3&there=0")
    assert "left_out=2" in done
    sql = "SELECT max(at) - min(at) FROM vital"
    assert query(tmp_path / "affect-edge.db", sql) == [(4000,)]


def test_device_file_without_a_reading_says_why_and_stays_a_table(ada: TestClient) -> None:
    place = send(ada, b"Date,Heart rate,Systolic,Diastolic\n05.01.2026 08:00,61,120,80\n", "bp.csv")
    assert "bp.csv: its times have no time zone. Give one" in ada.get(place).text
    page = ada.get(f"{place}UTC")
    assert page.status_code == 422
    assert "bp.csv, row 2: at: &#39;05.01.2026 08:00&#39; is not a time." in page.text
    assert "Import this file" not in page.text
    (other,) = re.findall(r'href="([^"]*as=table[^"]*)"', page.text)
    table = ada.get(html.unescape(other)).text
    assert '<input type="hidden" name="as" value="table">' in table
    assert "All of these rows are valid." in table
    chosen = {"as": "table", "dates": "dmy", "zone": "UTC", "column_at": "Date"}
    chosen |= {"column_systolic": "Systolic", "column_diastolic": "Diastolic"}
    done = ada.post(place.partition("?")[0], data=chosen).headers["location"]
    assert done.startswith("/readings?taken=2&")


def test_device_file_of_a_time_that_a_sensor_may_send_is_not_imported(
    ada: TestClient, tmp_path: Path
) -> None:
    names = "S_1_Timestamp_Unix_CAL,S_1_GSR_Skin_Conductance_CAL"
    place = send(ada, f"{names}\nms,uS\n{now().wall_ms},2.5\n".encode(), "session.csv")
    answer = ada.post(place.partition("?")[0], data={"zone": ""})
    assert answer.status_code == 422
    assert "a sensor may still send a reading of that time" in answer.text
    assert stored(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("e4.zip", b"PK\x03\x04", "sudo affect-edge import-vitals e4.zip<"),
        ("-a b.zip", b"PK\x05\x06", "sudo affect-edge import-vitals &#39;./-a b.zip&#39;<"),
        ("EDA.csv", E4 + b"1.5\n" * (MAX_FILE_BYTES // 4), "affect-edge import-vitals EDA.csv<"),
        ("cuff.xlsx", b"PK\x03\x04 xl/workbook.xml", "cuff.xlsx: is an Excel file."),
    ],
)
def test_file_that_only_the_command_takes_is_shown_with_it(
    ada: TestClient, name: str, content: bytes, told: str
) -> None:
    answer = ada.post("/readings/import", files={"file": (name, content, "text/csv")})
    assert answer.status_code == 422
    assert told in answer.text


def test_files_are_kept_for_a_while_and_only_so_many() -> None:
    clock = Seconds()
    files: ShortLived[str] = ShortLived(clock, FILE_S, FILES_KEPT)
    names = [files.keep(f"file {number}", 1) for number in range(FILES_KEPT + 1)]
    assert [files.of(name) for name in names] == [None, "file 1", "file 2"]
    files.end(names[1])
    assert [files.of(name) for name in names[1:]] == [None, "file 2"]
    clock.now += FILE_S + 1
    assert files.of(names[2]) is None


def test_a_file_is_kept_for_who_sent_it(ada: TestClient) -> None:
    place = send(ada, CUFF)
    other = log_in_as(ada, Role.RESEARCHER)
    assert other.get(place).status_code == other.post(place, data={}).status_code == 410
    assert ada.get(place).status_code == 200


def test_implausible_reading_must_be_confirmed(ada: TestClient, tmp_path: Path) -> None:
    asked = enter(ada, systolic="1280", diastolic="81")
    assert asked.status_code == 422
    assert "Systolic pressure 1280 mmHg is not between 50 and 250." in asked.text
    assert "autofocus><strong>Is this right?" in asked.text, "it is below the fold of a phone"
    swapped = enter(ada, systolic="80", diastolic="120")
    assert (
        "80/120 mmHg: the systolic pressure, which comes first, must be more than 10 mmHg above "
        "the diastolic. Were the two swapped?"
    ) in swapped.text
    assert stored(tmp_path) == []
    confirmed = "systolic=1280 diastolic=81"
    assert f'name="confirmed" value="{confirmed}"' in asked.text
    other = enter(ada, systolic="1290", diastolic="81", confirmed=confirmed)
    assert other.status_code == 422, "another value than the one that was confirmed"
    twice = [
        enter(ada, systolic="1280", diastolic="81", confirmed=confirmed, once="one form")
        for _ in range(2)
    ]
    assert {answer.headers["location"] for answer in twice} == {
        "/readings?taken=2&there=0&flagged=1"
    }
    assert stored(tmp_path) == [
        ("diastolic", 81.0, "manual:ada", "manual"),
        ("systolic", 1280.0, "manual:ada", "manual out_of_range"),
    ]


def test_a_reading_by_hand_is_corrected_and_removed_and_stands_in_audit(
    ada: TestClient, tmp_path: Path
) -> None:
    at = now().wall_ms - 60_000
    enter(ada, systolic="121", diastolic="80", at=str(at))
    key = {"at": str(at), "kind": "systolic", "source": "manual:ada"}

    def correct(value: str, confirmed: str = "") -> Any:
        form = key | {"value": value, "confirmed": confirmed}
        return ada.post("/readings/by-hand/correct", data=form)

    assert "&#39;high&#39; is not a number." in correct("high").text
    doubted = correct("1310")
    assert doubted.status_code == 422 and "is not between 50 and 250" in doubted.text
    assert 'aria-describedby="correction-problem" autofocus>' in doubted.text
    assert stored(tmp_path)[1][1] == 121.0
    assert correct("131,5").headers["location"] == "/readings?changed=corrected#recent-title"
    assert "corrected, was 121" in ada.get("/readings?changed=corrected").text
    assert correct("1310", confirmed="1310").status_code == 303
    removed = ada.post("/readings/by-hand/remove", data=key)
    assert removed.headers["location"] == "/readings?changed=removed#recent-title"
    page = ada.get("/readings?changed=removed").text
    assert "The reading was removed and no longer counts." in page and "removed by ada" in page
    assert ada.post("/readings/by-hand/remove", data=key).status_code == 409
    assert stored(tmp_path) == [("diastolic", 80.0, "manual:ada", "manual")]
    done = query(tmp_path / "affect-edge.db", "SELECT action FROM audit WHERE action LIKE 'read%'")
    assert [row[0] for row in done] == [
        "readings_by_hand", "reading_correct", "reading_correct", "reading_remove",
    ]  # fmt: skip

"""Every maker's format: two devices of a kind stay two sources, or are refused with the way."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.core.errors import AffectEdgeError
from edge_agent.vitals.health.exports import FORMATS
from tests.support.laboratory.xdf import Xdf
from tests.support.timeline import query
from tests.support.vitals.health_exports import (
    UINT8,
    UINT32Z,
    apple_export,
    apple_record,
    fit_file,
    fit_seconds,
    fitbit_day,
)

START_S = 1_767_600_000  # 2026-01-05T08:00:00Z
Files = Mapping[str, str | bytes]
MINUTES = range(1, 9)


def iso(minute: int) -> str:
    return f"2026-01-05 08:0{minute}:00"


def apple(first: int, second: int) -> Files:
    records = [
        apple_record("HeartRate", rate, "count/min", f"{iso(m)} +0000", hardware=f"Watch6,{n}")
        for m in MINUTES
        for n, rate in enumerate((first, second), 1)
    ]
    return {"export.xml": apple_export(*records)}


def fitbit(first: int, second: int) -> Files:
    def day(rate: int) -> bytes:
        return fitbit_day(*((f"01/05/26 08:0{m}:05", rate, 2) for m in MINUTES))

    name = "heart_rate-2026-01-05.json"
    return {f"P01/{name}": day(first), f"P02/{name}": day(second)}


def samsung(first: int, second: int) -> Files:
    head = "com.samsung.shealth.tracker.heart_rate,6305010,4\n"
    head += "start_time,time_offset,heart_rate,deviceuuid\n"
    rows = [
        f"{iso(m)}.000,UTC+0000,{rate},{device}\n"
        for m in MINUTES
        for rate, device in ((first, "aa1"), (second, "bb2"))
    ]
    return {"com.samsung.shealth.tracker.heart_rate.20260105.csv": head + "".join(rows)}


def withings(first: int, second: int) -> Files:
    def series(rate: int) -> str:
        rows = [f"{iso(m).replace(' ', 'T')}+00:00,[60],[{rate}]\n" for m in MINUTES]
        return "start,duration,value\n" + "".join(rows)

    return {"raw_hr_hr.csv": series(first), "raw_bed_hr.csv": series(second)}


def garmin(first: int, second: int) -> Files:
    seconds = fit_seconds(datetime.fromtimestamp(START_S, UTC))

    def day(serial: int, rate: int) -> bytes:
        rates = [(55, {253: (0x86, seconds + 60 * m), 27: (UINT8, rate)}) for m in MINUTES]
        about = {0: (0, 32), 1: (0x84, 1), 2: (0x84, 3113), 3: (UINT32Z, serial)}
        return fit_file((0, about), *rates)

    return {"a.fit": day(111, first), "b.fit": day(222, second)}


def omblepy(first: int, second: int) -> Files:
    def user(rate: int) -> str:
        rows = [f"{iso(m)},80,120,{rate},0,0\n" for m in MINUTES]
        return "datetime,dia,sys,bpm,mov,ihb\n" + "".join(rows)

    return {"user1.csv": user(first), "user2.csv": user(second)}


def e4(first: int, second: int) -> Files:
    def hand(rate: int) -> str:
        return f"{START_S}.0\n1.0\n" + f"{rate}\n" * 20

    return {"left/HR.csv": hand(first), "right/HR.csv": hand(second)}


def embrace(first: int, second: int) -> Files:
    def person(code: str, rate: int) -> str:
        rows = [f"{1000 * (START_S + 60 * m)},x,{code},{rate},\n" for m in MINUTES]
        head = "timestamp_unix,timestamp_iso,participant_full_id,pulse_rate_bpm,"
        return f"{head}missing_value_reason\n" + "".join(rows)

    return {
        "1-1-01_2026-01-05_pulse-rate.csv": person("1-1-01", first),
        "1-1-02_2026-01-05_pulse-rate.csv": person("1-1-02", second),
    }


def emotibit(first: int, second: int) -> Files:
    def side(rate: int) -> str:
        head = "LocalTimestamp,EmotiBitTimestamp,PacketNumber,DataLength,TypeTag,"
        rows = [f"{START_S + n}.5,{n},{n},1,HR,1,100,{rate}\n" for n in range(20)]
        return f"{head}ProtocolVersion,DataReliability,HR\n" + "".join(rows)

    name = "2026-01-05_08-00-00-123456_HR.csv"
    return {f"left/{name}": side(first), f"right/{name}": side(second)}


def shimmer(first: int, second: int) -> Files:
    def device(rate: int) -> str:
        rows = [f"{1000 * (START_S + n)},{rate}\n" for n in range(20)]
        return "Timestamp_Unix_CAL,PPGtoHR_CAL\nms,BPM\n" + "".join(rows)

    return {"left/a.csv": device(first), "right/a.csv": device(second)}


def xdf(first: int, second: int) -> Files:
    def strap(rate: int) -> bytes:
        stream = Xdf().stream(1, "Strap", "HeartRate", [("HR", "bpm")])
        return stream.samples(1, [(100.0 + n, [rate]) for n in range(20)]).content

    return {"left/a.xdf": strap(first), "right/a.xdf": strap(second)}


TWO: Mapping[str, Callable[[int, int], Files]] = {
    "Apple Health": apple,
    "Fitbit": fitbit,
    "Samsung Health": samsung,
    "Withings": withings,
    "Garmin (FIT)": garmin,
    "omblepy": omblepy,
    "Empatica E4": e4,
    "EmbracePlus": embrace,
    "EmotiBit": emotibit,
    "Shimmer": shimmer,
    "XDF (Lab Streaming Layer)": xdf,
}
"""Files of two devices that measured a heart rate at the same time, by format."""
FORMS = [form.name for form in FORMATS]
ONE_SOURCE = {"Fitbit", "XDF (Lab Streaming Layer)"}
"""Their files name neither device nor account; of a stream its name alone."""
FORMER = {form.name: form.former for form in FORMATS if form.former}
"""The one source of both in earlier releases."""


def written(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        raw = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(raw)
    return folder


def run(file: Path, data: Path, *words: str) -> Result:
    arguments = ["import-vitals", str(file), "--data", str(data), "--timezone", "UTC", *words]
    done = CliRunner().invoke(cli, arguments)
    if done.exception and not isinstance(done.exception, AffectEdgeError | SystemExit):
        raise done.exception
    return done


def rates(data: Path) -> dict[str, set[float]]:
    """The heart rates of each source."""
    found: dict[str, set[float]] = {}
    sql = "SELECT source, value FROM vital WHERE kind = 'heart_rate'"
    for source, value in query(data / "affect-edge.db", sql):
        found.setdefault(source, set()).add(value)
    return found


def test_devices_every_format_has_a_pair_and_its_former_name() -> None:
    assert set(FORMS) - set(TWO) == set()
    assert set(FORMS) - set(FORMER) == ONE_SOURCE & set(FORMS)


@pytest.mark.parametrize("form", FORMS)
def test_devices_of_one_kind_stay_two_sources_or_are_refused(form: str, tmp_path: Path) -> None:
    folder, data = written(tmp_path / "export", TWO[form](61, 90)), tmp_path / "data"
    done = run(folder, data)
    if form in ONE_SOURCE:
        assert "two devices, and would be one source" in str(done.exception)
        assert "--source" in str(done.exception)
        return
    assert done.exit_code == 0, done.exception
    assert sorted(map(sorted, rates(data).values())) == [[61.0], [90.0]]
    for source in rates(data):
        assert source in done.output, "the command names the devices"


@pytest.mark.parametrize("form", FORMS)
def test_devices_under_one_given_source_are_refused(form: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "export", TWO[form](61, 90))
    done = run(folder, tmp_path / "data", "--source", "band")
    assert "two devices, and would be one source" in str(done.exception)


@pytest.mark.parametrize("form", FORMER)
@pytest.mark.parametrize("devices", [1, 2])
def test_devices_file_of_an_earlier_release_is_known_again(
    form: str, devices: int, tmp_path: Path
) -> None:
    folder, data = written(tmp_path / "export", TWO[form](61, 90)), tmp_path / "data"
    answer: dict[str, Any] = json.loads(run(folder, data, "--json").stdout)
    # As an earlier release stored them: under one name, of one time a millisecond later.
    with closing(sqlite3.connect(data / "affect-edge.db")) as database, database:
        for later, own in enumerate(sorted(rates(data))[:devices]):
            values = (FORMER[form], later, own)
            database.execute("UPDATE vital SET source = ?, at = at + ? WHERE source = ?", values)
    again = json.loads(run(folder, data, "--json").stdout)
    assert (again["imported"], again["duplicates"]) == (0, answer["imported"])
    assert any("as one source" in remark for remark in again["remarks"]) is (devices == 2)


def test_devices_named_in_a_table_are_asked_for(tmp_path: Path) -> None:
    table = tmp_path / "both.csv"
    rows = [f"2026-01-05T08:00:{n:02}Z,{60 + n % 2 * 30},{'LR'[n % 2]}\n" for n in range(20)]
    table.write_text("when,HR,Side\n" + "".join(rows))
    told = ("--map", "at=when", "--map", "heart_rate=HR")
    done = run(table, tmp_path / "data", *told)
    assert "Column Side names 2 devices or arms (L, R)" in str(done.exception)
    under_one = run(table, tmp_path / "data", *told, "--map", "source=Side", "--source", "band")
    assert "two devices, and would be one source" in str(under_one.exception)
    assert run(table, tmp_path / "data", *told, "--map", "source=Side").exit_code == 0
    assert rates(tmp_path / "data") == {"L": {60.0}, "R": {90.0}}


def test_devices_of_two_files_one_after_the_other_are_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    parts = {
        "left/EDA.csv": f"{START_S}.0\n4.0\n" + "2.5\n" * 40,
        "right/EDA.csv": f"{START_S}.0\n4.0\n" + "6.5\n" * 40,
        # the same band after a pause, and before it: nothing of it is among the others
        "later/EDA.csv": f"{START_S + 3600}.0\n4.0\n" + "2.5\n" * 40,
        "between/EDA.csv": f"{START_S + 1800}.0\n4.0\n" + "2.5\n" * 40,
    }
    folder = written(tmp_path, parts)
    assert run(folder / "left" / "EDA.csv", data).exit_code == 0
    done = run(folder / "right" / "EDA.csv", data)
    assert "lie between others of the source csv:EDA.csv" in str(done.exception)
    assert "--source" in str(done.exception)
    for part in ("later", "between", "left"):
        assert run(folder / part / "EDA.csv", data).exit_code == 0
    assert run(folder / "right" / "EDA.csv", data, "--source", "right").exit_code == 0
    sql = "SELECT source, count(*) FROM vital GROUP BY 1 ORDER BY 1"
    assert query(data / "affect-edge.db", sql) == [("csv:EDA.csv", 120), ("right", 40)]


def test_devices_by_serial_number_may_have_several_files_of_one_time(tmp_path: Path) -> None:
    day = garmin(61, 90)["a.fit"]
    fast = fit_seconds(datetime.fromtimestamp(START_S, UTC))
    about = {0: (0, 32), 1: (0x84, 1), 2: (0x84, 3113), 3: (UINT32Z, 111)}
    rates_of = [(20, {253: (0x86, fast + 61 + n), 3: (UINT8, 70)}) for n in range(100)]
    folder = written(
        tmp_path / "watch", {"day.fit": day, "run.fit": fit_file((0, about), *rates_of)}
    )
    assert run(folder, tmp_path / "data").exit_code == 0
    assert rates(tmp_path / "data") == {"fit:garmin fr945 111": {61.0, 70.0}}

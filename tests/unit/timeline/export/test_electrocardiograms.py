"""Electrocardiograms that were kept, in EDF+ and BIDS: each sample in its place, and the holes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import edfio
import numpy as np
import pytest

from edge_agent.core.electrocardiogram import EcgStretch, pack
from edge_agent.timeline.export import edf
from edge_agent.timeline.export.edf import EDF
from edge_agent.timeline.export.electrocardiograms import Electrocardiogram
from edge_agent.timeline.export.format_register import format_named
from edge_agent.timeline.write.recorder import Recorder
from tests.support.timeline import instant, query, session_row, timeline

HZ = 130
FIRST, SECOND = list(range(1300)), list(range(2000, 3300))
"""Samples of ten seconds each, from 10.0 and 20.001 s on, and another one from 40 s on."""


def stretch(end_s: float, samples: list[int]) -> EcgStretch:
    return EcgStretch(instant(end_s), "ble:strap", len(samples) / HZ, tuple(samples))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    path = timeline(
        folder / "affect-edge.db",
        session=[session_row(0, 60, participant="P01"), session_row(100, 130, participant="P02")],
        vital=[1.0, 110.0],
    )
    recorder = Recorder(path)
    recorder.start()
    for one in (stretch(20, FIRST), stretch(30.001, SECOND), stretch(50, [7] * 1300)):
        recorder.submit(one)
    recorder.stop()
    assert recorder.join(60)
    return path


def test_kept_stretches_are_recorded_in_their_compact_form(path: Path) -> None:
    rows = query(path, "SELECT interval_ms, source, samples, packed FROM ecg ORDER BY at")
    assert rows[0] == (10_000, "ble:strap", 1300, pack(FIRST))
    assert len(rows) == 3


def test_edf_has_the_electrocardiogram_of_a_session_and_says_what_lacks(
    path: Path, tmp_path: Path
) -> None:
    EDF.export(path, tmp_path / "edf")
    file = edfio.read_edf(tmp_path / "edf" / "session-1.edf")
    (signal,) = [one for one in file.signals if one.label == "ECG"]
    assert (signal.sampling_frequency, signal.physical_dimension) == (HZ, "uV")
    values = np.rint(signal.data).astype(int)
    assert values[10 * HZ + 1 : 20 * HZ + 1].tolist() == FIRST
    assert np.abs(values[20 * HZ + 1 : 30 * HZ + 1] - SECOND).max() <= 1
    assert set(values[35 * HZ : 40 * HZ].tolist()) == {0}
    notes = [one for one in file.annotations if one.text == "no value: ECG"]
    assert [round(one.onset) for one in notes] == [0, 30, 50]
    other = edfio.read_edf(tmp_path / "edf" / "session-2.edf")
    assert [one.label for one in other.signals] == ["HR"]


def test_bids_has_the_electrocardiogram_from_the_start_of_the_session(
    path: Path, tmp_path: Path
) -> None:
    format_named("bids").export(path, tmp_path / "bids")
    (file,) = (tmp_path / "bids").rglob("*_recording-ecg_physio.tsv.gz")
    assert "sub-P01" in file.name
    rows = gzip.decompress(file.read_bytes()).decode().split()
    assert rows[10 * HZ + 1 : 10 * HZ + 4] == ["0", "1", "2"]
    assert rows[5] == rows[35 * HZ] == "n/a"
    about = json.loads(Path(str(file).replace(".tsv.gz", ".json")).read_text())
    assert (about["SamplingFrequency"], about["Columns"]) == (HZ, ["cardiac"])
    assert about["cardiac"]["Units"] == "uV"


def test_stretch_that_is_damaged_is_left_out_of_an_export(path: Path, tmp_path: Path) -> None:
    copy = timeline(
        tmp_path / "affect-edge.db",
        session=[session_row(0, 60, participant="P01")],
        vital=[1.0],
        ecg=[
            {"at": 20, "interval_ms": 10_000, "source": "s", "samples": 9, "packed": b"?"},
            {"at": 30, "interval_ms": 1_000, "source": "s", "samples": 2, "packed": pack((5, 5))},
        ],
    )
    EDF.export(copy, tmp_path / "edf")
    file = edfio.read_edf(tmp_path / "edf" / "session-1.edf")
    (signal,) = [one for one in file.signals if one.label == "ECG"]
    assert np.rint(signal.data).max() == 5


def test_sessions_after_each_other_have_their_own_electrocardiograms(tmp_path: Path) -> None:
    at = {10: 1, 40: 2, 2_010: 3, 2_500: 4, 4_005: 5}
    copy = timeline(
        tmp_path / "affect-edge.db",
        session=[
            session_row(start, start + 60, participant="P01") for start in (0, 2_000, 3_000, 4_000)
        ],
        vital=[1.0, 2_001.0, 3_001.0, 4_001.0],
        ecg=[
            {"at": end, "interval_ms": 1_000, "source": "s", "samples": 2, "packed": pack((n, n))}
            for end, n in at.items()
        ],
    )
    EDF.export(copy, tmp_path / "edf")
    seen = {}
    for number in range(1, 5):
        file = edfio.read_edf(tmp_path / "edf" / f"session-{number}.edf")
        values = [np.rint(one.data) for one in file.signals if one.label == "ECG"]
        seen[number] = [set(one.astype(int).tolist()) - {0} for one in values]
    assert seen == {1: [{1, 2}], 2: [{3}], 3: [], 4: [{5}]}


def test_stretch_over_the_edges_of_a_session_is_cut_to_it(tmp_path: Path) -> None:
    packed = pack([*range(1000, 1010), *range(2000, 2010)])
    copy = timeline(
        tmp_path / "affect-edge.db",
        session=[session_row(0, 15, participant="P01"), session_row(15, 30, participant="P02")],
        vital=[1.0, 16.0],
        ecg=[
            {"at": end, "interval_ms": 10_000, "source": "s", "samples": 20, "packed": packed}
            for end in (5, 20, 35)
        ],
    )
    EDF.export(copy, tmp_path / "edf")
    seen = {}
    for number in (1, 2):
        file = edfio.read_edf(tmp_path / "edf" / f"session-{number}.edf")
        (signal,) = [one for one in file.signals if one.label == "ECG"]
        values = np.rint(signal.data).astype(int)
        assert len(values) == 15 * HZ
        seen[number] = [set(values[at * HZ :][:HZ].tolist()) for at in (0, 13)]
    assert seen[1] == seen[2] == [{1009, 2000, 2001}, {1005, 1006, 1007}]
    format_named("bids").export(copy, tmp_path / "bids")
    files = sorted((tmp_path / "bids").rglob("*_recording-ecg_physio.tsv.gz"))
    assert all(len(gzip.decompress(one.read_bytes()).split()) <= 15 * HZ for one in files)


def test_edf_of_a_session_is_written_before_the_next_one_is_read(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: list[bool] = []

    def one_by_one(*_: object) -> Iterator[tuple[int, list[Electrocardiogram]]]:
        for number, at in ((1, 10), (2, 110)):
            one = Electrocardiogram("s")
            one.add(instant(at).wall_ms, instant(at + 1).wall_ms, [1, 2])
            yield number, [one]
            there.append(any(tmp_path.rglob(f"session-{number}.edf")))

    monkeypatch.setattr(edf, "electrocardiograms_of", one_by_one)
    edf.EDF.export(path, tmp_path / "edf")
    assert there == [True, True]

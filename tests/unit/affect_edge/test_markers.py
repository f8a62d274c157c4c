"""Markers from logs of other programs, whose columns are named and whose times may be relative."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core.clock import iso_utc
from tests.support.timeline import START_MS, query
from tests.unit.affect_edge.test_past_study import add_words, at, folder, run, said

__all__ = ["folder"]

PSYCHOPY = (
    "trials.thisN,stimFile,image.started,image.stopped,participant\n"
    ",,,,P1\n"
    "0,anger1.mp4,12.5031,42.5101,P1\n"
    "1,happy1.mp4,60.1,None,P1\n"
).replace("None", "90.1")
OPENSESAME = '"count_trial","time_video","condition"\n"0","12503","anger"\n"1","60100","happy"\n'
BIDS = "onset\tduration\ttrial_type\n12.5\t30\tanger\n60.1\t30\thappiness\n"
ANGER = [(12_503, "stimulus_start", "anger1.mp4"), (42_510, "stimulus_end", "anger1.mp4")]
HAPPY = [(60_100, "stimulus_start", "happy1.mp4"), (90_100, "stimulus_end", "happy1.mp4")]


def epoch(seconds: float) -> str:
    return f"{START_MS / 1000 + seconds:.2f}"


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        (
            PSYCHOPY,
            "--start {start} --map at=image.started --map end=image.stopped --map label=stimFile",
            [*ANGER, *HAPPY],
        ),
        (
            OPENSESAME,
            "--start {start} --unit ms --map at=time_video --map label=condition --kind baseline",
            [(12_503, "baseline", "anger"), (60_100, "baseline", "happy")],
        ),
        (
            BIDS,
            "--start {start} --map at=onset --map duration=duration --map label=trial_type",
            [
                (12_500, "stimulus_start", "anger"),
                (42_500, "stimulus_end", "anger"),
                (60_100, "stimulus_start", "happiness"),
                (90_100, "stimulus_end", "happiness"),
            ],
        ),
        # Empatica's tags.csv
        (
            f"{epoch(12.25)}\n{epoch(42.25)}\n",
            "",
            [(12_250, "note", "log"), (42_250, "note", "log")],
        ),
        (f"{epoch(12.25)}\n", "--kind baseline", [(12_250, "baseline", "log")]),
        # our own columns, as people write them
        (
            "At,Kind,Label\n12.5,Stimulus_Start,anger\n0:42,stimulus end,anger\n",
            "--start {start}",
            [(12_500, "stimulus_start", "anger"), (42_000, "stimulus_end", "anger")],
        ),
        (
            "at;kind;label\n21.09.2026 16:20:10,250;stimulus_start;Ärger\n",
            "--timezone Europe/Berlin --dates dmy",
            [(10_250, "stimulus_start", "Ärger")],
        ),
        ("at,label\n{start},calm\n", "--kind stimulus_start", [(0, "stimulus_start", "calm")]),
        (
            "onset_utc,label\n2026-09-21T14:20:05,calm\n",
            "--kind stimulus_start --map at=onset_utc --map label=label",
            [(5_000, "stimulus_start", "calm")],
        ),
    ],
)
def test_logs_of_other_programs_become_markers(
    folder: Path, text: str, words: str, expected: list[tuple[int, str, str]]
) -> None:
    run(folder, *add_words(0, 100))
    file = folder / "log.csv"
    file.write_text(text.replace("{start}", iso_utc(START_MS)))
    done = said(folder, "import-markers", file, *words.format(start=iso_utc(START_MS)).split())
    assert done["imported"] == len(expected)
    rows = query(folder / "affect-edge.db", "SELECT at, kind, label FROM marker ORDER BY at, id")
    assert [(ms - START_MS, kind, label) for ms, kind, label in rows] == expected
    # a row of another routine has no time
    passed = ["1 row without a time was passed over."] if text == PSYCHOPY else None
    assert done.get("notes") == passed


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("at,kind\n12.5,note\n", "", "counts from a start. Add the time of the start to it"),
        ("at,kind\n12.5,note\n", "", "If it counts from a start, name that with --start."),
        (PSYCHOPY, "", "For a log of another program, name its columns: --map at=COLUMN"),
        (
            PSYCHOPY,
            "--map label=stimFile",
            "no column has the time of the markers: --map at=COLUMN",
        ),
        (PSYCHOPY, "--map at=image.started", "no column has the kind. Name it, or the end or dur"),
        ("From X\nat,kind\n1,note\n", "", "Row 2 names the columns: remove the rows above it."),
        ("at|kind\n1|note\n", "--map at=at --kind note", "found: at|kind. It has one column"),
        ("\n\nDatum;Wert\n1;2\n", "", "log.csv, row 3: column at is missing. Columns found: Datum"),
        (
            "At,Kind,Farbe\n1,note,x\n",
            "",
            "log.csv, row 1: column 'Farbe' is unknown, or occurs tw",
        ),
        (f"At,Kind\n{at(5)},smile\n", "", "row 2, column Kind: 'smile' is not one of"),
        (PSYCHOPY, "--map at=start", "there is no column 'start'. Columns found: trials.thisN"),
        (PSYCHOPY, "--map when=stimFile", "'when' is no target of a column. Possible: at, kind"),
        (
            "at,end\n12.5,12.5\n",
            "--start 2026-09-21T14:20:00Z --map at=at --map end=end",
            "log.csv, row 2, column end: '12.5' is not after the start 12.5.",
        ),
        # a spreadsheet showed minutes only, and saved what it showed
        (
            "at,kind,label\n2026-09-21 14:21,stimulus_start,a\n2026-09-21 14:21,stimulus_end,a\n",
            "--timezone UTC",
            "are both at 2026-09-21 14:21: no time of the file has seconds, which a spreadsheet dr",
        ),
        (
            "at,kind,label\n2026-09-21 14:21,stimulus_start,a\n2026-09-21 14:21,stimulus_start,b\n",
            "--timezone UTC",
            "no time of the file has seconds",
        ),
        (
            f"at,kind,label\n{at(5)},stimulus_start,a\n{at(5)},stimulus_end,\n",
            "",
            "the condition lasts no time. Correct one of them. Nothing was imported.",
        ),
        (
            "t,what\n12500,anger\n60100,calm\n",
            "--start 2026-09-21T14:20:00Z --map at=t --map label=what --kind baseline",
            "its times count from --start to second 60100, where no session is; as milliseconds ",
        ),
    ],
)
def test_a_log_that_cannot_be_read_so_is_refused_with_the_way_out(
    folder: Path, text: str, words: str, said: str
) -> None:
    run(folder, *add_words(0, 100))
    file = folder / "log.csv"
    file.write_text(text)
    done = run(folder, "import-markers", file, *words.split())
    assert said in str(done.exception)
    assert query(folder / "affect-edge.db", "SELECT count(*) FROM marker") == [(0,)]


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("2026-09-21_14h20.00.250", "--timezone UTC"),  # PsychoPy: date
        ("2026-09-21 16h20.00.250000 +0200", ""),  # PsychoPy: expStart
        ("09/21/26 14:20:00.250", "--timezone UTC --dates mdy"),  # OpenSesame: datetime
    ],
)
def test_start_as_the_program_wrote_it_is_taken(folder: Path, start: str, words: str) -> None:
    run(folder, *add_words(0, 100))
    file = folder / "log.csv"
    file.write_text("at,kind\n5,baseline\n")
    refused = run(folder, "import-markers", file, "--start", "21.09.26 14:20")
    assert refused.exit_code == 2 and "--start" in refused.output
    assert "such as 2026-10-02T06:00:00.123+02:00" in " ".join(refused.output.split())
    said(folder, "import-markers", file, "--start", start, *words.split())
    assert query(folder / "affect-edge.db", "SELECT at FROM marker") == [(START_MS + 5250,)]


def test_markers_of_whole_minutes_are_taken_with_a_word(folder: Path) -> None:
    run(folder, *add_words(0, 200))
    file = folder / "log.csv"
    rows = ("14:21,stimulus_start,a", "14:22,stimulus_end,a", "14:22,stimulus_start,b")
    file.write_text("at,kind,label\n" + "".join(f"2026-09-21 {row}\n" for row in rows))
    done = run(folder, "import-markers", file, "--timezone", "UTC")
    assert done.stdout == (
        "3 markers imported\n"
        "No time of the file has seconds: each marker may be up to a minute late.\n"
    )


def test_markers_zone_that_contradicts_the_name_of_a_column_is_refused(folder: Path) -> None:
    file = folder / "log.csv"
    file.write_text("onset_utc\n2026-09-21T14:20:05\n")
    words = ("--kind", "note", "--map", "at=onset_utc", "--timezone", "Europe/Berlin")
    done = run(folder, "import-markers", file, *words)
    assert done.exit_code == 2
    assert "--timezone Europe/Berlin: the name of the column (onset_utc) tells UTC." in done.output

"""Experiments: what a ZIP file must be, what is served of it, and what is stored of its trials."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from dashboard.protocols import experiments
from dashboard.protocols.experiments import (
    ExperimentError,
    check_contents,
    check_experiment,
    file_type,
    key_of,
    notices_of,
    read_file,
)
from dashboard.protocols.file import ProtocolError, load_protocol
from dashboard.protocols.library import Library
from dashboard.protocols.media import MediaKind
from dashboard.protocols.state import FrameReport, FromExperiment, ProtocolState
from dashboard.protocols.steps import Screen, ScreenKind
from edge_agent.core.errors import StudyError
from tests.support.timeline import instant

STEP = '[[step]]\nkind = "stimulus"\nlabel = "task"\nexperiment = "task.zip"\n'
PROTOCOL = f'title = "Task"\n{STEP}'


def packed(files: Mapping[str | zipfile.ZipInfo, bytes]) -> bytes:
    """Return a ZIP file."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return whole.getvalue()


TASK = packed({"task/index.html": b"<p>", "task/img/a.png": b"PNG", "__MACOSX/index.html": b""})


def _link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("a.js")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.js": b""}, "needs one file index.html"),
        ({"a/index.html": b"", "b/index.html": b""}, "and has 2"),
        ({"index.html": b"", "../a.js": b""}, "leads out of its folder"),
        ({"index.html": b"", "/etc/a.js": b""}, "leads out of its folder"),
        ({"index.html": b"", _link(): b"/etc/passwd"}, "leads out of its folder"),
        ({"index.html": b"", "bomb.js": bytes(201 * 1024)}, "are allowed"),
        ({"index.html": b""} | {f"{n}.js": b"" for n in range(9)}, "are allowed"),
    ],
)
def test_zip_file_that_is_no_experiment_is_refused(
    files: Mapping[str | zipfile.ZipInfo, bytes],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(experiments, "MOST_BYTES", 200 * 1024)
    monkeypatch.setattr(experiments, "MOST_FILES", 8)
    (tmp_path / "task.zip").write_bytes(packed(files))
    with pytest.raises(ExperimentError, match=said):
        check_experiment(tmp_path / "task.zip")
    (tmp_path / "p.toml").write_text(PROTOCOL, encoding="utf-8")
    with pytest.raises(ProtocolError, match=r"line 5: step 1, experiment = 'task\.zip': .*" + said):
        load_protocol(tmp_path / "p.toml")


def test_damaged_or_locked_zip_file_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "task.zip"
    place.write_bytes(TASK[:60])
    with pytest.raises(ExperimentError, match="cannot be unpacked"):
        check_experiment(place)
    locked = bytearray(TASK)
    locked[TASK.index(b"PK\x01\x02") + 8] |= 1  # the flag of a password, in the list of files
    place.write_bytes(locked)
    with pytest.raises(ExperimentError, match="has a password"):
        check_experiment(place)


def test_zip_file_with_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "task.zip"
    place.write_bytes(packed({"index.html": b"", "ä.js": b""}).replace("ä".encode(), b"\xff\xff"))
    with pytest.raises(ExperimentError, match="cannot be unpacked"):
        check_experiment(place)
    with pytest.raises(ProtocolError, match="cannot be unpacked"):
        Library(tmp_path / "own", tmp_path).add_upload("p.zip", place)


def test_damaged_file_in_a_zip_file_ends_with_a_sentence(tmp_path: Path) -> None:
    place = tmp_path / "task.zip"
    sound = packed({"index.html": b"<p>" * 99})
    begin = sound.index(b"index.html") + len("index.html")
    place.write_bytes(sound[:begin] + b"\xff\xff" + sound[begin + 2 :])
    with pytest.raises(ExperimentError, match="cannot be unpacked"):
        b"".join(read_file(place, "index.html")[1])


def _damaged(files: Mapping[str | zipfile.ZipInfo, bytes], name: str) -> bytes:
    """Return a ZIP file in which the content of one file is damaged."""
    sound = packed(files)
    begin = sound.index(name.encode()) + len(name)
    return sound[:begin] + b"\xff\xff" + sound[begin + 2 :]


def test_experiment_with_a_damaged_file_is_refused_when_it_is_brought(tmp_path: Path) -> None:
    library = Library(tmp_path / "own", tmp_path)
    bad = _damaged({"index.html": b"<p>", "a/far.png": b"PNG" * 99}, "a/far.png")
    sent = tmp_path / "sent"
    sent.write_bytes(packed({"p.toml": PROTOCOL.encode(), "task.zip": bad}))
    with pytest.raises(ProtocolError, match=r"task\.zip: 'a/far\.png' in it cannot be unpacked"):
        library.add_upload("p.zip", sent, programs=True)
    assert list((tmp_path / "own").iterdir()) == []
    sent.write_bytes(packed({"p.toml": PROTOCOL.encode(), "task.zip": TASK}))
    assert library.add_upload("p.zip", sent, programs=True) == "p"
    sent.write_bytes(bad)
    with pytest.raises(ProtocolError, match=r"b\.zip: 'a/far\.png' in it cannot be unpacked"):
        library.add_media("p", "b.zip", sent, programs=True)
    assert library.media_of("p") == ["task.zip"]


def test_zip_file_that_a_protocol_does_not_name_is_passed_over(tmp_path: Path) -> None:
    library = Library(tmp_path / "own", tmp_path)
    sent = tmp_path / "sent"
    sent.write_bytes(
        packed({"p.toml": PROTOCOL.encode(), "task.zip": TASK, "raw.zip": b"no ZIP file"})
    )
    assert library.add_upload("p.zip", sent, programs=True) == "p"
    assert library.media_of("p") == ["task.zip"]


@pytest.mark.parametrize(
    ("size", "said"), [(50, "in it cannot be unpacked"), (6000, "has 5,000 bytes and says 6,000")]
)
def test_zip_file_whose_sizes_are_wrong_is_refused(tmp_path: Path, size: int, said: str) -> None:
    place = tmp_path / "task.zip"
    sound = packed({"index.html": bytes(5000)})
    place.write_bytes(sound.replace((5000).to_bytes(4, "little"), size.to_bytes(4, "little")))
    check_experiment(place)
    with pytest.raises(ExperimentError, match=rf"'index\.html' {said}|in it {said}"):
        check_contents(place)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_files_of_which_a_piece_unpacks_to_any_size_are_refused(
    tmp_path: Path, method: int
) -> None:
    place = tmp_path / "task.zip"
    with zipfile.ZipFile(place, "w", method) as archive:
        archive.writestr("index.html", b"<p>")
        archive.writestr("p.toml", PROTOCOL)
        archive.writestr("a.png", b"PNG")
    with pytest.raises(ExperimentError, match=r"'index\.html' in it is packed in a rare way"):
        check_contents(place)
    with pytest.raises(ProtocolError, match=r"t\.zip: 'p\.toml' in it is packed in a rare way"):
        Library(tmp_path / "own", tmp_path).add_upload("t.zip", place)


TWICE = packed({"index.html": b"a", "index.htmm": b"b"}).replace(b"htmm", b"html")


def test_zip_file_with_two_files_of_one_name_is_refused_when_it_is_brought(tmp_path: Path) -> None:
    place = tmp_path / "task.zip"
    place.write_bytes(TWICE)
    with pytest.raises(ExperimentError, match=r"'index\.html' is in it twice"):
        check_contents(place)
    place.write_bytes(packed({"p.toml": b"title = 1", "p.tomm": b""}).replace(b"tomm", b"toml"))
    with pytest.raises(ProtocolError, match=r"t\.zip: 'p\.toml' is in it twice"):
        Library(tmp_path / "own", tmp_path).add_upload("t.zip", place)


def test_zip_file_with_two_files_of_one_name_from_before_is_shown(tmp_path: Path) -> None:
    library = Library(tmp_path / "own", tmp_path)
    folder = library.own / "task"
    folder.mkdir(parents=True)
    (folder / "task.toml").write_text(PROTOCOL)
    (folder / "task.zip").write_bytes(TWICE)
    (folder / "other.zip").write_bytes(TASK)
    assert library.find("task").title == "Task"
    _, pieces = read_file(folder / "task.zip", "index.html")
    assert b"".join(pieces) == b"b", "the last one, as programs that unpack do"
    assert library.names_twice("task") == {"task.zip": "index.html"}


def test_file_is_read_from_beside_the_page_and_from_nowhere_else(tmp_path: Path) -> None:
    place = tmp_path / "task.zip"
    place.write_bytes(TASK)
    size, pieces = read_file(place, "img/a.png")
    assert (size, b"".join(pieces)) == (3, b"PNG")
    for name in ("a.png", "../index.html", "/index.html", "img/", ""):
        with pytest.raises(ExperimentError, match="no file"):
            read_file(place, name)
    assert file_type("a.JS").startswith("text/javascript")
    assert file_type("a.exe") == "application/octet-stream"


LOADS = """<!doctype html>
<script src="js/jspsych.js?v=8"></script><script src=affect-edge.js></script>
<link rel='stylesheet' href="https://cdn.example/a.css"><img src="/static/icon.svg">
<img src='//cdn.example/b.png'> <IMG SRC="data:image/png;base64,AA">
<a href="https://example/">a</a><link rel="canonical" href="https://example/">
<audio src="tone&amp;1.wav"></audio> <!-- <script src="https://cdn.example/old.js"></script> -->
<script>document.body.innerHTML = '<img src="' + name + '">';</script>
<script src="js/../js/plugin.js"></script><video src="../far.mp4"></video>"""


def test_page_that_names_what_does_not_load_is_reported(tmp_path: Path) -> None:
    place = tmp_path / "task.zip"
    place.write_bytes(
        packed(
            {
                "task/index.html": LOADS.encode(),
                "task/js/jspsych.js": b"",
                "task/js/plugin.js": b"",
                "far.mp4": b"",
            }
        )
    )
    named = [(one.values["address"], "other addresses" in one) for one in notices_of(place)]
    assert named == [
        ("https://cdn.example/a.css", True),
        ("/static/icon.svg", True),
        ("//cdn.example/b.png", True),
        ("tone&1.wav", False),
        ("../far.mp4", False),
    ]


@pytest.mark.parametrize("one", ["<script", "<!--", "<img ", "<img src=", "<img src='", "</script"])
def test_page_of_repeated_beginnings_is_looked_through(tmp_path: Path, one: str) -> None:
    place = tmp_path / "task.zip"
    place.write_bytes(packed({"index.html": one.encode() * 40_000}))
    assert len(notices_of(place)) <= 5


def test_key_follows_from_the_token_and_does_not_tell_it() -> None:
    assert key_of("one") == key_of("one") != key_of("two")
    assert "one" not in key_of("one")


def test_library_takes_an_experiment_from_an_administrator_alone(tmp_path: Path) -> None:
    library = Library(tmp_path / "own", tmp_path)
    sent = tmp_path / "sent"
    sent.write_bytes(packed({"p.toml": PROTOCOL.encode(), "task.zip": TASK}))
    with pytest.raises(ProtocolError, match=r"task\.zip: an experiment is a program"):
        library.add_upload("p.zip", sent)
    assert library.add_upload("p.zip", sent, programs=True) == "p"
    unnamed = PROTOCOL.replace(STEP, '[[step]]\nkind = "rest"\n')
    sent.write_bytes(packed({"q.toml": unnamed.encode(), "task.zip": TASK}))
    assert library.add_upload("q.zip", sent) == "q"
    assert library.media_of("q") == []
    sent.write_bytes(TASK)
    with pytest.raises(ProtocolError, match=r"b\.zip: an experiment is a program"):
        library.add_media("p", "b.zip", sent)
    assert library.add_media("p", "b.zip", sent, programs=True) == "b.zip"
    assert library.copy("p") == "p-2"
    assert library.media_of("p-2", MediaKind.EXPERIMENT) == ["task.zip"]


LATE = "protocol: Not stored, or not whole: marker"


def _running(**values: object) -> ProtocolState:
    fields = {"label": "task", "condition": "task", "opens": True, "step": 3} | values
    screen = Screen(ScreenKind.STIMULUS, None, media=MediaKind.EXPERIMENT, file="t.zip", **fields)  # type: ignore[arg-type]
    state = ProtocolState((screen, Screen(ScreenKind.REST, 9)), instant(0), turns=4)
    state.set_ready(instant(0))
    state.go(instant(10))
    return state


def test_trial_of_an_experiment_is_stored_value_by_value() -> None:
    state = _running()
    at_ms = instant(12).boot_ms
    values = {"rt": "431.5", "response": None, "stimulus": "a\nb"}
    state.note_experiment(FromExperiment(0, at_ms, "go"), instant(13))
    state.note_experiment(FromExperiment(0, at_ms, "", "4 html", 900, values), instant(13))
    state.note_experiment(FromExperiment(1, at_ms, "late"), instant(13))
    state.media_ended(0, instant(15))
    *values_of_trial, screen = state.pending.trials
    assert [(one.question, one.value, one.wording) for one in values_of_trial] == [
        ("rt", "431.5", "4 html"),
        ("response", None, "4 html"),
        ("stimulus", "a b", "4 html"),
    ]
    (same,) = {(one.at, one.turn, one.step, one.kind, one.condition) for one in values_of_trial}
    assert same == (instant(12), 5, 3, "experiment", "task")
    assert (screen.kind, screen.turn, screen.stood_ms) == ("stimulus", 5, 5000)
    labels = [one.label for one in state.pending.markers]
    assert labels == ["protocol: begins", "task", "experiment: go", LATE, "task"]
    assert state.answers == 1


def test_times_of_an_experiment_stay_within_its_screen() -> None:
    state = _running()
    for at_ms in (0.0, 1e15, None):
        state.note_experiment(FromExperiment(0, at_ms, "go"), instant(13))
    times = [one.at for one in state.pending.markers if one.label == "experiment: go"]
    assert times == [instant(10), instant(13), instant(13)]


def test_values_that_are_not_stored_are_reported_once() -> None:
    state = _running()
    state.pending.markers.clear()
    for at in (13, 14):
        state.note_experiment(
            FromExperiment(0, None, "", "0", 1, {"rt": "1"}, ["shape", "far"]), instant(at)
        )
    state.note_experiment(FromExperiment(0, None, "x" * 80), instant(14))
    state.note_experiment(
        FromExperiment(0, None, trouble="img-src: https://a.example/"), instant(14)
    )
    assert [str(one) for one in state.reports] == [
        "Not stored, or not whole: shape",
        "Not stored, or not whole: far",
        "Not stored, or not whole: marker",
        "Refused or failed: img-src: https://a.example/",
    ]
    notes = [one.label for one in state.pending.markers if one.label.startswith("protocol: ")]
    assert notes == [f"protocol: {one}" for one in state.reports]
    assert [one.question for one in state.pending.trials] == ["rt", "rt"]


def test_trial_that_comes_after_its_step_is_reported() -> None:
    state = _running()
    state.media_ended(0, instant(14))
    state.note_experiment(FromExperiment(0, None, "", "0", 1, {"rt": "1"}), instant(15))
    assert [str(one) for one in state.reports] == ["Not stored, or not whole: rt"]
    assert [one.question for one in state.pending.trials] == [""]
    state.end(instant(16), "by hand")
    written = len(state.pending.markers)
    state.note_experiment(FromExperiment(0, None, "", "0", 1, {"far": "1"}), instant(17))
    assert len(state.pending.markers) == written


def test_reports_of_an_experiment_are_few() -> None:
    state = _running()
    for n in range(9):
        lost = [f"a{n}_{m}" for m in range(100)]
        state.note_experiment(FromExperiment(0, lost=lost), instant(13))
    assert len(state.reports) == 20
    assert len(state.pending.markers) < 25


def test_experiment_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.protocols.state.MOST_FROM_EXPERIMENT", 3)
    state = _running()
    state.note_experiment(FromExperiment(0, None, "", "0", 1, {"a": "1", "b": "2"}), instant(13))
    with pytest.raises(StudyError, match="more than 3"):
        state.note_experiment(FromExperiment(0, None, "go"), instant(13))
    assert ["more than 3" in one for one in state.reports] == [True]


def test_long_values_of_an_experiment_count_for_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.protocols.state.MOST_FROM_EXPERIMENT", 6)
    state = _running()
    long = FromExperiment(0, None, "", "0", 1, {"a": "x" * 2000})
    state.note_experiment(long, instant(13))
    with pytest.raises(StudyError, match="more than 6"):
        state.note_experiment(long, instant(13))


@pytest.mark.parametrize("written", ["go\n1", "go\u00a01", "go\x001", "go \u202e 1", "go\u200d1"])
def test_label_of_an_experiment_is_one_that_a_marker_may_have(written: str) -> None:
    state = _running()
    state.note_experiment(FromExperiment(0, None, written), instant(13))
    state.note_experiment(FromExperiment(0, None, "\n"), instant(13))
    assert [one.label for one in state.pending.markers[2:]] == ["experiment: go 1"]


def test_save_fits_into_one_command_and_has_times_after_their_trials() -> None:
    state = _running()
    for _ in range(12):
        values = {f"a{n}": "," * 2000 for n in range(100)}
        state.note_experiment(FromExperiment(0, None, "go", "0", 1, values), instant(13))
    state.media_ended(0, instant(15))
    frames = (
        FrameReport(turn, instant(at).boot_ms, 1, at, None) for turn, at in ((5, 10), (6, 15))
    )
    for frame in frames:
        state.note_frame(frame)
    saves, every = [], len(state.pending.trials)
    while state.pending.trials or state.pending.times:
        part = state.pending.portion()
        saves.append((len(part.trials), len(part.times)))
        assert sum(len(str(one.value)) for one in part.trials) < 100_000
        del state.pending.trials[: len(part.trials)], state.pending.times[: len(part.times)]
        del state.pending.markers[: len(part.markers)]
    assert sum(trials for trials, _ in saves) == every == 1201
    assert [times for _, times in saves] == [*[0] * (len(saves) - 1), 1]


def test_presses_of_a_participant_within_a_second_are_one() -> None:
    state = _running()
    state.pending.markers.clear()
    for at in (13, 13.2, 13.9, 14.5):
        state.declare(instant(at))
        state.pending.markers, written = [], state.pending.markers
        assert bool(written) is (at in {13, 14.5}), at

"""Wrong inputs of every command: the answer names the file, the value and what to do."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.core.errors import AffectEdgeError
from edge_agent.timeline.study.sessions import Study
from tests.support.timeline import database

FILES: dict[str, str | bytes] = {
    "empty.csv": "",
    "latin.csv": "at,kind,value\n2026-11-20T08:00Z,heart_rate,70 \xe4\n".encode("latin-1"),
    "utf16.csv": "at,kind,value\n".encode("utf-16"),
    "columns.csv": "a,b\n1,2\n",
    "value.csv": "at,kind,value\n2026-11-20T08:00Z,heart_rate,fast\n",
    "zone.csv": "at,kind,value\n2026-11-20 08:00,heart_rate,70\n",
    "markers.csv": "at,kind,label\nyesterday,note,x\n",
    "text.zip": "hello",
    "text.png": "hello",
    "text.mp4": "hello",
    "broken.json": "{",
    "list.json": "[1]",
    "short": "abc\n",
    "good.toml": "[camera]\nfps = 9\n",
    "broken.toml": "[camera]\nfps =\n",
    "key.toml": "[camera]\nfpss = 3\n",
    "path.toml": '[dashboard]\nroot_path = "/study"\n',
    "value.toml": "[camera]\nfps = 900\n",
    "section.toml": "[kamera]\nfps = 9\n",
    "latin.toml": '[device]\nname = "K\xfcche"\n'.encode("latin-1"),
    "protocol.toml": "name = 3\n",
    "nodb/affect-edge.db": "no database at all",
}
START = "--start 2026-11-20T08:00:00Z"
PAST = "session add --participant P-1 --purpose research"


@pytest.fixture(scope="module", autouse=True)
def _here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder with wrong files, and a study in ``data``: P-1 has consented, P-2 has not."""
    here = tmp_path_factory.mktemp("wrong")
    before = Path.cwd()
    os.chdir(here)
    for folder in ("data", "folder", "nodb"):
        (here / folder).mkdir()
    for name, content in FILES.items():
        raw = content.encode() if isinstance(content, str) else content
        (here / name).write_bytes(raw)
    study = Study(database(here / "data"))
    for code in ("P-1", "P-2"):
        study.create_participant(code)
    study.give_consent("P-1", "1")
    yield
    os.chdir(before)


def said(words: list[str]) -> str:
    """Run a command in this process and return what it says; a traceback is an error."""
    result = CliRunner().invoke(cli, words)
    assert result.exit_code != 0, result.output
    error = result.exception
    if isinstance(error, AffectEdgeError):
        return f"{result.output}{error}"
    assert isinstance(error, SystemExit), repr(error)
    return result.output


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("import-vitals gone.csv", "gone.csv: no such file. Check the path."),
        ("import-vitals folder", "folder: none of its 0 files has a known format. Known: "),
        ("import-vitals empty.csv", "empty.csv: is empty. Its first row must name the columns"),
        ("import-vitals latin.csv", "latin.csv, row 2: is not UTF-8 text (byte 0xe4). Save it"),
        ("import-vitals utf16.csv", "utf16.csv: has no rows with readings below the names"),
        ("import-vitals columns.csv", "Columns found: a, b; needed: at, kind, value"),
        ("import-vitals value.csv", "value.csv, row 2, column value: 'fast' is not a number"),
        (
            "import-vitals zone.csv",
            "Z or +01:00 behind it, or name the zone of the file (--timezone Europe/Berlin).",
        ),
        ("import-vitals zone.csv --timezone Nowhere", "'Nowhere' is no known time zone; write UTC"),
        ("import-vitals columns.csv --map at=zeit", "no column 'zeit'. Columns found: a, b"),
        ("import-vitals text.zip", "text.zip: the archive is damaged"),
        ("import-markers gone.csv", "gone.csv: no such file. Check the path."),
        ("import-markers folder", "folder: is a folder. Name a file in it."),
        ("import-markers empty.csv", "is empty. Its first row must name the columns: at, kind, la"),
        ("import-markers columns.csv", "columns.csv, row 1: column at is missing. Columns found"),
        ("import-markers markers.csv", "row 2, column at: 'yesterday' is not a time. Write 2026"),
        ("import-study gone", "gone: no such file or folder. Check the path."),
        ("import-study folder", "folder: holds no session.csv. Name a bundle"),
        ("import-study text.zip", "text.zip: is no folder and no zip that can be read"),
        ("import-study columns.csv", "For a table of people and states, add --wide."),
        (f"import-faces gone.csv {START} --into-session 9", "gone.csv: no such file. Check"),
        (f"import-faces columns.csv {START}", "give either --into-session ID or --participant"),
        ("session start nobody --purpose research", "no participant 'nobody'. Create the part"),
        ("session start P-2 --purpose research", "P-2 has given no consent. Record the consent"),
        ("session start P-1 --purpose fun", "--purpose 'fun': choose one of research, medical"),
        ("session start P-1 --purpose research --setting pub", "'pub': choose one of home"),
        ("session end", "No session is open, so none was ended."),
        ("session mark note x", "No session is open. Start one first."),
        ("session mark party", "KIND 'party': choose one of stimulus_start"),
        ("session quality 99", "There is no session 99. The Study page lists them."),
        ("session markers 99", "There is no session 99. The Study page lists them."),
        (f"{PAST} --from soon --to 2026-11-20", "--from 'soon' is not a time. Write 2026-11-20T"),
        (
            f"{PAST} --from 2026-11-20T09:00Z --to 2026-11-20T08:00Z",
            "The session ends at 2026-11-20T08:00:00.000Z, which does not follow its start",
        ),
        ("participant add 'Ada Lovelace'", "'Ada Lovelace': give 1 to 32 letters, digits"),
        ("participant add P-1", "Participant code P-1 is taken. Choose another."),
        ("participant consent P-1 --text 1 --on 2099-01-01T00:00:00Z", "lies in the future"),
        ("participant withdraw P-2", "P-2 has given no consent that could be withdrawn"),
        ("participant erase nobody --confirm nobody", "no participant 'nobody'; nothing was"),
        ("participant list --data gone", "affect-edge.db: there is no database. Start the agent"),
        ("participant list --data nodb", "is not a database. Nothing was changed; start the"),
        ("participant list --data empty.csv", "Not a directory. Name another folder"),
        (
            "export --out x.zip --from 2026-11-20 --to 2026-11-19",
            "--from 2026-11-20 is not before --to 2026-11-19.",
        ),
        (
            "export --out x.zip --from gestern",
            "--from 'gestern' is not a time. Write 2026-11-27 or 2026-11-27 14:30.",
        ),
        ("export --out x.zip --session 99", "There is no session 99. Sessions: none."),
        ("export --out x.zip --format doc", "'doc' is not one of 'bundle', 'csv'"),
        ("export --out x.zip --question broken.json", "broken.json: Invalid JSON"),
        (
            "export --out x.zip --question list.json",
            "list.json: Input should be an object. Write it",
        ),
        ("export --out x.zip --question gone.json", "gone.json: no such file. Check the path."),
        ("export --out x.zip --passphrase-file short", "10 to 1000 characters, better five words"),
        ("export --out short", "short: is a file. Name a folder for the export."),
        ("export --out x.json --format fhir", "takes sessions only: name at least one with --se"),
        ("sql 'DELETE FROM session'", "Only reading is possible here: begin with SELECT or WITH"),
        ("sql 'SELECT 1' --value x", "--value 'x' names no value: write --value NAME=VALUE"),
        ("config check gone.toml", "gone.toml: no such file. Copy config/affect-edge.toml there"),
        ("config check folder", "folder: cannot be read (Is a directory). Give a TOML file"),
        ("config check broken.toml", "line 2, column 6). Correct that line"),
        ("config check key.toml", "key.toml, line 2: camera.fpss: unknown key. Known here"),
        ("config check path.toml", "dashboard.root_path: unknown key. The dashboard cannot stand"),
        ("config check value.toml", "camera.fps = 900: input should be less than or equal to 120"),
        ("config check section.toml", "section.toml, line 1: kamera: unknown key. Known here"),
        ("config check latin.toml", "latin.toml: is not UTF-8 text (byte 18). Save it as UTF-8"),
        ("config set camera.fpss=9 --config good.toml", "such as camera.fps=10. Keys: camera.so"),
        ("config set camera.fps=9 --config gone.toml", "or name another file with --config."),
        ("run --config key.toml", "key.toml, line 2: camera.fpss: unknown key"),
        ("model verify gone.json", "gone.json: no such model card. Every NAME.tflite needs"),
        ("model install gone.tflite --config good.toml", "gone.tflite: no such file. Check"),
        ("classify gone.png", "gone.png: no such file. Check the path."),
        ("classify text.png", "text.png: is not a picture that can be read. Formats: JPEG"),
        ("analyse-video text.mp4", "text.mp4: is no video, or is broken. Try it with `ffprobe`"),
        ("backup folder", "folder: is a folder. Name a file in it, such as"),
        ("backup gone/x.zip", "gone/x.zip: there is no such folder. Make it, or name another."),
        ("restore gone.zip", "gone.zip: cannot be read (No such file or directory)."),
        ("restore text.zip", "text.zip: is no archive that `affect-edge backup` made."),
        ("imports --undo 99", "There is no import 99; nothing was removed. Imports: none."),
        ("analyse --session 99", "There is no session 99. Sessions: none."),
        ("protocol check gone.toml", "gone.toml: no such file. Name a protocol file (TOML)."),
        ("protocol check protocol.toml", "line 1: name: unknown key. Known here: title, order"),
        ("account role nobody viewer", "no account 'nobody'. Existing accounts: none."),
        ("vitals scan --seconds -1", "-1.0 is not in the range 1<=x<=300"),
    ],
)
def test_a_wrong_input_is_named_with_what_to_do(words: str, named: str) -> None:
    placed = [] if words.startswith(("classify", "config", "protocol", "vitals")) else DATA
    split = shlex.split(words)
    told = said(split if "--data" in split or split[:2] in NO_DATA else [*split, *placed])
    assert named in " ".join(told.split())


DATA = ["--data", "data"]
NO_DATA = (["model", "verify"],)


def test_a_file_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_mode: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    told = said(["import-markers", "markers.csv", *DATA])
    assert "markers.csv: this user may not read it. Change its permissions" in told


def test_an_export_of_a_range_without_rows_says_so() -> None:
    words = ["export", "--out", "none", "--from", "2001-01-01", "--to", "2001-01-02 14:30", *DATA]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0 and "Nothing was recorded in this range" in result.stderr

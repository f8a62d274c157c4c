"""The command line: exit codes, and sentences instead of tracebacks."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from edge_agent import __version__
from edge_agent.cli import cli, main
from edge_agent.cli.pictures import describe_picture

ROOT = Path(__file__).resolve().parents[3]


def variables_of(environment: dict[str, str]) -> dict[str, str]:
    """The environment of a stranger, with some variables."""
    counting = {name: value for name, value in os.environ.items() if name.startswith("COV")}
    return counting | {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"} | environment


def affect_edge_process(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the command as the process that it is."""
    command = [sys.executable, "-m", "edge_agent", *map(str, words)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=variables_of({}),
        timeout=60,
    )


def affect_edge(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run all that a process of the command runs in this one, which has its libraries loaded.

    An error that no sentence is made of is raised, where a process would print a traceback.
    """
    command = ["affect-edge", *map(str, words)]
    output = io.StringIO()
    errors = io.StringIO()
    with (
        patch.object(sys, "argv", command),
        patch.object(sys, "stdin", io.StringIO()),
        patch.dict(os.environ, variables_of(environment), clear=True),
        contextlib.chdir(ROOT),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        code: object = None
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    assert code is None or isinstance(code, int), code
    return subprocess.CompletedProcess(command, code or 0, output.getvalue(), errors.getvalue())


def test_the_version_is_the_packages() -> None:
    assert affect_edge_process("--version").stdout.strip() == f"affect-edge {__version__}"


def test_every_command_explains_itself() -> None:
    def walk(command: object, path: list[str]) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            assert inner.help or inner.commands, f"{' '.join([*path, name])} has no help"
            walk(inner, [*path, name])

    walk(cli, [])
    assert {
        "run",
        "dashboard",
        "demo",
        "classify",
        "doctor",
        "export",
        "import-vitals",
        "analyse",
    } <= set(cli.commands)


def test_an_unknown_command_is_wrong_use() -> None:
    done = affect_edge_process("runn")
    assert done.returncode == 2
    assert "runn" in done.stderr


def test_a_right_configuration_passes_the_check() -> None:
    done = affect_edge("config", "check", "config/affect-edge.toml")
    assert (done.returncode, done.stdout.strip()) == (0, "config/affect-edge.toml is right")


@pytest.mark.parametrize(
    "words", [["config", "check"], ["run", "--config"], ["doctor", "--config"]]
)
def test_a_wrong_configuration_ends_with_2_and_a_sentence(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[camera]\nsource = 'webcam'\n", encoding="utf-8")
    done = affect_edge(*words, file)
    assert done.returncode == 2
    assert f"affect-edge: {file}, line 2: camera.source = 'webcam'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_looks_at_everything_although_a_key_is_misspelt(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[camera]\nsourc = 'x'\nsource = 'demo'\n[mqtt]\nenabled = false\n")
    bundle = tmp_path / "help.zip"
    done = affect_edge(
        "doctor", "--config", file, "--data", tmp_path, "--json", "--deep", "--bundle", bundle
    )
    assert done.returncode == 2
    findings = {finding["check"]: finding for finding in json.loads(done.stdout)}
    assert "line 2: camera.sourc: unknown key" in findings["configuration"]["found"]
    assert findings["configuration"]["verdict"] == "problem"
    assert findings["camera"]["found"] == "demo gives 640×480"
    assert findings["broker"]["found"] == "publishing is switched off (mqtt.enabled)"
    assert bundle.exists()


def test_a_misspelt_environment_variable_ends_with_2() -> None:
    done = affect_edge("config", "check", AFFECT_EDGE_CAMERA__SORCE="demo")
    assert done.returncode == 2
    assert "AFFECT_EDGE_CAMERA__SORCE" in done.stderr


def test_the_shipped_models_agree_with_their_cards() -> None:
    done = affect_edge("model", "verify")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("agree") == 2


def test_the_models_are_listed_with_those_in_use() -> None:
    rows = json.loads(affect_edge("model", "list", "--json").stdout)
    assert {row["kind"] for row in rows if row["used"]} == {"expression", "face-detector"}
    assert affect_edge("model", "list").stdout.count("*") == 2


def test_a_missing_model_ends_with_1_and_names_it() -> None:
    done = affect_edge("model", "verify", "nowhere.json")
    assert done.returncode == 1
    assert "nowhere.json" in done.stderr


def test_vitals_are_imported_and_listed_twice_only_once(tmp_path: Path) -> None:
    file = tmp_path / "morning.csv"
    file.write_text(
        "at,kind,value\n2026-01-05T08:00:00Z,heart_rate,61\n2026-01-05T08:01:00Z,systolic,118\n"
    )
    data = tmp_path / "data"
    nowhere = "\n2 of 2 lie in no session; there is none yet.\n"
    first = affect_edge_process("import-vitals", file, "--data", data)
    assert first.returncode == 0 and first.stdout.startswith(f"2 readings imported{nowhere}")
    second = affect_edge("import-vitals", file, "--data", data)
    assert second.stdout.startswith(f"0 readings imported, 2 were there already{nowhere}")


def test_times_without_a_zone_are_imported_when_one_is_given(tmp_path: Path) -> None:
    file = tmp_path / "cuff.csv"
    file.write_text("at,kind,value\n2026-01-05 08:00:00,systolic,118\n")
    refused = affect_edge("import-vitals", file, "--data", tmp_path)
    assert refused.returncode == 1
    wrong = affect_edge("import-vitals", file, "--data", tmp_path, "--timezone", "Europe/Atlantis")
    assert wrong.returncode == 2
    assert "Europe/Atlantis" in wrong.stderr
    done = affect_edge("import-vitals", file, "--data", tmp_path, "--timezone", "UTC")
    assert done.stdout.splitlines()[0] == "1 reading imported"


def test_a_file_of_another_program_is_imported_when_its_columns_are_named(tmp_path: Path) -> None:
    file = tmp_path / "cuff.csv"
    file.write_text("Date,Time,SYS (kPa),Note\n05.01.2026,08:00,16,rest\n")
    words = ("import-vitals", file, "--data", tmp_path, "--timezone", "UTC", "--dates", "dmy")
    assert "--unit and --dates go with --map" in affect_edge(*words).stderr
    wrong = affect_edge(*words, "--map", "at=When")
    assert wrong.returncode == 1
    assert "there is no column 'When'. Columns found: Date, Time, SYS (kPa), Note." in wrong.stderr
    assert "write --map NAME=VALUE" in affect_edge(*words, "--map", "at").stderr
    done = affect_edge(*words, "--map", "guess", "--map", "systolic=SYS (kPa)")
    assert done.stdout.splitlines()[:1] == ["1 reading imported"], done.stderr


def test_a_csv_with_a_bad_row_imports_nothing_and_names_row_and_column(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(
        "at,kind,value\n2026-01-05T08:00:00Z,heart_rate,61\n2026-01-05T08:01:00Z,heart_rate,fast\n"
    )
    data = tmp_path / "data"
    done = affect_edge("import-vitals", file, "--data", data)
    assert done.returncode == 1
    assert "bad.csv" in done.stderr
    assert "value" in done.stderr
    assert "fast" in done.stderr
    assert not (data / "affect-edge.db").exists()


def test_an_export_without_a_database_says_what_to_do(tmp_path: Path) -> None:
    done = affect_edge_process("export", "--out", tmp_path / "out", "--data", tmp_path / "nothing")
    assert done.returncode == 1
    assert "affect-edge.db" in done.stderr
    assert not (tmp_path / "out").exists()


def test_participants_are_listed(tmp_path: Path) -> None:
    from edge_agent.store.database.schema import DATABASE_NAME, migrate
    from edge_agent.store.study.study import Study

    migrate(tmp_path / DATABASE_NAME)
    Study(tmp_path / DATABASE_NAME).create_participant("P-01")
    assert affect_edge("participant", "list", "--data", tmp_path).stdout.startswith("P-01")
    rows = json.loads(affect_edge("participant", "list", "--json", "--data", tmp_path).stdout)
    assert [row["code"] for row in rows] == ["P-01"]


def test_a_picture_is_described_in_words() -> None:
    probabilities = {"neutral": 0.2, "happiness": 0.7, "surprise": 0.1}
    face = {
        "box": [10.4, 20, 30, 40],
        "emotion": "happiness",
        "uncertain": False,
        "probabilities": probabilities,
        "flaw": None,
    }
    said = describe_picture({"file": "a.jpg", "faces": [face]})
    assert said == "a.jpg: happiness (happiness 70%, neutral 20%) at 10,20 30×40"
    flawed = {**face, "emotion": None, "flaw": "cut_off"}
    told = describe_picture({"file": "a.jpg", "faces": [flawed]})
    assert told == "a.jpg: not read (cut off) at 10,20 30×40"
    named = {**face, "flaw": "cut_off"}
    told = describe_picture({"file": "a.jpg", "faces": [named]})
    assert told == "a.jpg: happiness (happiness 70%, neutral 20%; cut off) at 10,20 30×40"
    assert describe_picture({"file": "a.jpg", "faces": []}) == "a.jpg: no face"
    assert (
        describe_picture({"file": "a.jpg", "error": "a.jpg: no such file."})
        == "a.jpg: no such file."
    )


@pytest.mark.parametrize("left_behind", [False, True])
def test_a_thread_left_in_a_driver_is_not_taken_down_with_the_interpreter(
    left_behind: bool,
) -> None:
    program = (
        "import atexit, threading; from edge_agent.cli.app import leave\n"
        f"if {left_behind}: threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "atexit.register(print, 'taken down'); print('written'); leave(3)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 3, done.stderr
    assert done.stdout.split("\n")[0] == "written"
    assert ("taken down" in done.stdout) is not left_behind


def test_algebra_has_one_thread_in_the_command_and_in_the_dashboard_that_it_starts() -> None:
    """Every command begins in ``main``, before NumPy is loaded."""
    code = "import sys; from edge_agent.cli import main; sys.argv = ['affect-edge', '--help']\n"
    code += "try:\n    main()\nexcept SystemExit:\n    pass\n"
    code += "import os, numpy; print(os.listdir('/proc/self/task') == [str(os.getpid())])"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=variables_of({}),
    )
    assert run.stdout.splitlines()[-1] == "True"

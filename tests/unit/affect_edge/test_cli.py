"""The command line: exit codes, and sentences instead of tracebacks."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from affect_edge.output import ANSWER, OF_A_BAR, PrintableStream
from affect_edge.pictures import describe_picture
from tests.support.commands import affect_edge
from tests.support.timeline import timeline

ROOT = Path(__file__).resolve().parents[3]


def variables() -> dict[str, str]:
    """The environment of a stranger."""
    counting = {name: value for name, value in os.environ.items() if name.startswith("COV")}
    return counting | {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


@pytest.mark.parametrize("words", [["config", "check"], ["run", "--config"]])
def test_a_wrong_configuration_ends_with_2_and_a_sentence(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[camera]\nsource = 'webcam'\n", encoding="utf-8")
    done = affect_edge(*words, file)
    assert done.code == 2
    assert f"affect-edge: {file}, line 2: camera.source = 'webcam'" in done.err
    assert "Traceback" not in done.err


def test_missing_files_of_a_configuration_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "right.toml"
    file.write_text(
        "[vision]\nexpression_model = 'expression-x'\n[mqtt]\npassword_file = '/nowhere/word'\n"
    )
    done = affect_edge("config", "check", file)
    assert done.code == 0
    assert "it names what is not there" in done.out
    assert "mqtt.password_file: /nowhere/word: no such file" in done.out
    assert "vision.expression_model: there is no model 'expression-x'" in done.out
    file.write_text("[camera]\nsource = 'pictures'\n")
    assert "camera.folder: pictures: no such" in affect_edge("config", "check", file).out
    file.write_text("[camera]\nsource = 'demo'\n")
    assert affect_edge("config", "check", file).out == f"{file} is right\n"


@pytest.mark.parametrize("host", ["10.0.0.2:1883", "broker.example:8883", "[fd00::2]:1883"])
def test_broker_with_a_port_behind_its_name_is_named(tmp_path: Path, host: str) -> None:
    file = tmp_path / "broker.toml"
    file.write_text(f"[mqtt]\nhost = '{host}'\n")
    name, _, port = host.replace("[", "").replace("]", "").rpartition(":")
    way = f'mqtt.host: {host}: no machine has this name. Write host = "{name}" and port = {port}'
    assert way in affect_edge("config", "check", file).out
    file.write_text("[mqtt]\nhost = 'fd00::2'\n")
    assert affect_edge("config", "check", file).out == f"{file} is right\n"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ('[dashboard]\nhost = "0.0.0.0"', "dashboard.host = '0.0.0.0' is reachable"),
        (
            '[dashboard]\nproxy_header = "X"\nproxy_addresses = ["::1"]\nproxy_secret_file = "s"',
            "has 5 characters; a secret needs at least 32",
        ),
        ('[mqtt]\nhost = "mqtt://10.0.0.1:1883"', "'mqtt://10.0.0.1:1883' is a URL"),
        ('[dashboard]\nnames = ["https://a.example:18443"]', "'https://a.example:18443' is a URL"),
        ('[dashboard]\nnames = ["a.example:18443"]', "'a.example:18443' ends with a port"),
    ],
)
def test_the_check_refuses_what_the_services_would_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s").write_text("short\n")
    file = tmp_path / "wrong.toml"
    file.write_text(section)
    done = affect_edge("config", "check", file)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_check_elsewhere_names_files_of_dashboard_that_only_device_has(tmp_path: Path) -> None:
    file = tmp_path / "right.toml"
    file.write_text(
        '[dashboard]\nhost = "0.0.0.0"\ncertificate = "/no/cert.pem"\nkey = "/no/key.pem"\n'
        'proxy_header = "X-User"\nproxy_addresses = ["::1"]\nproxy_secret_file = "/no/secret"\n'
    )
    done = affect_edge("config", "check", file)
    assert done.code == 0
    assert "dashboard.proxy_secret_file: /no/secret: no such file" in done.out


def test_the_doctor_looks_at_everything_although_a_key_is_misspelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[camera]\nsourc = 'x'\nsource = 'demo'\n[mqtt]\nenabled = false\n")
    bundle = tmp_path / "help.zip"
    monkeypatch.chdir(tmp_path)
    words = ("--config", file, "--data", tmp_path, "--json", "--deep", "--bundle", bundle)
    done = affect_edge("doctor", *words, "--report")
    assert done.code == 2
    assert "affect-edge-report.json is written: board, system, " in done.err
    assert "read it before you send it" in done.err
    told = json.loads(Path("affect-edge-report.json").read_text(encoding="utf-8"))
    assert told["findings"][0]["check"] == "configuration"
    findings = {finding["check"]: finding for finding in json.loads(done.out)}
    assert "line 2: camera.sourc: unknown key" in findings["configuration"]["found"]
    assert findings["configuration"]["verdict"] == "problem"
    assert findings["camera"]["found"] == "demo gives 640×480"
    assert findings["broker"]["found"] == "publishing is switched off (mqtt.enabled)"
    assert bundle.exists()


def test_a_file_of_another_program_is_imported_when_its_columns_are_named(tmp_path: Path) -> None:
    file = tmp_path / "cuff.csv"
    file.write_text("Date,Time,SYS (kPa),Note\n05.01.2026,08:00,16,rest\n")
    words = ("import-vitals", file, "--data", tmp_path, "--timezone", "UTC", "--dates", "dmy")
    assert "--unit and --dates need --map" in affect_edge(*words).err
    wrong = affect_edge(*words, "--map", "at=When")
    assert wrong.code == 1
    assert "there is no column 'When'. Columns found: Date, Time, SYS (kPa), Note." in wrong.err
    assert "write --map NAME=VALUE" in affect_edge(*words, "--map", "at").err
    done = affect_edge(*words, "--map", "guess", "--map", "systolic=SYS (kPa)")
    assert done.out.splitlines()[:1] == ["1 reading imported"], done.err


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
    assert describe_picture({"file": "a.jpg", "faces": []}) == "a.jpg: no face"
    failed = {"file": "a.jpg", "error": "a.jpg: no such file."}
    assert describe_picture(failed) == "a.jpg: no such file."


@pytest.mark.parametrize("left_behind", [False, True])
def test_a_thread_left_in_a_driver_is_not_taken_down_with_the_interpreter(
    left_behind: bool,
) -> None:
    program = (
        "import atexit, threading; from affect_edge.app import leave\n"
        f"if {left_behind}: threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "atexit.register(print, 'taken down'); print('written'); leave(3)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 3, done.stderr
    assert done.stdout.split("\n")[0] == "written"
    assert ("taken down" in done.stdout) is not left_behind


def test_command_numpy_loaded_algebra_has_one_thread() -> None:
    """Every command begins in ``main``, before NumPy is loaded."""
    code = "import sys; from affect_edge import main; sys.argv = ['affect-edge', '--help']\n"
    code += "try:\n    main()\nexcept SystemExit:\n    pass\n"
    code += "import os, numpy; print(os.listdir('/proc/self/task') == [str(os.getpid())])"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=variables(),
    )
    assert run.stdout.splitlines()[-1] == "True"


def test_output_of_a_terminal_has_escapes_for_controls() -> None:
    below = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    PrintableStream(below, ANSWER).write("\x1b[2J\ttwo\r\nthree\r\x07")
    PrintableStream(below, OF_A_BAR).write("\r\x1b[K50 %\x1b]0;title\x07")
    assert isinstance(below.buffer, io.BytesIO)
    told = below.buffer.getvalue().decode()
    assert told == "\\u001b[2J\ttwo\r\nthree\\u000d\\u0007\r\x1b[K50 %\\u001b]0;title\\u0007"


@pytest.mark.parametrize(
    ("form", "printed"),
    [("json", r"ab\u001b[2J\rc\td\u009b\u202e"), ("table", r"ab\u000dc	d\u009b\u202e")],
)
def test_command_text_of_others_is_printed_without_controls(
    tmp_path: Path, form: str, printed: str
) -> None:
    path = timeline(tmp_path)
    query = "SELECT 'ab' || char(27) || '[2J' || char(13, 99, 9, 100, 155, 8238) AS one"
    start = [sys.executable, "-c", "from affect_edge import main; main()"]
    words = [*start, "sql", query, "--data", str(path.parent), "--format"]
    done = subprocess.run([*words, form], capture_output=True, check=True, timeout=60)
    assert printed in done.stdout.decode()
    exact = subprocess.run([*words, "csv"], capture_output=True, check=True, timeout=60)
    assert "ab\x1b[2J\rc\td\x9b\u202e" in exact.stdout.decode()

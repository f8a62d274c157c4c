"""Every documented command is run here, or stands in a list with the reason why it is not."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from dashboard.protocols.file import EXAMPLES
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.docs.pages import ROOT, inline_code_of, pages, text_of
from tests.docs.shell import Documented, documented_commands, fault_in_use
from tests.support.broker import free_port
from tests.support.commands import Done, affect_edge
from tests.support.laboratory.xdf import Xdf

COMMANDS = documented_commands()
FACES_MODULES = "needs YuNet's file and archives of photographs, which are not part of the project"
ENCRYPTION = (
    *("sudo fallocate ", "sudo chmod 600 /var/lib/affect-edge.luks", "sudo cryptsetup "),
    *("sudo mkfs.ext4 ", "sudo mkdir -m ", "sudo mount /dev/mapper/"),
    *("sudo cp --archive /var/lib/affect-edge", "sudo diff --recursive ", "sudo umount "),
    *("sudo mv /var/lib/affect-edge", "sudo chattr ", "sudo rm -r /var/lib/affect-edge.old"),
    "sudo rmdir /var/lib/affect-edge",
)
NOT_RUN = dict.fromkeys(ENCRYPTION, "needs root, a device mapper and an installed appliance")
NOT_RUN |= {
    "sudo sh -c 'umask 077; openssl rand -hex 32 >/etc/affect-edge/proxy-secret'": (
        "writes into /etc; test_proxy_login brings the secret to both sides"
    ),
    "sudo chown affect-edge-dashboard /etc/affect-edge/proxy-secret": "needs the installed user",
    "affect-edge collect": "needs a broker and PostgreSQL; tests/integration/fleet starts both",
    "affect-edge analyse --source ": "needs PostgreSQL; test_study_pages starts it",
    "affect-edge export --source ": "needs PostgreSQL; test_exports_over_sites starts it",
    "sudo apt install cryptsetup": "needs root",
    "sudo raspi-config": "a program of Raspberry Pi's that is not here",
    "mkdir -p ~/.config/labwc": "test_second_screen runs the file that it copies",
    "sudo apt install certbot": "needs root",
    "sudo certbot ": "needs root and an authority; make test-acme runs certbot with such words",
    "sudo cp root.pem ": "needs root",
    "sudo update-ca-certificates": "needs root",
    "openapi-python-client generate": "tests/integration/api generates a client and calls it",
    "git clone ": "the address of the repository stands in no file; needs a network",
    "cd affect-edge": "goes with the line before it",
    "ssh -L ": "needs another machine with an account",
    "sudo mosquitto_passwd ": "needs root and the files of an installed appliance",
    "sudo cat ": "needs root and the files of an installed appliance",
    "printf 'listener 8883": "needs root and the files of an installed appliance",
    "printf '[mqtt]": "test_demo gives the demonstration such a file",
    "printf %s 'PASSWORD' | sudo install": "needs root and the installed user",
    "sudo systemctl ": "needs root and an installed broker",
    "sudo journalctl ": "needs root and a machine that a ready image made; make test-appliance",
    "journalctl ": "needs an installed appliance; make test-appliance reads its log",
    "sudo affect-edge ": "needs root and an installed appliance; make test-appliance runs it",
    "sudo -u affect-edge ": "needs an installed appliance; make test-appliance runs it",
    "./rpi-image-gen ": "a program of Raspberry Pi's that is not here",
    "affect-edge demo ": "test_demo runs it with these options",
    "python3 -m venv .venv-training": "make .venv-training/.dev makes it so",
    ".venv/bin/affect-edge demo ": "test_demo runs it with such options",
    ".venv/bin/affect-edge dashboard ": "tests/integration/dashboard/test_server.py starts one",
    ".venv/bin/affect-edge model install ": "needs a model of your own; test_models installs one",
    "affect-edge alerts --test": "needs an address; alerts/test_sender.py sends to some",
    "bluetoothctl ": "needs a radio and a cuff",
    "mosquitto_sub ": "listens for ever, with a program that is not part of the project",
    "mosquitto_pub ": "a program that is not part of the project; test_snippets reads its payload",
    "pipx inject ": "make test-pipx does one; test_export_formats compares them with the extras",
    "pipx install ": "installs 440 MB; make test-pipx does it",
    "podman-compose ": "needs images of minutes; make test-container runs it",
    "curl ": "test_requests sends them to a real dashboard",
    "python -m tools.languages ": "tests/unit/dashboard/languages does it in a folder of its own",
    "python -m training.faces.": FACES_MODULES,
    "python -m training.expression.covers ": FACES_MODULES,
    "python -m training.expression.movement_faces ": FACES_MODULES,
    "python training/expression/movement_labels.py ": FACES_MODULES,
}
"""How a command begins → why it is not run."""

ONLY_OPTIONS = (
    "python -m training ",
    "affect-edge dashboard ",
    "affect-edge import-study ",  # a bundle of this database meets itself
)
"""Need data that are not part of the project, or do not end: their words are looked up."""

MARKERS = "at,kind,label\n2026-01-12T09:05:00Z,stimulus_start,anger\n"
STRAP = "at,kind,value\n2026-01-12T09:05:05Z,heart_rate,72\n"
CUFF = "Date,Time,SYS (kPa),Pulse\n20.11.2026,08:15,16.1,72\n"


def beginning(command: Documented, choices: dict[str, str] | tuple[str, ...]) -> str:
    return next((one for one in choices if command.text.startswith(one)), "")


def kind_of(command: Documented) -> str:
    """Return how a command is dealt with; empty where nobody has decided it."""
    text = command.text
    if beginning(command, ONLY_OPTIONS):
        return "options"
    if beginning(command, NOT_RUN):
        return "not run"
    patterns = {
        r"make [\w./-]+": "make",
        r"sudo \./install\.sh": "installer",
        r"\.venv(-training)?/bin/pip install -e ": "extra",
        r"affect-edge (?!update|rollback)": "run",
    }
    return next((kind for pattern, kind in patterns.items() if re.match(pattern, text)), "")


def of_kind(kind: str) -> list[Documented]:
    return [command for command in COMMANDS if kind_of(command) == kind]


def different(kind: str) -> list[Documented]:
    """Return each command of a kind once, though it stands on several pages."""
    return list({command.text: command for command in of_kind(kind)}.values())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the documented commands speak of, and a data folder."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "cuff.csv").write_text(CUFF, encoding="utf-8")
    (folder / "markers.csv").write_text(MARKERS, encoding="utf-8")
    (folder / "strap.csv").write_text(STRAP, encoding="utf-8")
    (folder / "lab.xdf").write_bytes(recording().content)
    example = next(EXAMPLES.glob("*.toml"))
    shutil.copy(example, folder / "films.toml")
    database = folder / "data" / DATABASE_NAME
    database.parent.mkdir()
    migrate(database)
    seed_example_study(database, SimulatedPerson, seed=2026)
    question = affect_edge("analyse", "--print-question", "--data", str(database.parent))
    (folder / "Q.json").write_text(question.out, encoding="utf-8")
    return folder


def recording() -> Xdf:
    """A recording of a strap, and of a box whose channels have no names."""
    xdf = Xdf("2026-01-12T10:05:00+0100").stream(1, "Strap", "HeartRate", [("HR", "bpm")])
    xdf.samples(1, [(100.0, [72.0]), (101.0, [73.0])])
    xdf.stream(2, "OpenSignals", "00:07", [("A1", ""), ("A2", "")])
    return xdf.samples(2, [(100.0, [2.5, 0.0]), (101.0, [2.6, 0.0])])


def run(text: str, world: Path) -> Done:
    """Run an `affect-edge` command of a page over the data of the folder."""
    words = shlex.split(text)[1:]
    if "--data" in words:  # the folder of an example, which is made here
        words[words.index("--data") + 1] = str(world / "data")
    elif words[0] != "protocol":
        words += ["--data", str(world / "data")]
    return affect_edge(*words)


def test_there_are_commands_of_every_page_that_has_some() -> None:
    assert len(COMMANDS) > 50
    assert {"README.md", "docs/export.md", "docs/study-guide.md"} <= {one.page for one in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_somebody_has_decided_how_the_command_is_tried(command: Documented) -> None:
    assert kind_of(command), f"{command}: run it here, or add it to NOT_RUN with the reason"


@pytest.mark.parametrize("start", NOT_RUN)
def test_no_reason_is_left_of_a_command_that_is_gone(start: str) -> None:
    assert any(command.text.startswith(start) for command in COMMANDS), start


@pytest.mark.parametrize("command", of_kind("run"), ids=str)
def test_the_command_does_what_it_says(
    command: Documented, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the pages, so that a session is started before it is marked."""
    monkeypatch.chdir(world)
    monkeypatch.setenv("HOME", str(world))
    # there is no camera here, and the doctor says so
    allowed = {0, 1} if command.text.startswith("affect-edge doctor") else {0}
    done = run(command.text, world)
    assert done.code in allowed, f"{command}\n{done.out}\n{done.err}"


@pytest.mark.parametrize("command", of_kind("options"), ids=str)
def test_the_command_and_its_options_exist(command: Documented) -> None:
    assert fault_in_use(command.text) == ""


@pytest.mark.parametrize("command", different("make"), ids=str)
def test_make_knows_the_target(command: Documented) -> None:
    words = ["bash", "-c", command.text.replace("make ", "make --dry-run ", 1)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_installer_plans_all_documented_options_at_once() -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("the installer is for Debian-like systems")
    options, parts = [], []
    for command in different("installer"):
        words = shlex.split(command.text)[2:]
        if "--with" in words:
            at = words.index("--with")
            parts += words[at + 1].split(",")
            del words[at : at + 2]
        options += words
    asked = (*dict.fromkeys(options), "--with", ",".join(dict.fromkeys(parts)))
    done = subprocess.run(
        ["bash", "install.sh", *asked, "--dry-run", "--port", str(free_port())],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "install Affect Edge" in done.stdout
    assert f"add the optional parts {', '.join(dict.fromkeys(parts))}" in done.stdout


@pytest.mark.parametrize("command", of_kind("extra"), ids=str)
def test_the_extra_exists(command: Documented) -> None:
    found = re.search(r"-e '\.\[([\w,]+)\]'", command.text)
    assert found, command
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(found[1].split(",")) <= set(project["optional-dependencies"])


def named_in_text() -> list[tuple[str, str]]:
    """Return the commands of ours that stand in running text and tables, with their page."""
    starts = ("affect-edge ", ".venv/bin/affect-edge ", "python -m training ")
    return [
        (page, code)
        for page in pages()
        for code in dict.fromkeys(inline_code_of(page))
        if code.startswith(starts)
    ]


@pytest.mark.parametrize(("page", "code"), named_in_text())
def test_a_command_in_running_text_exists(page: str, code: str) -> None:
    assert fault_in_use(code) == "", f"{page}: {code}"


def test_nothing_is_told_to_install_a_package_of_our_name_from_an_index() -> None:
    sources = [*ROOT.glob("edge_agent/**/*.py"), *ROOT.glob("training/**/*.py")]
    texts = [*(path.read_text(encoding="utf-8") for path in sources), *map(text_of, pages())]
    told = re.compile(r"pip install (?!-e )[^\n`]*affect-edge")
    hits = [(text, hit.start()) for text in texts for hit in told.finditer(text)]
    assert all(text[:at].endswith("### Why not `") for text, at in hits)
    assert not any(re.search(r"pip install [\"']affect-edge\[", text) for text in texts)

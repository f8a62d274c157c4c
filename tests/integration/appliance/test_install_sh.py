"""``install.sh``: what it looks at first, optional parts, accounts at the broker, shared files."""

from __future__ import annotations

import os
import re
import sqlite3
import struct
import subprocess
import sys
import sysconfig
import tomllib
from contextlib import closing
from pathlib import Path

import pytest

from tests.appliance.installer import INSTALLER, run
from tests.support.security.root_traps import AGENT, GROUP, STAND_INS, WEB
from tools.build_release import ROOT
from tools.pin_requirements import MACHINES, PARTS, PYTHONS, pins_in

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
GOOD_MACHINE = """
dry=yes
apt-cache() { return 1; }
dpkg-query() { return 1; }
df() { echo Avail; echo 5000; }
date() { case "$1" in +%Y) echo 2027 ;; *) echo 2027-01-01 ;; esac; }
answers() { return 1; }
"""


def check(settings: Path, *lines: str, options: str = "") -> subprocess.CompletedProcess[str]:
    """Run the looks on a machine where all is well but what the lines say."""
    return run(settings, f"parse --dry-run {options}", GOOD_MACHINE, *lines, "check", "echo well")


def test_a_machine_where_all_is_well_passes(tmp_path: Path) -> None:
    done = check(tmp_path, options="--unpinned")
    assert done.stdout.strip() == "well", done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("getconf() { echo 32; }", "a 64-bit system is needed .* install the 64-bit Raspberry"),
        ('command() { [ "$2" != apt-get ]; }', "needs a Debian-like system with apt-get"),
        (
            "python3() { [ $1 = -V ] && echo Python 3.9.2; }",
            "Python 3.11 or newer is needed, this system has 3.9.2; install Raspberry Pi OS 12",
        ),
        (
            'df() { echo Avail; case "$*" in */var*) echo 5000 ;; *) echo 20 ;; esac; }',
            "needs 1500 MB free in /(opt)?, there are 20 MB",
        ),
        ("sed() { echo 512000; }", "needs 700 MB of memory, there are 500 MB"),
        (
            'df() { echo Avail; case "$*" in *opt*) echo 5000 ;; *) echo 20 ;; esac; }',
            "needs 300 MB free in /var for data and packages, there are 20 MB",
        ),
        (
            'date() { case "$1" in +%Y) echo 1970 ;; *) echo 1970-01-01 ;; esac; }',
            "the clock says 1970-01-01, which lies before this release; set it",
        ),
        ('answers() { [ "$1" = 8080 ]; }', "port 8080 is taken .* --port 8081"),
        (
            'answers() { [ "$1" = 1883 ]; }',
            "port 1883 is taken by another MQTT broker; give --no-b",
        ),
    ],
)
def test_obstacles_are_reported_before_the_plan(tmp_path: Path, line: str, said: str) -> None:
    done = check(tmp_path, line, options="--unpinned")
    assert done.returncode == 1
    assert "well" not in done.stdout
    assert re.search(said, done.stderr), done.stderr


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="systemd started this system")
def test_system_that_systemd_did_not_start_is_refused(tmp_path: Path) -> None:
    done = check(tmp_path, "dry=no", options="--unpinned")
    assert done.returncode == 1
    assert "needs a system that was started by systemd" in done.stderr


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("--prot 8080", "unknown option --prot; see --help"),
        ("--port", "--port needs a value"),
        ("--port 80", "--port 80: give a number from 1024 to 65535"),
        ("--port 70000", "--port 70000: give a number from 1024 to 65535"),
        ("--port '8080; ls'", "--port 8080; ls: give a number from 1024 to 65535"),
        ("--purge", "--purge goes with --uninstall"),
        ("--offline /nowhere", "--offline /nowhere: there are no wheels (*.whl) in this folder"),
        ("--camera webcam", "--camera webcam: give auto, picamera2, a device, an rtsp:// address"),
    ],
)
def test_wrong_option_is_refused_as_wrong_use(tmp_path: Path, words: str, refusal: str) -> None:
    done = run(tmp_path, f"parse {words}", "echo well")
    assert done.returncode == 2
    assert refusal in done.stderr
    assert done.stdout == ""


def test_installation_with_nobody_to_answer_asks_for_yes(tmp_path: Path) -> None:
    done = run(tmp_path, "confirm", "echo well")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nobody is there to answer; give --yes" in done.stderr


def test_folder_without_a_whole_release_is_not_activated(tmp_path: Path) -> None:
    done = run(tmp_path, f"here={tmp_path}", "main --activate", "echo well")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{tmp_path}: is no complete release" in done.stderr


def test_packages_that_do_not_come_end_the_installation(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        "apt-get() { case $* in *--simulate*|update*) ;; *) return 100 ;; esac; }",
        "is_installed() { return 1; }",
        "finish_packages() { :; }",
        "missing=(bluez openssl)",
        "install_packages",
        "echo well",
    )
    assert (done.returncode, done.stdout.count("well")) == (1, 0)
    assert "these packages could not be installed: bluez openssl" in done.stderr


def test_key_that_the_configuration_lacks_ends_the_installation(tmp_path: Path) -> None:
    (tmp_path / "affect-edge.toml").write_text("[camera]\n# fps = 15\n")
    done = run(tmp_path, "set_key web port 9000", "echo well")
    assert (done.returncode, done.stdout) == (1, "")
    assert "affect-edge.toml: there is no port in [web] to set" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["affect-edge.toml"]


def test_command_whose_first_line_names_no_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "command").write_text("#!/bin/sh\n")
    done = run(tmp_path, f"pass_over_homes {tmp_path}/command")
    assert done.returncode == 1
    assert "its first line names no Python: #!/bin/sh" in done.stderr


def test_another_broker_is_no_matter_where_none_is_wanted(tmp_path: Path) -> None:
    taken = 'answers() { [ "$1" = 1883 ]; }'
    assert check(tmp_path, taken, options="--unpinned --no-broker").returncode == 0


def test_without_pinned_packages_nothing_is_installed_unless_told_to(tmp_path: Path) -> None:
    strange = "uname() { echo riscv64; }"
    done = check(tmp_path, strange)
    assert done.returncode == 1
    assert "this release pins no packages for riscv64" in done.stderr
    assert "Python 3.11 on aarch64, Python 3.13 on aarch64" in done.stderr
    assert "give --unpinned" in done.stderr
    assert check(tmp_path, strange, options="--unpinned").returncode == 0


def test_update_takes_unpinned_packages_where_installed_release_has_them(tmp_path: Path) -> None:
    program = tmp_path / "program"
    (program / "current").mkdir(parents=True)
    lines = (f"program={program}", "action=build", "uname() { echo riscv64; }")
    assert "give --unpinned" in check(tmp_path, *lines).stderr

    (program / "current/UNPINNED").touch()
    done = check(tmp_path, *lines)
    assert done.stdout.strip() == "well", done.stderr


@pytest.mark.parametrize(
    ("machine", "taken"), [("aarch64", True), ("x86_64", False), ("riscv64", False)]
)
def test_packages_of_another_machine_are_left_and_the_network_is_asked(
    tmp_path: Path, machine: str, taken: bool
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    (wheels / f"numpy-2.4.6-{python}-{python}-manylinux_2_28_aarch64.whl").touch()
    done = run(
        tmp_path,
        f"here={tmp_path} wheels={wheels}",
        f'python3() {{ case "$1" in -V) echo Python 3 ;; *) echo {python} ;; esac; }}',
        f"uname() {{ echo {machine}; }}",
        "leave_foreign_wheels",
        'echo "taken: $wheels"',
    )
    assert done.returncode == 0, done.stderr
    assert (f"taken: {wheels}" in done.stdout) is taken
    assert (f"no packages for {machine}" in done.stdout + done.stderr) is not taken


def test_sh_finds_bash(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", str(INSTALLER), "--nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "unknown option --nonsense" in done.stderr


USERS = """
rm() { echo "rm $*"; command rm "$@" 2>/dev/null || true; }
userdel() { echo "userdel $*"; }
useradd() { echo "useradd $*"; }
usermod() { :; }
getent() { return 1; }
systemctl() { :; }
need_root() { :; }
"""


@pytest.mark.parametrize("there", [True, False])
def test_a_user_that_was_there_before_outlives_a_purge(tmp_path: Path, there: bool) -> None:
    settings = tmp_path / "etc"
    place = f"data={tmp_path}/data program={tmp_path}/opt command={tmp_path}/bin"
    known = f"id() {{ {'true' if there else f'[ -e {tmp_path}/made ]'}; }}"
    lines = [USERS, known, place, "make_users", f"touch {tmp_path}/made"]
    if there:
        lines.append(f"mkdir {settings}")
    done = run(settings, *lines, "purge=yes yes=yes units=() services=()", "uninstall")
    assert done.returncode == 0, done.stderr
    for user in ("affect-edge-dashboard", "affect-edge"):
        assert (f"userdel {user}\n" in done.stdout) is not there
        assert (f"the user {user} was there before, and stays" in done.stdout) is there
    assert not settings.exists()


def test_a_user_of_an_installation_that_was_cut_short_is_known_as_ours(tmp_path: Path) -> None:
    settings = tmp_path / "etc"
    cut = "useradd() { exit 9; }"
    done = run(settings, USERS, "id() { false; }", f"data={tmp_path}/data", cut, "make_users")
    assert done.returncode == 9
    assert (settings / "user").read_text() == "affect-edge\n"


@pytest.mark.parametrize(
    ("purge", "words"), [("yes", "--uninstall --purge"), ("no", "--uninstall")]
)
def test_user_who_is_not_root_gets_the_whole_command(
    tmp_path: Path, purge: str, words: str
) -> None:
    stranger = 'id() { [ "$1" = -u ] && echo 1000; }'
    done = run(tmp_path, stranger, f"purge={purge}", "uninstall")
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(words)


@pytest.mark.parametrize(
    ("asked", "taken"),
    [("lsl", "lsl"), ("lsl,parquet", "lsl,parquet"), ("parquet,parquet", "parquet"), ("none", "")],
)
def test_chosen_options_are_applied_and_remembered(tmp_path: Path, asked: str, taken: str) -> None:
    done = run(tmp_path, f"parse --with {asked}", "remember_parts", 'echo "$parts"')
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == taken
    file = tmp_path / "parts"
    remembered = file.read_text().strip() if file.exists() else ""
    assert remembered == taken


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--with torch", "--with torch: there is no such part; give lsl parquet"),
        ("--with lsl,torch", "--with torch: there is no such part"),
        ("--with ,", "--with ,: give lsl parquet"),
        ("--with ''", "--with needs a value"),
        ("--with", "--with needs a value"),
        ("--uninstall --with lsl", "--with does not go with --uninstall"),
    ],
)
def test_a_part_that_there_is_not_is_refused_as_wrong_use(
    tmp_path: Path, words: str, said: str
) -> None:
    done = run(tmp_path, f"parse {words}", "remember_parts")
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize(
    ("words", "before", "taken"),
    [("--yes", "lsl,parquet", "lsl,parquet"), ("--build", "lsl,holograms", "lsl")],
)
def test_an_installation_and_an_update_keep_parts_of_before_that_they_know(
    tmp_path: Path, words: str, before: str, taken: str
) -> None:
    (tmp_path / "parts").write_text(f"{before}\n")
    done = run(tmp_path, f"parse {words}", 'echo "$parts"')
    assert (done.returncode, done.stdout.strip()) == (0, taken)


def test_the_plan_names_parts_that_come_and_go(tmp_path: Path) -> None:
    done = run(tmp_path, "parse --with lsl,parquet", "missing=()", "plan", "remember_parts")
    assert "• add the optional parts lsl, parquet" in done.stdout
    done = run(tmp_path, "parse --with none", "missing=()", "plan", "remember_parts")
    assert "leave out the optional parts that are there now: lsl,parquet" in done.stdout
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize(
    ("parts", "loads", "refused"),
    [("lsl", "false", True), ("lsl", "true", False), ("parquet", "false", False)],
    ids=["missing", "there", "not asked for"],
)
def test_streams_whose_library_is_missing_are_refused(
    tmp_path: Path, parts: str, loads: str, refused: bool
) -> None:
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(f"/bin/{loads}")
    machine = "uname() { echo riscv64; }"
    done = run(tmp_path, f"parse --with {parts}", machine, f"require_lsl '{tmp_path}/venv'")
    said = "--with lsl: liblsl, the native library of the Lab Streaming Layer, is missing for risc"
    assert (done.returncode, said in done.stderr) == (int(refused), refused)


def test_an_installation_that_fails_takes_the_parts_back(tmp_path: Path) -> None:
    (tmp_path / "parts").write_text("lsl\n")
    lines = ("parse --with parquet", "remember_parts", "step=trying", "(finish_badly 1) || true")
    done = run(tmp_path, *lines)
    assert "stopped while trying" in done.stderr
    assert (tmp_path / "parts").read_text() == "lsl\n"


def test_the_same_program_with_other_parts_is_another_release(tmp_path: Path) -> None:
    print_it = 'echo "$(fingerprint_here)"'
    lines = ("parse --with lsl", print_it, "parts=", print_it)
    first, second = run(tmp_path, *lines).stdout.split()
    assert first != second


def test_every_part_is_pinned_by_hash_for_every_platform(tmp_path: Path) -> None:
    assert run(tmp_path, 'echo "${known_parts[*]}"').stdout.split() == list(PARTS)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(PARTS) <= set(project["optional-dependencies"])
    for python in PYTHONS:
        for machine in MACHINES:
            every = pins_in(ROOT / f"requirements/linux-{machine}-py{python}.txt")
            for part in PARTS:
                lines = pins_in(ROOT / f"requirements/linux-{machine}-py{python}-{part}.txt")
                wanted = project["optional-dependencies"][part][0].split(">")[0]
                # what every appliance has is not pinned twice
                assert any(line.startswith(f"{wanted}==") for line in [*lines, *every])
                assert all("--hash=sha256:" in line for line in lines)


WITHOUT_PARTS = """
import sys
for name in ("cbor2", "edfio", "pyarrow", "pylsl", "psycopg", "serial", "xlsxwriter"):
    sys.modules[name] = None
"""


def test_every_module_is_compiled_though_no_optional_part_is_installed() -> None:
    script = (ROOT / "install.sh").read_text(encoding="utf-8")
    (compiles,) = re.findall(
        r"<<'PYTHON'\n(import importlib, pkgutil\n.*?)^PYTHON$", script, re.M | re.S
    )
    last = "print(*(name for name in sys.modules if name.startswith('dashboard.web')))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_PARTS + compiles + last],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert "dashboard.web.app" in done.stdout.split()


@pytest.mark.parametrize(
    ("stored", "is_due"), [(34, True), (40, False), (41, False), (None, False), ("pipe", False)]
)
def test_upgrade_of_the_database_is_due_where_its_schema_is_older(
    tmp_path: Path, stored: int | str | None, is_due: bool
) -> None:
    database = tmp_path / "affect-edge.db"
    if stored == "pipe":
        os.mkfifo(database)
    elif stored is not None:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute(f"PRAGMA user_version={stored}")
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho 40\n")
    python.chmod(0o755)
    without_waiting = 'timeout() { shift; command timeout 0.2 "$@"; }'
    done = run(
        tmp_path,
        f"data={tmp_path} release={tmp_path}",
        without_waiting,
        "if upgrade_is_due; then echo due; fi",
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout == "due\n") is is_due


STUBS = """
install() { command install -m 600 "${@: -2}"; }
chown() { :; }
systemctl() { echo "systemctl $*"; }
config="$settings/affect-edge.toml"
echo 'username = "affect-edge"' >"$config"
"""


def set_up(settings: Path, etc: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    files = " ".join(f"'{etc / name}'" for name in ("conf", "acl", "passwd"))
    return run(settings, f"broker_files=({files})", STUBS, *lines)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of the settings, and of the broker."""
    settings = tmp_path / "settings"
    etc = tmp_path / "etc"
    for folder in (settings, etc):
        folder.mkdir()
    done = set_up(settings, etc, "set_up_broker")
    assert done.returncode == 0, done.stderr
    with (etc / "passwd").open("a") as passwords:
        passwords.write("watch:$7$101$AAAA$BBBB\n")
    with (etc / "acl").open("a") as rules:
        rules.write("\nuser watch\ntopic write affect-edge/affect-edge/ingest/vitals\n")
    return settings, etc


def names(etc: Path) -> list[str]:
    return [line.partition(":")[0] for line in (etc / "passwd").read_text().splitlines()]


@pytest.mark.broker
def test_broker_set_up_again_keeps_its_accounts_and_rules(places: tuple[Path, Path]) -> None:
    settings, etc = places
    before = {file.name: file.read_text() for file in etc.iterdir()}
    assert set_up(settings, etc, "set_up_broker").returncode == 0
    assert {file.name: file.read_text() for file in etc.iterdir()} == before


@pytest.mark.broker
def test_accounts_outlive_an_uninstallation(places: tuple[Path, Path]) -> None:
    settings, etc = places
    (etc / "conf").unlink()
    (settings / "mqtt-password").unlink()
    done = set_up(settings, etc, "set_up_broker")
    assert done.returncode == 0, done.stderr
    assert names(etc) == ["affect-edge", "watch"]
    assert "watch:$7$101$AAAA$BBBB" in (etc / "passwd").read_text(), "its hash is not hashed again"
    assert (etc / "acl").read_text().count("user watch") == 1
    assert (etc / "conf").exists() and (settings / "mqtt-password").exists()


@pytest.mark.broker
def test_an_installation_that_fails_takes_no_account_with_it(places: tuple[Path, Path]) -> None:
    settings, etc = places
    (etc / "conf").unlink()
    (settings / "mqtt-password").unlink()
    set_up(settings, etc, "set_up_broker", 'eval "${undo[-1]}"')
    assert not (etc / "conf").exists()
    assert names(etc) == ["affect-edge", "watch"]


def step(tmp_path: Path, *functions: str) -> subprocess.CompletedProcess[str]:
    """Run functions of the installer on folders of our own."""
    places = f"program='{tmp_path}/opt' release='{tmp_path}/opt/r1' share='{tmp_path}/share'"
    return run(tmp_path, places, *functions)


def release(tmp_path: Path) -> None:
    shared = tmp_path / "opt/r1/venv/share"
    for name in ("man/man1/affect-edge.1", "bash-completion/completions/affect-edge"):
        (shared / name).parent.mkdir(parents=True)
        (shared / name).write_text("", encoding="ascii")
    (tmp_path / "opt/current").symlink_to("r1")
    (tmp_path / "share/man").mkdir(parents=True)


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_links_lead_to_the_release_that_runs(tmp_path: Path) -> None:
    release(tmp_path)
    done = step(tmp_path, "link_shared", "link_shared")
    assert done.returncode == 0, done.stderr
    link = tmp_path / "share/man/man1/affect-edge.1"
    assert link.readlink() == tmp_path / "opt/current/venv/share/man/man1/affect-edge.1"
    assert link.exists()
    assert not (tmp_path / "share/fish").exists()  # this release has none for it


@pytest.mark.parametrize("there", [(), ("man/man1", "bash-completion/completions")])
def test_unlinking_removes_the_links_that_were_made_and_nothing_else(
    tmp_path: Path, there: tuple[str, ...]
) -> None:
    release(tmp_path)
    for folder in there:
        (tmp_path / "share" / folder).mkdir(parents=True)
    before = below(tmp_path / "share")
    done = step(tmp_path, "link_shared", "unlink_shared")
    assert done.returncode == 0, done.stderr
    assert below(tmp_path / "share") == before


def test_a_folder_in_which_somebody_put_something_stays(tmp_path: Path) -> None:
    release(tmp_path)
    step(tmp_path, "link_shared")
    other = tmp_path / "share/man/man1/other.1"
    other.write_text("", encoding="ascii")
    step(tmp_path, "unlink_shared")
    assert below(tmp_path / "share") == {"man", "man/man1", "man/man1/other.1"}


def test_the_files_that_are_linked_are_those_of_the_wheel() -> None:
    installer = (ROOT / "install.sh").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (line,) = [line for line in installer.splitlines() if line.startswith("shared=(")]
    for name in line.removeprefix("shared=(").removesuffix(")").split():
        folder, _, file = name.rpartition("/")
        assert f'"share/{folder}" = ["affect_edge/shell/' in project
        assert f'/{file}"]' in project


@pytest.mark.parametrize("kind", ["file", "pipe", "link"])
def test_what_stands_in_the_place_of_the_exports_gives_way_to_a_folder(
    tmp_path: Path, kind: str
) -> None:
    exports = tmp_path / "data/dashboard/exports"
    exports.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(exports)
    elif kind == "link":
        exports.symlink_to(tmp_path)
    else:
        exports.touch()
    done = run(tmp_path / "settings", f"data={tmp_path}/data", "chown() { :; }", "share_files")
    assert not done.returncode, done.stderr
    assert exports.is_dir() and not exports.is_symlink()


_STARTS_A_CHILD = """
import subprocess, sys
from affect_edge import app
print("command", flush=True)
app.cli = lambda **_: subprocess.run([sys.executable, "-c", "print('child')"])
app.main()
"""


def test_command_of_a_release_runs_no_code_planted_in_a_home(tmp_path: Path) -> None:
    """With the system's packages, as for picamera2, Python looks into the home of its user."""
    venv = tmp_path / "venv"
    options = ["--system-site-packages", "--without-pip"]
    subprocess.run([sys.executable, "-m", "venv", *options, venv], check=True, timeout=60)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    home = tmp_path / f"data/.local/lib/{version}/site-packages"
    home.mkdir(parents=True)
    (home / "usercustomize.py").write_text("print('planted')\n")
    command = venv / "bin/affect-edge"
    command.write_text(f"#!{venv}/bin/python3\n{_STARTS_A_CHILD}")
    command.chmod(0o755)
    places = (ROOT, sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    environment = {"HOME": str(tmp_path / "data"), "PYTHONPATH": os.pathsep.join(map(str, places))}

    def said() -> list[str]:
        done = subprocess.run(
            [command], env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.split()

    assert said() == ["planted", "command", "planted", "child"]
    done = run(tmp_path, f"pass_over_homes '{command}'")
    assert done.returncode == 0, done.stderr
    assert said() == ["command", "child"]


def test_user_whose_home_is_the_data_folder_gets_none(tmp_path: Path) -> None:
    homes = f"getent() {{ [ $2 != affect-edge ] || echo $2:x:1:1::{tmp_path}:/sh; }}"
    tell = 'usermod() { echo "usermod $*"; }'
    done = run(tmp_path / "settings", f"data={tmp_path}", homes, tell, "leave_home")
    assert done.stdout.splitlines() == ["usermod --home /nonexistent affect-edge"], done.stderr


@needs_root
@pytest.mark.parametrize("owner", [0, AGENT])
def test_folder_of_the_socket_of_another_user_goes(tmp_path: Path, owner: int) -> None:
    runtime, precious = tmp_path / "run", tmp_path / "precious"
    runtime.mkdir()
    precious.mkdir()
    (runtime / "database.sock").symlink_to(precious)
    os.chown(runtime, owner, owner)
    done = run(tmp_path / "settings", f"runtime={runtime}", "take_runtime")
    assert done.returncode == 0, done.stderr
    assert runtime.exists() is (owner == 0)
    assert precious.exists()


# Owner and user AGENT may read and write: version; tag, rights and number of each entry.
_NOBODY = 0xFFFFFFFF
_ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in [
        (1, 6, _NOBODY),
        (2, 6, AGENT),
        (4, 0, _NOBODY),
        (16, 6, _NOBODY),
        (32, 0, _NOBODY),
    ]
)


def accounts_of(data: Path, owner: int) -> Path:
    """Make a folder of accounts, with a list that lets the agent's user write them."""
    accounts = data / "dashboard/dashboard.db"
    accounts.parent.mkdir(parents=True)
    accounts.write_text("mallory")
    accounts.chmod(0o600)
    os.setxattr(accounts, "system.posix_acl_access", _ACL)
    for path in (accounts, accounts.parent):
        os.chown(path, owner, GROUP)
    os.chown(data, AGENT, GROUP)
    return accounts


@needs_root
def test_accounts_in_a_folder_of_the_agent_are_set_aside_not_given_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    accounts = accounts_of(data, AGENT)
    for _ in range(2):
        done = run(tmp_path / "settings", f"data={data}", STAND_INS, "share_files")
        assert done.returncode == 0, done.stderr
        assert not accounts.exists()
        assert accounts.parent.stat().st_uid == WEB
    (aside,) = data.glob("dashboard.set-aside.*")
    assert (aside.stat().st_uid, aside.stat().st_mode & 0o777) == (0, 0o700)
    moved = aside / "dashboard"
    assert (moved.stat().st_uid, (moved / "dashboard.db").read_text()) == (AGENT, "mallory")


@needs_root
def test_accounts_of_the_dashboard_stay_and_lose_their_access_lists(tmp_path: Path) -> None:
    accounts = accounts_of(tmp_path / "data", WEB)
    done = run(tmp_path / "settings", f"data={tmp_path}/data", STAND_INS, "share_files")
    assert done.returncode == 0, done.stderr
    assert (accounts.read_text(), accounts.stat().st_uid) == ("mallory", WEB)
    assert os.listxattr(accounts) == []


def test_command_as_another_user_has_no_terminal_nor_file_of_roots(tmp_path: Path) -> None:
    assert INSTALLER.read_text().count("runuser") == 1, "by run_as alone"
    tools, release = tmp_path / "tools", tmp_path / "release/venv/bin"
    for folder in (tools, release):
        folder.mkdir(parents=True)
    (tools / "runuser").write_text('#!/bin/sh\nshift 3\nexec "$@"\n')
    (release / "affect-edge").write_text(
        # through a file: the shell itself has a pipe open for a moment
        "#!/bin/sh\nls /proc/$$/fd >$0.files; tr '\\n' ' ' <$0.files; readlink /proc/$$/fd/0\n"
        "ps -o sid= -p $$; echo complaint >&2; exit 7\n"
    )
    for file in (tools / "runuser", release / "affect-edge"):
        file.chmod(0o755)
    places = f"PATH={tools}:$PATH release={tmp_path}/release config=c data=d"
    done = run(
        tmp_path,
        places,
        f"exec 9>{tmp_path}/lock",
        "ps -o sid= -p $$",
        "as_user certificate && code=0 || code=$?",
        'echo "$code"',
    )
    session, files, own_session, code = done.stdout.splitlines()
    numbers, stdin = files.rsplit(" ", 1)
    assert stdin == "/dev/null"
    of_the_shell_itself = range(10, 256)
    assert {0, 1, 2} >= {int(one) for one in numbers.split()} - set(of_the_shell_itself)
    assert own_session != session
    assert (code, "complaint" in done.stderr) == ("7", True)


def test_lock_of_an_installation_is_roots_alone_and_holds(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    done = run(tmp_path, f"lock={file}", "umask 022", "lock", "umask", "exec 8>$lock", "flock -n 8")
    assert (done.returncode, done.stdout) == (1, "0022\n")
    assert file.stat().st_mode & 0o777 == 0o600
    (line,) = re.findall(r"^lock=(.*)$", INSTALLER.read_text(encoding="utf-8"), re.MULTILINE)
    assert Path(line).parent == Path("/run"), "where root alone makes files"

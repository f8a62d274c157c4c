"""What ``install.sh`` looks at before it changes anything, and what was there before and stays."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.appliance.installer import INSTALLER, run

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
def test_what_would_fail_later_is_said_before_the_plan(
    tmp_path: Path, line: str, said: str
) -> None:
    done = check(tmp_path, line, options="--unpinned")
    assert done.returncode == 1
    assert "well" not in done.stdout
    assert re.search(said, done.stderr), done.stderr


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
def test_who_is_not_root_is_told_the_whole_command(tmp_path: Path, purge: str, words: str) -> None:
    stranger = 'id() { [ "$1" = -u ] && echo 1000; }'
    done = run(tmp_path, stranger, f"purge={purge}", "uninstall")
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(words)

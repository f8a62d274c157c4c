"""``install.sh``: the manual page and the completions, where man and the shells look."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.appliance.installer import run
from tools.build_release import ROOT


def step(tmp_path: Path, *functions: str) -> subprocess.CompletedProcess[str]:
    """Run functions of the installer on folders of our own."""
    places = f"program='{tmp_path}/opt' release='{tmp_path}/opt/r1' share='{tmp_path}/share'"
    return run(tmp_path, places, *functions)


def release(tmp_path: Path) -> None:
    """A release with what a wheel brings."""
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


def test_what_was_made_goes_again_and_nothing_else(tmp_path: Path) -> None:
    release(tmp_path)
    before = below(tmp_path / "share")
    step(tmp_path, "link_shared")
    assert step(tmp_path, "unlink_shared").returncode == 0
    assert below(tmp_path / "share") == before


def test_where_no_folder_was_made_the_links_alone_go(tmp_path: Path) -> None:
    release(tmp_path)
    for folder in ("man/man1", "bash-completion/completions"):
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
        assert f'"share/{folder}" = ["edge_agent/cli/shell/' in project
        assert f'/{file}"]' in project

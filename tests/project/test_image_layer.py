"""The tree for images: what pi-gen and rpi-image-gen find, and where it lands in an image."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.build_image_layer import INSIDE, UNIT, lay_out

ROOT = Path(__file__).resolve().parents[2]
STAGE = "stage-affect-edge/00-affect-edge"


@pytest.fixture
def careful_umask() -> Iterator[None]:
    """Somebody whose files nobody else may read."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def layer(tmp_path: Path, careful_umask: None) -> Path:
    """The tree with a release that has no wheels to speak of."""
    release = tmp_path / "affect-edge-1.2.3"
    (release / "wheels").mkdir(parents=True)
    (release / "wheels/affect_edge-1.2.3-py3-none-any.whl").write_bytes(b"a wheel")
    shutil.copy(ROOT / "install.sh", release)
    return lay_out(release, ROOT / "image", tmp_path / "layer")


def run_stage(layer: Path, rootfs: Path) -> None:
    """Do what pi-gen does with the scripts of a stage."""
    common = 'copy_previous() { mkdir -p "$ROOTFS_DIR/etc"; }; export -f copy_previous'
    for folder, script in (("stage-affect-edge", "prerun.sh"), (STAGE, "01-run.sh")):
        assert os.access(layer / folder / script, os.X_OK), (
            "pi-gen passes over scripts that cannot be executed"
        )
        subprocess.run(
            ["bash", "-c", f"{common}; ./{script}"],
            cwd=layer / folder,
            env={**os.environ, "ROOTFS_DIR": str(rootfs)},
            check=True,
        )


def test_an_image_gets_the_release_and_its_first_start(layer: Path, tmp_path: Path) -> None:
    rootfs = tmp_path / "rootfs"
    run_stage(layer, rootfs)
    run_stage(layer, rootfs)  # pi-gen may be run again over what is there
    installer = rootfs / INSIDE / "install.sh"
    unit = rootfs / "usr/lib/systemd/system" / UNIT
    assert f"ExecStart=/bin/sh -c '/{INSIDE}/install.sh --yes" in unit.read_text()
    wanted = rootfs / "etc/systemd/system/multi-user.target.wants" / UNIT
    assert wanted.readlink() == Path("/", unit.relative_to(rootfs))
    modes = {
        path: path.stat().st_mode & 0o777
        for path in (rootfs / "usr", rootfs / "etc", installer, unit)
    }
    assert list(modes.values()) == [0o755, 0o755, 0o755, 0o644], (
        "readable for all, although the builder is careful"
    )
    assert (
        rootfs / INSIDE / "wheels/affect_edge-1.2.3-py3-none-any.whl"
    ).read_bytes() == b"a wheel"


def test_what_the_service_removes_at_its_end_is_all_that_the_layer_brought(layer: Path) -> None:
    files = layer / STAGE / "files"
    removed = re.findall(
        r"exec rm -rf (.*)'", (files / "usr/lib/systemd/system" / UNIT).read_text()
    )[0].split()
    left = [
        str(path.relative_to(files))
        for path in files.rglob("*")
        if (path.is_symlink() or path.is_file())
        and not f"/{path.relative_to(files)}".startswith(tuple(removed))
    ]
    assert left == ["etc/affect-edge/packages"], "which belongs to the configuration from then on"


def test_the_image_has_every_package_that_installer_would_have_to_fetch(layer: Path) -> None:
    installer = (ROOT / "install.sh").read_text()
    needed = re.findall(r"^  packages=\((.*)\)$", installer, re.MULTILINE)[0].split()
    needed += re.findall(r"packages\+=\(([a-z0-9-]+)\)", installer)
    assert (layer / STAGE / "00-packages-nr").read_text().split() == needed
    recipe = (layer / "rpi-image-gen/layer/affect-edge.yaml").read_text()
    assert re.findall(r"^    - ([a-z0-9-]+)$", recipe, re.MULTILINE) == needed


def test_rpi_image_gen_finds_layer_example_and_files(layer: Path) -> None:
    source = layer / "rpi-image-gen"
    recipe = (source / "layer/affect-edge.yaml").read_text()
    example = (source / "config/affect-edge.yaml").read_text()
    assert re.match(r"# METABEGIN\n(# X-Env-Layer-.*\n)+# METAEND\n---\n", recipe)
    name = re.findall(r"X-Env-Layer-Name: (.*)", recipe)[0]
    assert re.findall(r"^  app: (.*)$", example, re.MULTILINE) == [name]
    hook = re.findall(r"customize-hooks:\n    - (.*)", recipe)[0]
    target = layer.parent / "target"
    target.mkdir()
    subprocess.run(["sh", "-c", hook, "sh", str(target)], cwd=source, check=True)
    assert (target / INSIDE / "install.sh").exists()

"""Write the files that pi-gen or rpi-image-gen copy into an image with the appliance.

    python -m tools.build_image_layer                   dist/image-layer, for Raspberry Pi OS 13,
    from what is committed python -m tools.build_image_layer --suite bookworm  for Raspberry Pi OS
    12

The release lies in the image with its wheels; it is installed at the first start, without a
network, by the same `install.sh` as everywhere. So certificate, passwords and setup code are drawn
on each machine, and no two share them. docs/image.md tells how it is used.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from tools.build_release import ROOT, committed, release_tree, require_support, require_version

PLATFORMS = {"trixie": "linux-aarch64-py3.13", "bookworm": "linux-aarch64-py3.11"}
INSIDE = "usr/lib/affect-edge-image"
UNIT = "affect-edge-first-boot.service"
OURS = "mosquitto\n"
"""Packages of the image that the installer may set up as its own.

A broker that is there otherwise is left alone.
"""


def build_image_layer(source: Path, out: Path, platform: str) -> Path:
    """Lay out the tree of a source tree; what was at ``out`` is replaced.

    Args:
        source: the tree.
        out: the folder of the layer.
        platform: name of a file in ``requirements/``, whose wheels go along.

    Returns:
        ``out``: a stage of pi-gen in ``stage-affect-edge``, a source folder of rpi-image-gen in
            ``rpi-image-gen``.
    """
    with tempfile.TemporaryDirectory() as folder:
        return lay_out(release_tree(source, Path(folder), [platform]), source / "image", out)


def lay_out(release: Path, image: Path, out: Path) -> Path:
    """Put a release and the files of ``image/`` where both programs look for them.

    See ``build_image_layer``.
    """
    shutil.rmtree(out, ignore_errors=True)
    stage = out / "stage-affect-edge"
    general = out / "rpi-image-gen"
    shutil.copytree(image / "pi-gen", stage)
    shutil.copytree(image / "rpi-image-gen", general)
    files = stage / "00-affect-edge/files"
    shutil.copytree(release, files / INSIDE, symlinks=True)
    units = files / "usr/lib/systemd/system"
    wanted = files / "etc/systemd/system/multi-user.target.wants"
    for folder in (units, wanted, files / "etc/affect-edge"):
        folder.mkdir(parents=True)
    shutil.copy(image / UNIT, units)
    (wanted / UNIT).symlink_to(f"/usr/lib/systemd/system/{UNIT}")
    (files / "etc/affect-edge/packages").write_text(OURS, encoding="ascii")
    (general / "files").symlink_to("../stage-affect-edge/00-affect-edge/files")
    for path in files.rglob("*"):  # whatever the umask of who builds it
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    files.chmod(0o755)
    return out


def main() -> None:
    """Do what the words say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--suite", choices=PLATFORMS, default="trixie", help="Raspberry Pi OS 13 (default) or 12"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "dist/image-layer", help="folder to make; it is replaced"
    )
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = committed(Path(folder) / "tree")
        require_version(tree)
        require_support(tree)
        out = build_image_layer(tree, words.out, PLATFORMS[words.suite])
    size = sum(
        path.stat().st_size for path in out.rglob("*") if path.is_file() and not path.is_symlink()
    )
    print(f"{out} ({size / 1e6:.0f} MB), for Raspberry Pi OS of {words.suite}:")
    print(f"  pi-gen         {out / 'stage-affect-edge'} in STAGE_LIST, after stage2")
    print(f"  rpi-image-gen  build -S {out / 'rpi-image-gen'} -c affect-edge.yaml")


if __name__ == "__main__":
    main()

"""Build the signed archive of `affect-edge update`: program, units, wheels of each platform.

    python -m tools.build_release --key FILE           dist/affect-edge-VERSION.tar and its .sig,
    from what is committed
    python -m tools.build_release --make-key FILE      a new key; its public part goes into
    config/release-signers

The archive is made of wheels alone, so that an appliance without a network can be updated.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge_agent.appliance.release import NAMESPACE, SIGNER
from tools.pin_requirements import platform_options

ROOT = Path(__file__).resolve().parents[1]
PLATFORMS = ("linux-aarch64-py3.11", "linux-aarch64-py3.13")
FILES = (
    "install.sh",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "SECURITY.md",
    "config",
    "systemd",
    "requirements",
)
PACKAGES = ("edge_agent", "dashboard", "training", "pyproject.toml", "README.md", "LICENSE")


def build_release(source: Path, out: Path, platforms: Sequence[str]) -> Path:
    """Build the archive of a source tree.

    Args:
        source: the tree.
        out: folder for the archive; made if needed.
        platforms: names of files in ``requirements/`` whose wheels go along.

    Returns:
        The archive, not yet signed.
    """
    with tempfile.TemporaryDirectory() as folder:
        top = release_tree(source, Path(folder), platforms)
        out.mkdir(parents=True, exist_ok=True)
        archive = out / f"{top.name}.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(top, top.name, filter=plain)
    return archive


def release_tree(source: Path, folder: Path, platforms: Sequence[str]) -> Path:
    """Make the folder ``affect-edge-VERSION``, which installs without a network; return it.

    Args:
        source: the tree.
        folder: where it goes; what is made on the way is left beside it.
        platforms: names of files in ``requirements/`` whose wheels go along.
    """
    version = version_of(source)
    top = folder / f"affect-edge-{version}"
    wheels = top / "wheels"
    wheels.mkdir(parents=True)
    (top / "VERSION").write_text(f"{version}\n", encoding="ascii")
    for name in FILES:
        copy(source / name, top / name)
    own_wheel(source, folder / "build", wheels)
    for platform in platforms:
        for pins in sorted((source / "requirements").glob(f"{platform}*.txt")):
            download(pins, wheels)  # the platform's own, and those of the optional parts
    return top


def version_of(source: Path) -> str:
    """Return the version, which stands in one place."""
    lines = (source / "edge_agent/__init__.py").read_text(encoding="utf-8").splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("__version__"))


def copy(source: Path, target: Path) -> None:
    """Copy a file or folder, without what Python leaves behind."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


def own_wheel(source: Path, build: Path, wheels: Path) -> None:
    """Build our own wheel from a copy, so that nothing is left in the tree."""
    build.mkdir()
    for name in PACKAGES:
        copy(source / name, build / name)
    pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(build))


def download(pins: Path, wheels: Path) -> None:
    """Fetch the wheels that a file of requirements pins; their hashes are checked."""
    machine, python = pins.stem.split("-")[1:3]
    options = platform_options(machine, python.removeprefix("py"))
    pip(
        "download",
        "--no-deps",
        "--require-hashes",
        "-r",
        str(pins),
        "--dest",
        str(wheels),
        *options,
    )


def pip(*words: str) -> None:
    """Run pip."""
    subprocess.run(
        [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", *words], check=True
    )


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who built the archive, and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def sign(archive: Path, key: Path) -> Path:
    """Sign an archive; return the signature, which lies beside it."""
    signature = archive.with_name(f"{archive.name}.sig")
    signature.unlink(missing_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(archive)],
        check=True,
    )
    return signature


def make_key(key: Path, signers: Path, passphrase: str | None = None) -> None:
    """Make a key for signing, and trust it from the next release on.

    Args:
        key: file of the private part; it must not lie in the repository.
        signers: file to which the public part is added.
        passphrase: of the key; ``None`` lets ssh-keygen ask for it.
    """
    if key.resolve().is_relative_to(ROOT):
        raise SystemExit(
            f"{key}: the private key must not lie in the repository; choose a place outside."
        )
    key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    passphrase_options = [] if passphrase is None else ["-N", passphrase]
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-C", NAMESPACE, "-f", str(key), *passphrase_options],
        check=True,
    )
    public = key.with_name(f"{key.name}.pub").read_text(encoding="ascii").strip()
    with signers.open("a", encoding="utf-8") as file:
        file.write(f'{SIGNER} namespaces="{NAMESPACE}" {public}\n')


def committed(folder: Path) -> Path:
    """Return a copy of what is committed."""
    listing = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True)
    folder.mkdir()
    subprocess.run(["tar", "-xf", "-", "-C", str(folder)], input=listing.stdout, check=True)
    return folder


def main() -> None:
    """Do what the words say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--key", type=Path, help="private key to sign with; without it the archive stays unsigned"
    )
    parser.add_argument("--make-key", type=Path, help="make a new key there")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the archive")
    parser.add_argument(
        "--platform",
        action="append",
        help=f"wheels of this platform; default: {', '.join(PLATFORMS)}",
    )
    words = parser.parse_args()
    if words.make_key:
        make_key(words.make_key, ROOT / "config/release-signers")
        print(
            f"The private part is {words.make_key}: keep it off this machine. Commit "
            "config/release-signers."
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = build_release(
            committed(Path(folder) / "tree"), words.out, words.platform or PLATFORMS
        )
    print(f"{archive} ({archive.stat().st_size / 1e6:.0f} MB)")
    if words.key:
        print(sign(archive, words.key))
    else:
        print("It is not signed (--key FILE), so `affect-edge update` will refuse it.")


if __name__ == "__main__":
    main()

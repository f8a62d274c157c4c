"""Build a release: archive of `affect-edge update`, container images, app for Home Assistant.

    python -m tools.build_release --key FILE           dist/affect-edge-VERSION.tar and its .sig,
    from what is committed; with podman also the images, with signatures; and dist/home-assistant
    python -m tools.build_release --make-key FILE      a new key; its public part goes into
    config/release-signers

The archive is made of wheels alone, so that an appliance without a network can be updated.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from platform import machine as this_machine

from edge_agent.appliance.trust import NAMESPACE, PURPOSE, Trust, read_key_file
from edge_agent.core.errors import UpdateError
from edge_agent.core.support import Support, read_support
from tools.documents.reference import write_docs
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
IMAGES = ("affect-edge", "affect-edge-broker", "affect-edge-home-assistant")
"""Images of `make container`."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
IMAGE = re.compile(r"([a-zA-Z.:\d-]+/)*[\w-]+/[\w-]+")
"""Names of images that Home Assistant takes: no tag, and no registry without an owner."""
HERE = "localhost/affect-edge-home-assistant"
SUPPORT = "edge_agent/core/support.toml"
PRODUCTS = ("affect_edge", "edge_agent", "collector", "dashboard")
PACKAGES = (*PRODUCTS, "pyproject.toml", "README.md", "LICENSE")


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
    write_docs(source, top / "docs")
    tell_support(top / "SECURITY.md", read_support(source / SUPPORT))
    own_wheel(source, folder / "build", wheels)
    for platform in platforms:
        for pins in sorted((source / "requirements").glob(f"{platform}*.txt")):
            download(pins, wheels)  # the platform's own, and those of the optional parts
            write_sbom(pins, version, top / "sbom" / f"{pins.stem}.cdx.json")
    return top


def require_support(source: Path) -> None:
    """End the program where nobody has said whom to tell of weaknesses, and how long they are
    mended.
    """
    missing = read_support(source / SUPPORT).missing(datetime.now(UTC).date())
    if missing:
        raise SystemExit(f"{SUPPORT} is not filled in:\n" + "\n".join(missing))


def require_version(source: Path) -> None:
    """End the program where the version is not that of a release which the changelog dates."""
    version = version_of(source)
    changelog = (source / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.compile(rf"^## {re.escape(version)} – \d{{4}}-\d{{2}}-\d{{2}}$", re.MULTILINE)
    if not heading.search(changelog) or "\n## Unreleased\n" in changelog:
        raise SystemExit(
            f"{version} is not released: write the next version into edge_agent/__init__.py, and "
            "it with the day over what is unreleased in CHANGELOG.md"
        )


def tell_support(page: Path, support: Support) -> None:
    """Write address and day into the copy of SECURITY.md, where both are known."""
    if not support.contact or support.until is None:
        return
    text = page.read_text(encoding="utf-8")
    text = fill_in(text, "Address", support.contact)
    text = fill_in(text, "Supported until", support.until.isoformat())
    page.write_text(text, encoding="utf-8")


def fill_in(text: str, label: str, value: str) -> str:
    """Return a page in which the line of a list that begins with a label has this value."""
    begin = f"- {label}: "
    lines = text.splitlines()
    if not any(line.startswith(begin) for line in lines):
        raise SystemExit(f"SECURITY.md has no line '{begin}…' to fill in")
    filled = [begin + value if line.startswith(begin) else line for line in lines]
    return "\n".join([*filled, ""])


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


def write_sbom(pins: Path, version: str, out: Path) -> None:
    """Write which packages a file of requirements brings: CycloneDX 1.6, JSON.

    Args:
        pins: the file, with versions and hashes.
        version: of Affect Edge.
        out: the file to write; its folder is made if needed.
    """
    about = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--validate"]
    words = ["-W", "ignore", "-m", "cyclonedx_py", "requirements", *about, "-o", "-", str(pins)]
    made = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True)
    bill = json.loads(made.stdout)
    bill["metadata"]["component"]["version"] = version
    out.parent.mkdir(exist_ok=True)
    out.write_text(f"{json.dumps(bill, indent=2)}\n", encoding="utf-8")


def pip(*words: str) -> None:
    """Run pip."""
    subprocess.run(
        [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", *words], check=True
    )


def build_images(source: Path, out: Path, architecture: str, words: str) -> list[Path]:
    """Build the container images of a source tree by podman; return their archives.

    Args:
        source: the tree.
        out: folder for the archives.
        architecture: by podman's name; another than this machine's needs qemu-user-static.
        words: further words for ``podman build``.
    """
    version = version_of(source)
    given = f"ARGS=--platform linux/{architecture} {words}"
    made = subprocess.run(
        ["make", "-C", str(source), "container", f"TAG={version}", given], check=False
    )
    if made.returncode:
        raise SystemExit(
            f"The images for {architecture} were not built: podman says why above, and "
            "docs/containers.md what to do. The rest of the release is done."
        )
    return save_images(out, version, architecture)


def save_images(out: Path, tag: str, architecture: str) -> list[Path]:
    """Write images that were built here into OCI archives; return these."""
    archives = []
    for name in IMAGES:
        file = out / f"{name}-{tag}-{architecture}.oci.tar"
        file.unlink(missing_ok=True)
        words = ["podman", "save", "--quiet", "--format", "oci-archive", "--output", str(file)]
        subprocess.run([*words, f"localhost/{name}:{tag}"], check=True)
        archives.append(file)
    return archives


def image_name(text: str) -> str:
    """Return a name under which Home Assistant can get an image.

    Raises:
        argparse.ArgumentTypeError: Home Assistant accepts no such name.
    """
    if not IMAGE.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r}: Home Assistant takes names such as registry.example/OWNER/affect-edge, "
            "without a tag"
        )
    return text


def build_home_assistant(source: Path, out: Path, image: str) -> Path:
    """Write a repository of apps for Home Assistant; what was at ``out`` is replaced.

    Args:
        source: the tree.
        out: the folder of the repository.
        image: where Home Assistant gets the image, without a tag.
    """
    shutil.rmtree(out, ignore_errors=True)
    app = out / "affect-edge"
    unwanted = shutil.ignore_patterns("*.py", "__pycache__")
    shutil.copytree(source / "container/home_assistant", app, ignore=unwanted)
    with (app / "config.yaml").open("a", encoding="utf-8") as config:
        config.write(f'version: "{version_of(source)}"\nimage: {image}\n')
    copy(source / "dashboard/web/static/icon-192.png", app / "icon.png")
    copy(source / "CHANGELOG.md", app / "CHANGELOG.md")
    page = (source / "docs/home-assistant.md").read_text(encoding="utf-8")
    section = page.split("\n## As an app\n")[1].split("\n## ")[0].strip()
    (app / "DOCS.md").write_text(f"# Affect Edge\n\n{section}\n", encoding="utf-8")
    first = section.split("\n\n")[0]
    (app / "README.md").write_text(f"# Affect Edge\n\n{first}\n", encoding="utf-8")
    contact = json.dumps(read_support(source / SUPPORT).contact.removeprefix("mailto:"))
    repository = f"name: Affect Edge\nmaintainer: {contact}\n"
    (out / "repository.yaml").write_text(repository, encoding="utf-8")
    return out


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who built the archive, and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def sign(archive: Path, key: Path) -> Path:
    """Sign an archive; return the signature, which lies beside it."""
    signature = archive.with_name(f"{archive.name}.sig")
    signature.unlink(missing_ok=True)
    words = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(archive)]
    if subprocess.run(words, check=False).returncode:
        raise SystemExit(f"{key}: nothing could be signed with it; ssh-keygen says why above.")
    return signature


def require_key(source: Path, key: Path | None) -> None:
    """End the program where appliances would refuse what this key signs.

    Args:
        source: the tree, whose ``config/release-signers`` names the trusted keys.
        key: file of the private part, with the public part beside it.
    """
    if key is None:
        raise SystemExit(
            "No key was given, and appliances take no release without a signature. "
            "`make release-key KEY=FILE` makes a key; `make release KEY=FILE` signs with it."
        )
    try:
        own = read_key_file(key.with_name(f"{key.name}.pub"))
        trusted = Trust(source / "config").trusts(own)
    except UpdateError as error:
        raise SystemExit(str(error)) from error
    if not trusted:
        raise SystemExit(
            f"{key}: what {own.fingerprint} signs would be refused, for the committed "
            "config/release-signers does not name it, or config/release-revoked does. Commit the "
            "line that `make release-key` added, or sign with a key that is named."
        )


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
        file.write(f"{PURPOSE} {public}\n")


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
        "--key", type=Path, help="private key to sign with; its public part lies beside it (.pub)"
    )
    parser.add_argument("--make-key", type=Path, help="make a new key there")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the archive")
    parser.add_argument(
        "--platform",
        action="append",
        help=f"wheels of this platform; default: {', '.join(PLATFORMS)}",
    )
    parser.add_argument(
        "--architecture",
        action="append",
        choices=ARCHITECTURES.values(),
        help="images for this processor; default: this machine's",
    )
    parser.add_argument("--podman", default="", metavar="WORDS", help="words for podman build")
    parser.add_argument(
        "--image", type=image_name, default=HERE, help="where Home Assistant will find its image"
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
        tree = committed(Path(folder) / "tree")
        require_version(tree)
        require_support(tree)
        require_key(tree, words.key)
        archive = build_release(tree, words.out, words.platform or PLATFORMS)
        signature = sign(archive, words.key)
        Trust(tree / "config").check(archive, signature)
        tell(archive, signature)
        tell(build_home_assistant(tree, words.out / "home-assistant", words.image))
        if words.image == HERE:
            print("  It installs nowhere yet: --image says where Home Assistant finds the image.")
        if shutil.which("podman") is None:
            print("No images: podman is missing; on Debian: sudo apt install podman")
            return
        for architecture in words.architecture or [ARCHITECTURES[this_machine()]]:
            for image in build_images(tree, words.out, architecture, words.podman):
                tell(image, sign(image, words.key))
        print(f"For Home Assistant, {HERE} of both processors goes to --image:")
        print("  podman manifest create NAME:VERSION oci-archive:FILE oci-archive:FILE")
        print("  podman manifest push --all NAME:VERSION docker://NAME:VERSION")


def tell(*made: Path) -> None:
    """Print what was made, with its size."""
    for path in made:
        size = f" ({path.stat().st_size / 1e6:.0f} MB)" if path.suffix == ".tar" else ""
        print(f"{path}{size}")


if __name__ == "__main__":
    main()

"""Exports that only a passphrase opens: a zip of the export, locked by `age`, of the key, locked by
the passphrase, and of a text that says how to open both.

A random key locks the export (ChaCha20-Poly1305), which passes through in pieces, and the
passphrase locks the key (scrypt). Archives of ``affect-edge backup`` are locked the same way, so
one program opens both: `age` (age-encryption.org/v1).
The rows of such an export never lie open where they are taken to, such as on a stick.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.dashboard_file import passing_folder, prepared_folder
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.files import check_new, move_into_zip, new_file, saying_why
from edge_agent.timeline.export.format import ExportFormat
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.export.source import OnProgress

SUFFIX = ".sealed.zip"
KEY = "key.age"
HOW_TO_OPEN = "HOW-TO-OPEN.txt"
SHORTEST = 10
LONGEST = 1000
LEAST_SCORE = 3
"""Of 0 to 4 in zxcvbn: 3 means that a program needs 100 million guesses or more."""
_LOOKED_AT = 72
"""Characters; what follows makes no passphrase worse, and judging takes time."""
_TEXT = """\
This export is locked with a passphrase. Without it nobody can open it.

Unpack this zip, get the program age (https://age-encryption.org), and in that folder run:

    age --decrypt --identity key.age --output "{name}" "{name}.age"

It asks for the passphrase.
"""


def check_passphrase(passphrase: str) -> None:
    """Refuse a weak passphrase: the owner of a file can try any number of passphrases.

    Raises:
        StoreError: it is empty, too short, too long, or easy to guess; its text does not hold it.
    """
    if not SHORTEST <= len(passphrase) <= LONGEST:
        raise StoreError(
            f"A passphrase has {SHORTEST} to {LONGEST} characters, better five words; this "
            f"one has {len(passphrase)}. Nothing was exported."
        )
    from zxcvbn import zxcvbn

    if zxcvbn(passphrase[:_LOOKED_AT])["score"] < LEAST_SCORE:
        raise StoreError(
            "This passphrase is easy to guess, and who has the file can try without end. Take "
            "five words that do not belong together. Nothing was exported."
        )


def seal(plain: Path, out: Path, passphrase: str) -> None:
    """Lock a file; memory does not grow with it.

    Args:
        plain: the file, which stays as it is.
        out: the new zip; it appears under its name when it is complete.
        passphrase: that opens it.

    Raises:
        StoreError: the passphrase is weak, there is something at ``out``, or it cannot be written.
    """
    check_passphrase(passphrase)
    import pyrage
    from pyrage import x25519

    from edge_agent.timeline.export.age import lock_key

    identity = x25519.Identity.generate()
    # Encrypted bytes cannot be compressed.
    with new_file(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(HOW_TO_OPEN, _TEXT.format(name=plain.name))
        # The key is locked by the passphrase, and locks the data: scrypt is run once for any size.
        archive.writestr(KEY, lock_key(f"{identity}\n".encode("ascii"), passphrase))
        with (
            plain.open("rb") as source,
            # The length is not known before it is written.
            archive.open(f"{plain.name}.age", "w", force_zip64=True) as target,
        ):
            pyrage.encrypt_io(source, target, [identity.to_public()])


def sealed_name(file: Path) -> Path:
    """Return the name of a file after locking.

    >>> sealed_name(Path("affect-edge-20260105-080000.zip")).name
    'affect-edge-20260105-080000.sealed.zip'
    """
    return file.with_name(f"{file.name.removesuffix('.zip')}{SUFFIX}")


@dataclass(frozen=True, slots=True)
class Work:
    """The input of an export.

    Attributes:
        database: the database.
        format: of the export.
        choice: which part.
        appliance: facts about the appliance.
    """

    database: Path
    format: ExportFormat
    choice: ExportChoice
    appliance: Appliance


def export_sealed(
    work: Work, out: Path, passphrase: str, on_progress: OnProgress | None = None
) -> Path:
    """Write an export that only a passphrase opens; return its file.

    The open file lies below ``exports`` in the data folder meanwhile, for its owner alone; what an
    interruption leaves there goes when the dashboard starts, or when anybody is erased.

    Args:
        work: what is exported.
        out: the new file, a zip.
        passphrase: that opens it.
        on_progress: gets the share that is done.

    Raises:
        StoreError: the passphrase is weak, the name is taken, or it cannot be written.
        StudyError: there is no such session, or sessions must be named.
    """
    # Refused before the export, which may take minutes.
    check_passphrase(passphrase)
    check_new(out)
    data = work.database.parent
    with saying_why(prepared_folder(data)), passing_folder(data) as folder:
        stem = out.name.removesuffix(SUFFIX).removesuffix(".zip")
        suffix = work.format.suffix
        # The suffix of the format once, whatever the name that was asked for.
        plain = folder / f"{stem.removesuffix(suffix)}{suffix}"
        place = folder / work.format.name if work.format.is_folder else plain
        files = work.format.export(work.database, place, work.choice, work.appliance, on_progress)
        if work.format.is_folder:
            move_into_zip(files, place, plain)
        seal(plain, out, passphrase)
    return out

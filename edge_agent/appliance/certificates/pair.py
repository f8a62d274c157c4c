"""A certificate and its key are two files: how both are replaced as one."""

from __future__ import annotations

import fcntl
import os
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import CertificateError

LOCK_S = 10.0
"""Longest wait for another command that replaces the pair."""
_NEW = ".new"


def fits(certificate: Path, key: Path) -> bool:
    """Tell whether a server can use the two files together, without asking for a passphrase."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError):
        return False
    return True


def replace_pair(certificate: Path, key: Path, content: bytes, secret: bytes) -> None:
    """Put a new certificate and its key into the place of others.

    Whoever reads meanwhile finds the old pair or the new one, but for the moment between two
    renamings. If the machine stops in that moment, ``finish_replacement`` does the second one.

    Args:
        certificate: file of the certificate.
        key: file of its key.
        content: PEM of the new certificate, with those of its chain.
        secret: PEM of its key.

    Raises:
        CertificateError: the folder cannot be written, or another command is about to do the same.
    """
    try:
        with _alone(certificate.parent):
            _prepare(key, secret)
            _prepare(certificate, content)
            # The dashboard looks at the certificate's time: the key is there when it does.
            _new(key).replace(key)
            _new(certificate).replace(certificate)
            _keep_on_disk(certificate.parent)
    except OSError as error:
        raise CertificateError(
            f"{certificate.parent}: the certificate cannot be written ({error.strerror}). Run as "
            "root or as the user that owns the folder."
        ) from error


def finish_replacement(certificate: Path, key: Path) -> bool:
    """Do what a replacement that was cut off has left to do, and return whether it was something.

    Raises:
        CertificateError: the folder cannot be written.
    """
    if not _new(certificate).exists() and not _new(key).exists():
        return False
    try:
        with _alone(certificate.parent):
            if _new(certificate).exists() and fits(_new(certificate), key):
                _new(certificate).replace(certificate)
            for file in (certificate, key):
                _new(file).unlink(missing_ok=True)
            _keep_on_disk(certificate.parent)
    except OSError as error:
        raise CertificateError(
            f"{certificate.parent}: a replaced certificate cannot be finished ({error.strerror}). "
            "Run `affect-edge certificate` as the user that owns the folder."
        ) from error
    return True


def _new(file: Path) -> Path:
    return file.with_name(file.name + _NEW)


def _prepare(file: Path, content: bytes) -> None:
    """Write what will replace a file, with its owner and rights.

    Others may write the folder and root writes here: the name is never followed, only the file
    that was made under it is given away.
    """
    is_there = file.is_file()
    model = file.stat() if is_there else file.parent.stat()
    mode = stat.S_IMODE(model.st_mode) if is_there else 0o600
    if file.parent.stat().st_mode & stat.S_IWGRP:  # two users renew it
        mode |= 0o040
    new = _new(file)
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as written:
        written.write(content)
        if os.geteuid() == 0:
            os.fchown(handle, model.st_uid, model.st_gid)
        os.fchmod(handle, mode)
        written.flush()
        os.fsync(handle)


def _keep_on_disk(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other commands from replacing the pair of a folder."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        until = clock.boot_seconds() + LOCK_S
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if clock.boot_seconds() > until:
                raise CertificateError(
                    f"{folder}: another command is replacing the certificate. Try again."
                )
            clock.sleep(0.05)
        yield
    finally:
        os.close(handle)

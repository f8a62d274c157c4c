"""Signing what is published, on the machine of who publishes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from edge_agent.core.errors import UpdateError


def sign_file(file: Path, key: Path, namespace: str) -> Path:
    """Sign a file; return the signature, which lies beside it.

    Args:
        file: what is published.
        key: the private key of OpenSSH; ssh-keygen asks for its passphrase.
        namespace: what the signature is for.

    Raises:
        UpdateError: the key cannot be used, or ssh-keygen is missing.
    """
    signature = file.with_name(f"{file.name}.sig")
    signature.unlink(missing_ok=True)
    words = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(file)]
    try:
        subprocess.run(words, check=True)
    except FileNotFoundError as error:
        raise UpdateError(
            "ssh-keygen is missing. On Debian: sudo apt install openssh-client"
        ) from error
    except subprocess.CalledProcessError as error:
        raise UpdateError(
            f"{key}: nothing could be signed with it, ssh-keygen says why above. Give the private "
            f"key of a pair (ssh-keygen -t ed25519 -f {key})."
        ) from error
    return signature

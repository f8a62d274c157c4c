"""Changing a value in the text of a configuration, and nothing else in it."""

from __future__ import annotations

import json
import re
import tomllib

from edge_agent.core.errors import BackupError


def with_value(text: str, key: str, value: str) -> str:
    """Return the text of a TOML file with another value for a key; other lines stay as they are.

    Args:
        text: valid TOML.
        key: section and key, ``dashboard.certificate``.
        value: a text.

    Raises:
        BackupError: the file is written in a way in which the key cannot be changed alone.
    """
    section, name = key.split(".")
    line = f"{name} = {json.dumps(value, ensure_ascii=False)}"
    head = re.search(rf"^\[{section}\][^\n]*$", text, re.MULTILINE)
    if head is None:
        changed = f"{text.rstrip()}\n\n[{section}]\n{line}\n"
    else:
        rest = text[head.end() :]
        end = re.search(r"^\[", rest, re.MULTILINE)
        body = rest[: end.start()] if end else rest
        old = re.search(rf"^{name}\s*=[^\n]*$", body, re.MULTILINE)
        if old is None:
            fresh = f"\n{line}{body}"
        else:
            fresh = f"{body[: old.start()]}{line}{body[old.end() :]}"
        changed = f"{text[: head.end()]}{fresh}{rest[len(body) :]}"
    wanted = tomllib.loads(text)
    wanted.setdefault(section, {})[name] = value
    try:
        right = tomllib.loads(changed) == wanted
    except tomllib.TOMLDecodeError:
        right = False
    if not right:
        raise BackupError(
            f"{key} in the archive's configuration cannot be changed to {value!r}, where its file "
            "goes now. Restore to the folders of before, or write each key on a line of its own, "
            "in a section of its own, and make the archive anew. Nothing was changed."
        )
    return changed

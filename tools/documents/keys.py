"""The keys of the configuration, in docs/configuration.md, from their models."""

from __future__ import annotations

from itertools import groupby

import tomlkit

from edge_agent.config.keys import Key, Kind, all_keys


def sections() -> str:
    """Return a section for each table of the file, with a row for each key."""
    parts = []
    for name, keys in groupby(all_keys(), key=lambda key: key.name.rpartition(".")[0]):
        rows = [_row(key) for key in keys]
        parts.append("\n".join([f"## [{name}]\n", "| key | default | |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def _row(key: Key) -> str:
    is_shown = key.default is not None and key.kind is not Kind.TABLES
    default = f"`{tomlkit.item(key.default).as_string()}`" if is_shown else ""
    about = key.description
    if key.choices:
        about += f": {', '.join(f'`{choice}`' for choice in key.choices)}"
    elif key.least is not None and key.most is not None:
        about += f" ({key.least:,.12g} to {key.most:,.12g})"
    cells = (f"`{key.name.rpartition('.')[2]}`", default, about)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

"""Where the installed Plotly package has its script, and what its styles are called."""

from __future__ import annotations

import functools
import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path


def plotly_address() -> str:
    """Return where pages load Plotly from.

    It names the version, so that browsers may keep it for ever.
    """
    return f"/static/plotly-{version('plotly')}.min.js"


def plotly_file() -> Path:
    """Return Plotly's script in its installed package, which is not imported: that would cost
    memory and time.
    """
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:  # pragma: no cover - it is a dependency
        raise FileNotFoundError("the plotly package is not installed")
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


@functools.cache
def plotly_style_ids() -> tuple[str, ...]:
    """Return the ids of the style elements that Plotly would add when it loads.

    Where an element has the id already it adds none. Our content security policy forbids inline
    styles, and those are for maps, which we do not draw.
    """
    ids = re.findall(
        r'getElementById\("([0-9a-f]{64})"\)', plotly_file().read_text(encoding="utf-8")
    )
    return tuple(dict.fromkeys(ids))

"""The table of vitals in docs/data.md, from the registry ``edge_agent/core/vitals.py``."""

from __future__ import annotations

import math

from edge_agent.core.vitals import VitalKind, VitalSpec

_HEADS = (
    "kind", "kept in", "other units", "plausible", "possible", "lag, s",
    "equivalence bound", "LOINC", "FHIR profile", "Home Assistant",
)  # fmt: skip


def table() -> str:
    """Return the table in Markdown, one row a kind."""
    lines = [_line(_HEADS), _line(["---"] * len(_HEADS))]
    lines += [_line(_cells(kind, kind.spec)) for kind in VitalKind]
    return "\n".join(lines) + "\n"


def _cells(kind: VitalKind, spec: VitalSpec) -> list[str]:
    bound = "not tested" if spec.bound is None else f"± {spec.bound:g}"
    others = [unit for unit in spec.units if unit not in (spec.unit.lower(), spec.unit)]
    return [
        f"`{kind}`",
        f"`{spec.unit}`",
        ", ".join(f"`{unit}`" for unit in others),
        _range(spec.plausible),
        _range(spec.possible),
        f"{spec.lag_s:g}",
        bound,
        ", ".join(loinc.code for loinc in spec.loinc) or "own code",
        f"`{spec.fhir_profile}`" if spec.fhir_profile else "none",
        f"`{spec.device_class}`" if spec.device_class else "",
    ]


def _range(ends: tuple[float, float]) -> str:
    if math.isinf(ends[0]):
        return "any number"
    return f"{ends[0]:g} to {ends[1]:g}"


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"

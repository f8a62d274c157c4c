"""Parts of a whole, rounded so that they still make the whole."""

from __future__ import annotations

from collections.abc import Sequence


def rounded_shares(parts: Sequence[float], places: int = 4) -> list[float]:
    """Return what share each part has of all, rounded, together 1.

    Rounding each alone may leave 0.9998. Here each is rounded down, and the parts that lost most
    get what is left over (the method of the largest remainder).

    Args:
        parts: none below 0, not all of them 0.
        places: decimal places.

    Example:
        >>> rounded_shares([1, 1, 1], places=2)
        [0.34, 0.33, 0.33]
    """
    units = 10**places
    total = sum(parts)
    exact = [part / total * units for part in parts]
    whole = [int(part) for part in exact]
    by_loss = sorted(range(len(parts)), key=lambda index: whole[index] - exact[index])
    for index in by_loss[: units - sum(whole)]:
        whole[index] += 1
    return [part / units for part in whole]

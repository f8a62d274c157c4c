"""Which processor this machine has, and whether it multiplies eight-bit numbers quickly.

The models compute with eight-bit integers. A processor with an instruction for their dot product is
several times as fast at it, so that no figure of time says anything without its kind.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_BOARD = Path("/proc/device-tree/model")
_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})
"""x86-64 with AVX-512 VNNI or AVX-VNNI; Arm with the dot products of version 8.2."""


@dataclass(frozen=True, slots=True)
class Processor:
    """The processor of a machine.

    Attributes:
        name: as the system gives it; on Arm that of the board, or the architecture.
        int8_dot: whether it has an instruction for the dot product of eight-bit integers; ``None``:
            the system does not say.
    """

    name: str
    int8_dot: bool | None

    def described(self) -> str:
        """Return both for people."""
        if self.int8_dot is None:
            return f"{self.name}, not known whether with int8 dot products"
        return f"{self.name}, {'with' if self.int8_dot else 'without'} int8 dot products"


def this_processor(cpuinfo: Path = _CPUINFO, board: Path = _BOARD) -> Processor:
    """Return the processor of this machine.

    Args:
        cpuinfo: what Linux says of its processors.
        board: what it says of the board, on Arm.
    """
    text = _text(cpuinfo)
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    name = named.group(1) if named else _text(board).strip("\0\n ")
    int8_dot = None
    if flags:
        int8_dot = not _DOT_PRODUCTS.isdisjoint(flags.group(1).split())
    return Processor(name or platform.machine(), int8_dot)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

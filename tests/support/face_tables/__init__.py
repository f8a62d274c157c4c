"""Small made-up tables with the columns that other face programs publish."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
OPENFACE = _FOLDER / "openface.csv"
PYFEAT = _FOLDER / "pyfeat.csv"
FACEREADER = _FOLDER / "facereader.txt"
EMOTIEFFLIB = _FOLDER / "emotiefflib.csv"

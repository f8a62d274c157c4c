"""What reading a damaged or hostile zip raises."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,  # a place before the file's begin
    NotImplementedError,  # a method of packing that is not known
    RuntimeError,  # encrypted
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""Caught where nothing is done but opening and reading a member."""

"""Runs a Python module whose runtime of the models believes that it has no int8 dot products.

    python -m benchmarks.processors._masked FOLDER MODULE [ARGUMENT …]

FOLDER holds what `without_dot_products` has put there: the translated `_cpuid.c`, and where CPUID
stands in the runtime's library. OpenCV is told by its own variable.
"""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import sys
from pathlib import Path

NEVER_ASKED = "the runtime never asked what its processor can do"
os.environ["OPENCV_CPU_DISABLE"] = "AVX512-SKX"


def library_file() -> Path:
    """Return the library of the runtime that chooses its code by the processor."""
    import ai_edge_litert

    folder = Path(str(ai_edge_litert.__file__)).resolve().parent  # as the process names it
    return folder / "libpywrap_litert_common.so"


def loaded_at(library: Path) -> int:
    """Return the address at which a library of this process begins."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        if line.endswith(str(library)):
            return int(line.partition("-")[0], 16)
    raise SystemExit(f"{library} is not loaded: this LiteRT is built in another way")


def main(folder: Path, module: str, arguments: list[str]) -> None:
    """Hide the instructions, run the module, and see that somebody was told."""
    import ai_edge_litert.interpreter  # loads the library, which asks the processor later

    assert ai_edge_litert.interpreter.Interpreter
    begin = loaded_at(library_file())
    offsets = json.loads((folder / "places.json").read_text(encoding="ascii"))
    places = (ctypes.c_uint64 * len(offsets))(*(begin + offset for offset in offsets))
    helper = ctypes.CDLL(str(folder / "cpuid.so"))
    if helper.hide(places, len(offsets)) != 0:
        raise SystemExit("the instructions that ask the processor cannot be replaced here")
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        if helper.times_hidden() == 0:
            print(NEVER_ASKED, file=sys.stderr)
            sys.exit(3)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])

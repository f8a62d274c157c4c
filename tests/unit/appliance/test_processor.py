"""Which processor a machine has, from what Linux says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.appliance.bench import Processor, this_processor

PI_4 = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
PI_5 = "processor\t: 0\nFeatures\t: fp asimd aes asimdhp cpuid asimdrdm lrcpc dcpop asimddp\n"
SERVER = "model name\t: Some Xeon\nflags\t\t: fpu avx2 avx512f avx512_vnni\n"
OLDER = "model name\t: AMD EPYC\nflags\t\t: fpu avx avx2 fma\n"


@pytest.mark.parametrize(
    ("cpuinfo", "board", "expected"),
    [
        (PI_4, "Raspberry Pi 4 Model B\0", Processor("Raspberry Pi 4 Model B", False)),
        (PI_5, "Raspberry Pi 5 Model B\0", Processor("Raspberry Pi 5 Model B", True)),
        (SERVER, "", Processor("Some Xeon", True)),
        (OLDER, "", Processor("AMD EPYC", False)),
    ],
)
def test_name_and_dot_products_are_those_that_linux_says(
    tmp_path: Path, cpuinfo: str, board: str, expected: Processor
) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    (tmp_path / "model").write_text(board)
    assert this_processor(tmp_path / "cpuinfo", tmp_path / "model") == expected


def test_a_system_that_says_nothing_is_not_guessed_at(tmp_path: Path) -> None:
    unknown = this_processor(tmp_path / "cpuinfo", tmp_path / "model")
    assert unknown.name
    assert unknown.int8_dot is None
    assert "not known" in unknown.describe()

"""What `make test-appliance-arm` says on a machine where it cannot run."""

from __future__ import annotations

from pathlib import Path

from edge_agent.vision.models.card import shipped_models
from tests.appliance.arm import MAGIC, MASK, NEEDED, what_is_missing


def test_a_machine_that_has_everything_lacks_nothing() -> None:
    assert what_is_missing(0, list(NEEDED), "x86_64") is None


def test_a_missing_program_is_named_by_its_package() -> None:
    said = what_is_missing(0, ["debootstrap", "systemd-nspawn"], "x86_64")
    assert said == "missing: qemu-user-static. Install with: sudo apt install qemu-user-static"


def test_who_is_not_root_is_told_why_and_how() -> None:
    said = what_is_missing(1000, list(NEEDED), "x86_64")
    assert said is not None and said.endswith("type: sudo make test-appliance-arm")


def test_a_machine_that_is_itself_arm_has_nothing_to_compare_with() -> None:
    said = what_is_missing(0, list(NEEDED), "aarch64")
    assert said is not None and "this machine is aarch64" in said


def test_programs_for_arm_are_told_from_this_machines_and_from_models() -> None:
    magic, mask = (
        text.encode().decode("unicode_escape").encode("latin-1") for text in (MAGIC, MASK)
    )
    assert len(magic) == len(mask) == 20

    def meant(head: bytes) -> bool:
        return len(head) >= 20 and all(
            a & m == b & m for a, b, m in zip(head, magic, mask, strict=False)
        )

    # position-independent, for Linux
    program = b"\x7fELF\x02\x01\x01\x03" + bytes(8) + b"\x03\x00\xb7\x00"
    assert meant(program)
    assert not meant(Path("/proc/self/exe").read_bytes()[:20])
    assert not any(
        meant(card.with_suffix(".tflite").read_bytes()[:20]) for card in shipped_models().values()
    )

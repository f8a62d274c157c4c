"""Names and shapes that others rely on: none disappears or changes, and an addition is stored on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.differences import differences
from tests.golden.sections import Place
from tests.golden.stored import ALL, COMMAND, EXPECTED, NEEDS, present, stored


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where the commands of all sections run."""
    return Place(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("name", ALL)
def test_a_public_shape_is_the_stored_one(name: str, place: Place) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is an extra and is not installed")
    found = differences(stored(name), present(name, place))
    if found.broken:
        _fail(name, found.lines(), f"Others rely on this. If it is meant: {COMMAND} --also-breaking")
    if found.added:
        _fail(name, found.lines(), f"This is new. If it is meant to stay, store it: {COMMAND}")


def test_every_stored_file_has_its_section() -> None:
    assert {file.stem for file in EXPECTED.glob("*.json")} == set(ALL)


def _fail(name: str, lines: list[str], cure: str) -> None:
    shown = "\n".join(f"  {line}" for line in lines)
    pytest.fail(f"{name} is not as in tests/golden/expected/{name}.json:\n{shown}\n{cure}", pytrace=False)

"""Names and shapes that others rely on: none disappears or changes, and each addition is meant."""

from __future__ import annotations

import pytest

from tests.golden.differences import Differences, differences
from tests.golden.sections import Place
from tests.golden.stored import ALL, COMMAND, EXPECTED, NEEDS, present, stored


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("name", ALL)
def test_a_public_shape_is_the_stored_one(name: str, place: Place) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is an extra and is not installed")
    found = differences(stored(name), present(name, place))
    if found.broken:
        _fail(name, found, f"Others rely on it. If this is meant: {COMMAND} --also-breaking")
    if found.added:
        _fail(name, found, f"This is new. If it is meant to stay, store it: {COMMAND}")


def test_every_stored_file_has_its_section() -> None:
    assert {file.stem for file in EXPECTED.glob("*.json")} == set(ALL)


def _fail(name: str, found: Differences, cure: str) -> None:
    shown = "\n".join(f"  {line}" for line in found.lines())
    where = f"tests/golden/expected/{name}.json"
    pytest.fail(f"This is not as in {where}:\n{shown}\n{cure}", pytrace=False)

"""The ways in which a module is broken on purpose."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tools.mutations import Mutant

pytestmark = pytest.mark.skipif(
    find_spec("mutmut") is None,
    reason="what `make mutants` needs is not installed: pip install -e '.[mutants]'",
)

CODE = '''"""A module."""
import logging
log = logging.getLogger("here")
LIMIT: float = 1e60


class Door:
    """A door of a house."""

    def shut(self, hard: bool | None = None) -> str:
        """Shut it."""
        log.info("shut", hard)
        self.state = "shut"
        self.lock(hard, description="people read this")
        return "it is shut"
'''


@pytest.fixture
def mutants(tmp_path: Path) -> list[Mutant]:
    # Loaded here: its syntax trees take seconds, and every worker reads this file.
    from tools.mutations import MutableModule

    (tmp_path / "door.py").write_text(CODE, encoding="utf-8")
    source = MutableModule(tmp_path, "door.py")
    return [source.mutant(number) for number in range(len(source))]


def test_statements_words_arguments_and_values_are_changed(mutants: list[Mutant]) -> None:
    changes = {(mutant.was, mutant.becomes) for mutant in mutants}
    call = 'self.lock(hard, description="people read this")'
    assert changes == {
        ('log = logging.getLogger("here")', "log = None"),
        ('log = logging.getLogger("here")', "log = logging.getLogger(None)"),
        ('log = logging.getLogger("here")', "log = logging.getLogger('XXhereXX')"),
        ("LIMIT: float = 1e60", "LIMIT: float = None"),
        ('self.state = "shut"', "pass"),
        ('self.state = "shut"', "self.state = None"),
        ('self.state = "shut"', "self.state = 'XXshutXX'"),
        (call, "pass"),
        (call, 'self.lock(None, description="people read this")'),
        (call, 'self.lock(description="people read this")'),
    }

"""What `make test-fresh` says in its last line."""

from __future__ import annotations

import pytest

from tests.appliance.fresh import sentence

LAYERS = "42 passed in 3.10s\n"
"""`make lint` runs the import rules before everything else."""


@pytest.mark.parametrize(
    ("code", "output", "expected"),
    [
        (
            0,
            LAYERS + "........ [100%]\n3265 passed, 42 skipped in 922.56s (0:15:22)\nEvery module "
            "is covered.\n",
            "make test on a bare Debian trixie: green; 3265 passed, 42 skipped; 16 min 5 s",
        ),
        (
            2,
            LAYERS
            + "= 1 failed, 3240 passed, 23 errors in 400.12s (0:06:40) =\nmake: *** [Makefile:29: "
            "test] Error 1\n",
            (
                "make test on a bare Debian trixie: red (exit status 2); 1 failed, 3240 passed, 23 "
                "errors; 16 min 5 s"
            ),
        ),
        (
            2,
            "",
            "make test on a bare Debian trixie: red (exit status 2); no test was run; 16 min 5 s",
        ),
    ],
)
def test_the_last_line_has_the_counts_of_the_whole_run_and_its_time(
    code: int, output: str, expected: str
) -> None:
    assert sentence("trixie", code, output, 965.4) == expected

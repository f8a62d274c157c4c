"""The runner of benchmarks: whoever misses a bar reads what was wrong."""

from __future__ import annotations

import pytest

from benchmarks import __main__ as runner
from tools import last_figures


@pytest.mark.parametrize(("deviations", "shown"), [(0.0, False), (1.0, True)])
def test_missed_bar_is_printed_with_what_was_wrong(
    deviations: float,
    shown: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measured(name: str, *, small: bool) -> tuple[dict[str, float], str]:
        return {"security_api_deviations": deviations}, "deviates: carer: PUT /x\n"

    monkeypatch.setattr(runner, "run", measured)
    monkeypatch.setattr(last_figures, "offer", lambda *_, **__: None)

    assert runner.main(["security"]) == int(shown)

    assert ("deviates: carer" in capsys.readouterr().err) is shown

"""The least criterion of the mixed model against R's lme4, run on 318 made studies."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.statistics.mixed_studies import model_of, studies

LME4 = """
suppressMessages(library(lme4))
tight <- lmerControl(calc.derivs = FALSE, optCtrl = list(xtol_abs = 1e-12, xtol_rel = 1e-12,
  ftol_abs = 1e-12, ftol_rel = 1e-12, maxeval = 1e5))
nested <- value ~ state + minute + (1 | participant/session)
reacting <- update(nested, . ~ . + (1 | participant:state))
for (one in split(read.csv("studies.csv"), ~ study)) {
  one$state <- relevel(factor(one$state), ref = "neutral")
  least <- sapply(c(0.1, 1, 4), function(start) suppressWarnings(suppressMessages(REMLcrit(
    lmer(if (one$reactions[1]) reacting else nested, one, control = tight,
      start = rep(start, 2 + one$reactions[1]))))))
  cat(one$study[1], sprintf("%.6f", min(least)), "\\n")
}
"""


@pytest.mark.deep
def test_the_criterion_is_as_low_as_lme4_finds_in_318_studies(tmp_path: Path) -> None:
    program = shutil.which("Rscript")
    if program is None or subprocess.run([program, "-e", "library(lme4)"], check=False).returncode:
        pytest.skip("R's lme4 is not installed (apt install r-base-core r-cran-lme4)")
    lines = ["study,reactions,participant,session,state,minute,value"]
    ours = {}
    for number, kind, readings, reactions in studies():
        model = model_of(readings, reactions=reactions)
        ours[number] = (kind, model.criterion)
        lines += [",".join(map(str, (number, int(reactions), *reading))) for reading in readings]
    (tmp_path / "studies.csv").write_text("\n".join(lines))
    done = subprocess.run(
        [program, "--vanilla", "-e", LME4], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    theirs = [line.split() for line in done.stdout.splitlines()]
    assert len(theirs) == len(ours) == 318
    off = {
        (number, *ours[int(number)]): criterion
        for number, criterion in theirs
        if abs(ours[int(number)][1] - float(criterion)) > 1e-3
    }
    assert not off

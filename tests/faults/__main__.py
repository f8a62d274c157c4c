"""Faults on purpose, many of them, and a table of what they cost.

    python -m tests.faults [--trials N] [--seed S] [--minutes M] [--only KIND] [--jobs N] [--keep]

About half of the trials let one fault strike during another. A bad trial is printed with its seed:
``--only KIND --during OTHER --seed S --trials 1`` repeats it.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from tests.faults.agents.clock import AGENT_CLOCK, ClockTrial, why_no_clock
from tests.faults.agents.damage import AGENT_DAMAGE, Trial
from tests.faults.agents.kinds import AGENT_FAULTS, TRIALS_A_SESSION, run_session
from tests.faults.disk import build_library, why_no_library
from tests.faults.kinds import FAULTS, partners, run_trial
from tests.faults.outcome import Outcome
from tests.faults.sound import make_sound
from tests.faults.table import BAR, print_table

_PARTNERS = (*FAULTS, *AGENT_FAULTS)
_KINDS = (*FAULTS, *AGENT_FAULTS, AGENT_DAMAGE, AGENT_CLOCK)


@dataclass(frozen=True, slots=True)
class Plan:
    """A trial to come."""

    kind: str
    other: str
    seed: int


def read_options(words: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--trials", type=int, default=BAR, help="how many, at the most")
    parser.add_argument("--minutes", type=float, default=20.0, help="begin none after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=_KINDS, help="this kind of fault alone")
    parser.add_argument("--during", choices=_PARTNERS, help="always during this other one")
    parser.add_argument("--jobs", type=int, default=3, help="trials at one time")
    parser.add_argument("--keep", action="store_true", help="keep the files of bad trials")
    return parser.parse_args(words)


def plans(options: argparse.Namespace, kinds: list[str], has_disk: bool) -> Iterator[Plan]:
    """Return trials of the kinds in turn; every second round strikes during another fault."""
    for number in itertools.count():
        round_, at = divmod(number, len(kinds))
        seed = options.seed + round_
        other = options.during or ""
        if not other and round_ % 2:
            other = random.Random(f"{kinds[at]} {seed}").choice(partners(kinds[at], has_disk))
        yield Plan(kinds[at], other, seed)


def run_recorder_trials(
    options: argparse.Namespace, kinds: list[str], folder: Path, until_s: float
) -> list[Outcome]:
    """Run trials until there are enough or the time is over."""
    library = None if why_no_library() else build_library(folder)
    sound = make_sound(folder / "sound")
    outcomes: list[Outcome] = []
    running: set[Future[Outcome]] = set()
    wanted = itertools.islice(plans(options, kinds, library is not None), options.trials)
    with ThreadPoolExecutor(options.jobs) as pool:
        for number, plan in enumerate(wanted):
            if time.monotonic() > until_s:
                break
            trial = folder / f"{number:04}-{plan.kind}-{plan.other}-{plan.seed}"
            running.add(
                pool.submit(run_trial, plan.kind, plan.other, plan.seed, trial, sound, library)
            )
            if len(running) >= options.jobs:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                outcomes += _collect(done)
            _forget(folder, outcomes, options.keep)
        outcomes += _collect(running)
    return outcomes


def run_agent_trials(
    options: argparse.Namespace, kinds: list[str], folder: Path, until_s: float
) -> list[Outcome]:
    """Let one agent after the other live through trials, until there are enough or time is over."""
    outcomes: list[Outcome] = []
    wanted = itertools.islice(_agent_plans(options, kinds), options.trials)
    while plan := list(itertools.islice(wanted, TRIALS_A_SESSION)):
        if time.monotonic() > until_s:
            break
        place = folder / f"agent-{len(outcomes):04}"
        found = run_session(place, plan)
        outcomes += _told(found)
        if not options.keep or all(outcome.is_good for outcome in found):
            shutil.rmtree(place, ignore_errors=True)
    return outcomes


def run_single_agents(
    options: argparse.Namespace, kinds: list[str], folder: Path, until_s: float
) -> list[Outcome]:
    """Run trials that take an agent each, one after the other, until the time is over."""
    sound = make_sound(folder / "sound-for-agents")
    outcomes: list[Outcome] = []
    for number in range(options.trials):
        if time.monotonic() > until_s:
            break
        kind = kinds[number % len(kinds)]
        seed = options.seed + number // len(kinds)
        place = folder / f"single-{number:04}"
        if kind == AGENT_DAMAGE:
            outcomes += _told([Trial(place, sound, seed).run()])
        else:
            outcomes += _told([ClockTrial(place, seed).run()])
        if not options.keep or outcomes[-1].is_good:
            shutil.rmtree(place, ignore_errors=True)
    return outcomes


def _agent_plans(options: argparse.Namespace, kinds: list[str]) -> Iterator[tuple[str, str, int]]:
    """Return trials of the kinds in turn; every second round strikes during another fault."""
    for number in itertools.count():
        round_, at = divmod(number, len(kinds))
        others = [one for one in (*AGENT_FAULTS, "kill") if one != kinds[at]]
        other = options.during or ""
        if not other and round_ % 2:
            other = others[round_ // 2 % len(others)]
        yield kinds[at], other, options.seed + round_


def _told(found: list[Outcome]) -> list[Outcome]:
    for outcome in found:
        if not outcome.is_good:
            print(f"BAD {outcome}", flush=True)
    return found


def _collect(done: set[Future[Outcome]]) -> list[Outcome]:
    return _told([future.result() for future in done])


def _forget(folder: Path, outcomes: list[Outcome], keep: bool) -> None:
    for outcome in outcomes:
        name = f"*-{outcome.kind}-{outcome.other}-{outcome.seed}"
        for trial in folder.glob(name):
            if outcome.is_good or not keep:
                shutil.rmtree(trial, ignore_errors=True)


def run_all(
    options: argparse.Namespace, kinds: list[str], folder: Path, until_s: float
) -> list[Outcome]:
    """Run the trials of recorders, and beside them those of whole agents."""
    share = max(1, options.trials // len(kinds))
    of_recorder = [kind for kind in kinds if kind in FAULTS]
    of_agent = [kind for kind in kinds if kind in AGENT_FAULTS]
    single = [kind for kind in kinds if kind in (AGENT_DAMAGE, AGENT_CLOCK)]
    with ThreadPoolExecutor() as side_by_side:
        parts: list[Future[list[Outcome]]] = []
        if of_recorder:
            some = _with_trials(options, share * len(of_recorder))
            parts.append(
                side_by_side.submit(run_recorder_trials, some, of_recorder, folder, until_s)
            )
        if of_agent:
            some = _with_trials(options, share * len(of_agent))
            parts.append(side_by_side.submit(run_agent_trials, some, of_agent, folder, until_s))
        if single:
            some = _with_trials(options, share * len(single))
            parts.append(side_by_side.submit(run_single_agents, some, single, folder, until_s))
        return [outcome for part in parts for outcome in part.result()]


def _with_trials(options: argparse.Namespace, trials: int) -> argparse.Namespace:
    return argparse.Namespace(**vars(options) | {"trials": trials})


def main(words: list[str] | None = None) -> int:
    """Run the trials and print the table; return 1 when one was bad."""
    options = read_options(words)
    kinds = [options.only] if options.only else list(_KINDS)
    skipped = {kind: why_no_library() for kind in FAULTS if FAULTS[kind].needs_disk}
    skipped[AGENT_CLOCK] = why_no_clock()
    for kind, why in skipped.items():
        if why and kind in kinds:
            print(f"Left out: {kind}: {why}")
            kinds.remove(kind)
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    begun_s = time.monotonic()
    until_s = begun_s + 60 * options.minutes
    try:
        outcomes = run_all(options, kinds, folder, until_s)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print_table(outcomes, time.monotonic() - begun_s, platform.machine())
    return int(any(not outcome.is_good for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())

"""Faults on purpose, many of them, and a table of what they cost.

    python -m tests.faults [--trials N] [--seed S] [--minutes M] [--only KIND] [--jobs N] [--keep]

About half of the trials let one fault strike during another. A bad trial is printed with its seed:
``--only KIND --during OTHER --seed S --trials 1`` repeats it.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain, count, islice
from pathlib import Path

from edge_agent.appliance.bench import this_processor
from tests.faults.agents.clock import AGENT_CLOCK, ClockTrial, why_no_clock
from tests.faults.agents.damage import AGENT_DAMAGE, Trial
from tests.faults.agents.kinds import AGENT_FAULTS, TRIALS_A_SESSION, run_session
from tests.faults.disk import build_library, why_no_library
from tests.faults.kinds import FAULTS, partners, run_trial
from tests.faults.outcome import Outcome
from tests.faults.sound import make_sound
from tests.faults.table import BAR, figures_of, print_table
from tools.last_figures import offer

_PARTNERS = (*FAULTS, *AGENT_FAULTS)
_KINDS = (*FAULTS, *AGENT_FAULTS, AGENT_DAMAGE, AGENT_CLOCK)


Plan = tuple[str, str, int]
"""A trial to come: a kind of fault, the one during which it strikes or nothing, and a seed."""


def read_options(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--trials", type=int, default=BAR, help="how many, at the most")
    parser.add_argument("--minutes", type=float, default=20.0, help="begin none after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=_KINDS, help="this kind of fault alone")
    parser.add_argument("--during", choices=_PARTNERS, help="always during this other one")
    parser.add_argument("--jobs", type=int, default=3, help="trials at one time")
    parser.add_argument("--keep", action="store_true", help="keep the files of bad trials")
    return parser.parse_args(words)


def plans(
    options: argparse.Namespace, kinds: list[str], partners_of: Callable[[str], list[str]]
) -> Iterator[Plan]:
    """Yield trials of the kinds in turn; every second round strikes during another fault."""
    for number in range(options.trials):
        round_, at = divmod(number, len(kinds))
        seed = options.seed + round_
        other = options.during or ""
        if not other and round_ % 2:
            other = random.Random(f"{kinds[at]} {seed}").choice(partners_of(kinds[at]))
        yield kinds[at], other, seed


def run_recorder_trials(
    options: argparse.Namespace, kinds: list[str], folder: Path, until_s: float
) -> list[Outcome]:
    """Run trials until there are enough or the time is over."""
    library = None if why_no_library() else build_library(folder)
    sound = make_sound(folder / "sound")

    def run(number: int, plan: Plan) -> list[Outcome]:
        if time.monotonic() > until_s:
            return []
        place = folder / f"{number:04}-{plan[0]}-{plan[1]}-{plan[2]}"
        return _told([run_trial(*plan, place, sound, library)], place, options.keep)

    wanted = plans(options, kinds, partial(partners, has_disk=library is not None))
    with ThreadPoolExecutor(options.jobs) as pool:
        return list(chain.from_iterable(pool.map(run, count(), wanted)))


def run_agent_trials(
    options: argparse.Namespace, kinds: list[str], folder: Path, until_s: float
) -> list[Outcome]:
    """Let one agent after the other live through trials, until there are enough or time is over."""
    outcomes: list[Outcome] = []
    wanted = plans(
        options, kinds, lambda kind: [one for one in (*AGENT_FAULTS, "kill") if one != kind]
    )
    while (plan := list(islice(wanted, TRIALS_A_SESSION))) and time.monotonic() <= until_s:
        place = folder / f"agent-{len(outcomes):04}"
        outcomes += _told(run_session(place, plan), place, options.keep)
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
        seed = options.seed + number // len(kinds)
        place = folder / f"single-{number:04}"
        if kinds[number % len(kinds)] == AGENT_DAMAGE:
            found = Trial(place, sound, seed).run()
        else:
            found = ClockTrial(place, seed).run()
        outcomes += _told([found], place, options.keep)
    return outcomes


def _told(found: list[Outcome], place: Path, keep: bool) -> list[Outcome]:
    """Print the bad ones; delete the files, unless those of bad ones are kept."""
    bad = [outcome for outcome in found if not outcome.is_good]
    for outcome in bad:
        print(f"BAD {outcome}", flush=True)
    if not bad or not keep:
        shutil.rmtree(place, ignore_errors=True)
    return found


def run_all(
    options: argparse.Namespace, kinds: list[str], folder: Path, until_s: float
) -> list[Outcome]:
    """Run the trials of recorders, and beside them those of whole agents."""
    share = max(1, options.trials // len(kinds))
    with ThreadPoolExecutor() as side_by_side:
        parts: list[Future[list[Outcome]]] = []
        for run, all_kinds in (
            (run_recorder_trials, tuple(FAULTS)),
            (run_agent_trials, AGENT_FAULTS),
            (run_single_agents, (AGENT_DAMAGE, AGENT_CLOCK)),
        ):
            wanted = [kind for kind in kinds if kind in all_kinds]
            if wanted:
                own = argparse.Namespace(**vars(options) | {"trials": share * len(wanted)})
                parts.append(side_by_side.submit(run, own, wanted, folder, until_s))
        return [outcome for part in parts for outcome in part.result()]


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
    processor = this_processor()
    machine = f"{processor.describe()}, {os.cpu_count()} cores"
    offer(figures_of(outcomes), machine, int8_dot=processor.int8_dot is not False)
    return int(any(not outcome.is_good for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())

"""The command ``ablate``: what each step of a network's preparation brings."""

from dataclasses import dataclass
from pathlib import Path

import click

from training.commands.options import (
    FILE,
    NEEDED_TO_TRAIN,
    FacesOptions,
    faces_options,
    learning_options,
    options_as,
    require,
    use_threads,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AblateOptions(FacesOptions):
    """Options of ``ablate``."""

    run: Path
    epochs: int
    out: Path | None
    device: str
    threads: int | None

    @property
    def folder(self) -> Path:
        """The folder of the table and the recipes: ``--out``, or ``RUN-ablation``."""
        return self.out or self.run.with_name(f"{self.run.name}-ablation")


@click.command()
@click.argument("run", type=FILE)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="That each network learns on from RUN.",
)
@click.option("--out", type=FILE, help="Folder of the table; the default is RUN-ablation.")
@faces_options
@learning_options
@options_as(AblateOptions)
def ablate(options: AblateOptions) -> None:
    """Learn on from the finished RUN without each step of its preparation, and compare.

    Each network stands in a run folder beside RUN; finished ones are loaded, so that the command
    can be given again. All are evaluated on half A of PublicTest, as it is and spoilt.
    """
    require(NEEDED_TO_TRAIN)
    use_threads(options.threads)
    from edge_agent.appliance.processor import this_processor
    from training.data.datasets import load_faces
    from training.files import write_whole
    from training.learning.kinds import FitRequest
    from training.measuring.calibration import in_half_a
    from training.systems.ablation import ablation_rows, ablation_text, write_variants
    from training.systems.gather import gather

    run = options.run.resolve()
    recipes = write_variants(run, options.epochs, options.folder)
    request = FitRequest(
        recipes[0], options.data, options.votes, run, options.cache, device=options.device
    )
    systems = gather(recipes, run.parent, request)
    public = load_faces(options.data, options.votes, cache=options.cache).of_usage("PublicTest")
    half = public.take(in_half_a(public.pictures))
    title = (
        f"{len(half):,} pictures of half A of PublicTest; each network learnt {options.epochs} "
        f"epochs on from {run.name}"
    )
    text = ablation_text(ablation_rows(systems, half), title, this_processor().described())
    table = options.folder / "ablation.md"
    write_whole(table, text.encode())
    click.echo(table)

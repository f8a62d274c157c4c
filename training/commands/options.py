"""Options that the commands share, and the check for their libraries.

The options of a command are gathered into one frozen dataclass by :func:`options_as`::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class CompareOptions(FacesOptions):
        first: Path
        second: Path

    @click.command()
    @click.argument("first")
    @click.argument("second")
    @faces_options
    @options_as(CompareOptions)
    def compare(options: CompareOptions) -> None: ...

The log shows only our own lines: the export's libraries say hundreds of their own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import click

from training.data.apparent import Coding, read_coding
from training.data.datasets import Faces, load_faces
from training.data.readings import AgreedPhotographs, read_agreement
from training.errors import TrainingExtraMissing
from training.learning.kinds import FitRequest

NEEDED_TO_TRAIN = ("torch", "litert_torch", "ai_edge_quantizer", "sklearn")
"""Libraries of the commands that train."""
CACHE = Path("runs/cache")
FILE = click.Path(path_type=Path)

Command = TypeVar("Command", bound=Callable[..., None])
Options = TypeVar("Options")
OURS = ("training", "edge_agent", "__main__")
_SILENT = {
    "TF_CPP_MIN_LOG_LEVEL": "2",  # TensorFlow's, from within C++: errors only
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "ABSL_MIN_LOG_LEVEL": "2",
    "TORCH_LOGS": "-all",  # PyTorch's, which has handlers of its own
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FacesOptions:
    """The files that the labelled faces come from (:func:`faces_options`)."""

    data: Path
    votes: Path | None
    cache: Path

    def load(self) -> Faces:
        """Read the labelled faces."""
        return load_faces(self.data, self.votes, cache=self.cache)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionalFacesOptions:
    """The same files, where ``--data`` may be missing (:func:`optional_faces_options`)."""

    data: Path | None
    votes: Path | None
    cache: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(FacesOptions):
    """The options of a run: what it learns, and where (:func:`run_options`).

    A command without ``--device``, ``--threads``, ``--watts`` or ``--resume`` leaves their default.
    """

    recipe: Path
    out: Path | None
    limit: str | None
    weights: Path | None = None
    without: Path | None = None
    device: str = "cpu"
    threads: int | None = None
    watts: float | None = None
    resume: bool = False
    unlabelled: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of the run: ``--out``, or ``runs/RECIPE``, small ones apart."""
        if self.out is None:
            return Path("runs") / f"{self.recipe.stem}{'-small' if self.limit else ''}"
        return self.out

    def request(self) -> FitRequest:
        """Return these options as a request to the training."""
        return FitRequest(
            recipe=self.recipe,
            data=self.data,
            votes=self.votes,
            out=self.folder,
            cache=self.cache,
            weights=self.weights,
            without=self.without,
            small=self.limit is not None,
            resume=self.resume,
            device=self.device,
            watts=self.watts,
            unlabelled=self.unlabelled,
        )


def options_as(
    form: Callable[..., Options],
) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Call a command with one object that holds all its options and arguments.

    Args:
        form: a frozen dataclass with a field for each option, named as click names it.
    """

    def decorate(command: Callable[[Options], None]) -> Callable[..., None]:
        @wraps(command)
        def gather(**values: object) -> None:
            command(form(**values))

        return gather

    return decorate


def faces_options(command: Command) -> Command:
    """Give a command ``--data`` (required), ``--votes`` and ``--cache``."""
    return _data_option(required=True)(_beside_data(command))


def optional_faces_options(command: Command) -> Command:
    """Give a command ``--data``, ``--votes`` and ``--cache``, none of which is required."""
    return _data_option(required=False)(_beside_data(command))


def readings_options(command: Command) -> Command:
    """Give a command ``--readings`` and ``--sources`` (see :func:`agreement_of`)."""
    readings = click.option(
        "--readings",
        type=FILE,
        help="Instead of labels: what three people read (photos_readings.csv); with --sources.",
    )
    sources = click.option(
        "--sources",
        type=FILE,
        help="Where each photograph comes from (photos_labelled_source.csv); a film stays whole.",
    )
    return readings(sources(command))


def agreement_of(
    readings: Path | None, sources: Path | None, labels: Path | None = None
) -> AgreedPhotographs | None:
    """Return what people agree on in photographs, or ``None`` where no readings are given.

    Raises:
        UsageError: only one of the two tables is given, or labels besides.
        DataError: one of them cannot be used.
    """
    if readings is None and sources is None:
        return None
    if readings is None or sources is None or labels is not None:
        raise click.UsageError("give --readings and --sources together, and then no --labels")
    return read_agreement(readings, sources)


groups_option = click.option(
    "--groups",
    type=FILE,
    help="With --readings: apparent sex and skin (training/data/apparent_photos.csv).",
)


def coding_of(groups: Path | None, agreement: AgreedPhotographs | None) -> Coding | None:
    """Return the coding of ``--groups``, or ``None`` where it is not given.

    Raises:
        UsageError: it is given without readings.
        DataError: it cannot be used.
    """
    if groups is None:
        return None
    if agreement is None:
        raise click.UsageError("--groups belongs to --readings; give both, or neither")
    return read_coding(groups)


def run_options(command: Command) -> Command:
    """Give a command ``--recipe``, ``--out``, ``--weights``, ``--without``, ``--limit``, those of
    the faces.
    """
    text = "TOML file that describes the model and its training."
    recipe = click.option("--recipe", type=FILE, required=True, help=text)
    out = click.option(
        "--out",
        type=FILE,
        help="Folder of the run; the default is runs/RECIPE, with --limit small runs/RECIPE-small.",
    )
    limit = click.option(
        "--limit",
        type=click.Choice(["small"]),
        help="small: a few steps, to test that everything works.",
    )
    weights = click.option(
        "--weights",
        type=FILE,
        help="What the network begins with: a .tflite, .json, .pt or .ckpt file, or a run folder.",
    )
    return recipe(out(weights(without_option(limit(faces_options(command))))))


def without_option(command: Command) -> Command:
    """Give a command ``--without``."""
    return click.option(
        "--without", type=FILE, help="Pictures to leave out: the table that data-problems writes."
    )(command)


def by_label_option(command: Command) -> Command:
    """Give a command ``--by-label``, whose parameter is ``labels``."""
    text = "CSV with columns file, emotion, instead of subfolders."
    return click.option("--by-label", "labels", type=FILE, help=text)(command)


def learning_options(command: Command) -> Command:
    """Give a command ``--device`` and ``--threads``."""
    device = click.option(
        "--device",
        default="auto",
        show_default=True,
        help="cpu, cuda, or auto: the GPU if there is one.",
    )
    threads = click.option(
        "--threads", type=click.IntRange(min=1), help="Processor cores to use; the default is all."
    )
    return device(threads(command))


def watts_option(command: Command) -> Command:
    """Give a command ``--watts``."""
    return click.option(
        "--watts",
        type=click.FloatRange(min=0, min_open=True),
        help="Power of the machine while it learns; the card then estimates the energy.",
    )(command)


def json_option(command: Command) -> Command:
    """Give a command ``--json``, whose parameter is ``as_json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."
    )(command)


def require(modules: tuple[str, ...]) -> None:
    """Make sure that the libraries of a command are installed.

    Raises:
        TrainingExtraMissing: a library is not.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise TrainingExtraMissing(
            f"this needs {', '.join(missing)}, which the appliance itself does not; "
            "run it by .venv-training/bin/python, which a checkout makes by: make "
            ".venv-training/.dev (training/README.md says what a graphics card needs)"
        )


def use_threads(threads: int | None) -> None:
    """Let PyTorch use so many processor cores; None: as many as it chooses."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _data_option(*, required: bool) -> Callable[[Command], Command]:
    return click.option(
        "--data",
        type=FILE,
        required=required,
        help="FER2013 table (.csv, .csv.gz, .csv.xz), or a folder of pictures.",
    )


def _beside_data(command: Command) -> Command:
    votes = click.option("--votes", type=FILE, help="FER+ votes (fer2013new.csv) of the same rows.")
    cache = click.option(
        "--cache",
        type=FILE,
        default=CACHE,
        help="Folder that keeps parsed tables, so that the next start is quick.",
    )
    return votes(cache(command))


def quiet_libraries(handler: logging.Handler) -> None:
    """Show only errors of other libraries; levels set in the environment stay."""
    for name, value in _SILENT.items():
        os.environ.setdefault(name, value)
    handler.addFilter(is_ours_or_an_error)


def is_ours_or_an_error(record: logging.LogRecord) -> bool:
    """Tell whether a line belongs into the log of a training."""
    return record.levelno >= logging.ERROR or record.name.split(".")[0] in OURS

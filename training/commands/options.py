"""What several commands of ``python -m training`` share: options, and the check that their
libraries are there.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import click

from training.errors import TrainingExtraMissing

CACHE = Path("runs/cache")

Command = TypeVar("Command", bound=Callable[..., None])


def data_options(command: Command) -> Command:
    """Give a command ``--data`` (required), ``--votes`` and ``--cache``."""
    return _data_option(required=True)(_beside_data(command))


def optional_data_options(command: Command) -> Command:
    """Give a command ``--data``, ``--votes`` and ``--cache``, none of which must be there."""
    return _data_option(required=False)(_beside_data(command))


def require(modules: tuple[str, ...]) -> None:
    """Make sure that the libraries of a command are installed.

    Raises:
        TrainingExtraMissing: one of them is not.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise TrainingExtraMissing(
            f"this needs {', '.join(missing)}, which the appliance itself does not; "
            "install it in a checkout: .venv/bin/pip install -e '.[training]'"
        )


def _data_option(*, required: bool) -> Callable[[Command], Command]:
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        required=required,
        help="FER2013 table (.csv, .csv.gz, .csv.xz), or a folder of pictures.",
    )


def _beside_data(command: Command) -> Command:
    file = click.Path(path_type=Path)
    cache = click.option(
        "--cache",
        type=file,
        default=CACHE,
        help="Folder that keeps parsed tables, so that the next start is quick.",
    )
    votes = click.option("--votes", type=file, help="FER+ votes (fer2013new.csv) of the same rows.")
    return votes(cache(command))

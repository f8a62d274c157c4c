"""The errors of the training: each message names the value and what to do."""

from edge_agent.core.errors import TrainingError


class DataError(TrainingError):
    """Training data that cannot be used.

    The message names the file and, in a table, its row and column.
    """


class RecipeError(TrainingError):
    """A recipe, or a choice on the command line, that cannot be followed."""


class TrainingExtraMissing(TrainingError):  # noqa: N818 - reads as the sentence it is
    """The packages of the ``training`` extra are not installed."""


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """Somebody stopped a run with Ctrl-C; the text says how it goes on."""

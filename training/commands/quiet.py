"""Leave only our own lines in the log: the export's libraries say hundreds of their own."""

import logging
import os

OURS = ("training", "edge_agent", "__main__")
_SILENT = {
    "TF_CPP_MIN_LOG_LEVEL": "2",  # TensorFlow's, from within C++: errors only
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "ABSL_MIN_LOG_LEVEL": "2",
    "TORCH_LOGS": "-all",  # PyTorch's, which has handlers of its own
}


def quiet_libraries(handler: logging.Handler) -> None:
    """Show of other programs' messages only errors; what is set in the environment stays."""
    for name, value in _SILENT.items():
        os.environ.setdefault(name, value)
    handler.addFilter(is_ours_or_an_error)


def is_ours_or_an_error(record: logging.LogRecord) -> bool:
    """Whether a line belongs into the log of a training."""
    return record.levelno >= logging.ERROR or record.name.split(".")[0] in OURS

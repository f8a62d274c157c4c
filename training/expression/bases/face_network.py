"""Read a face-recognition network, for a network of expressions to learn from its features."""

from pathlib import Path

from training.errors import RecipeError
from training.learning.checkpoint import read_checkpoint
from training.models.recognition.mobilefacenet import HEIGHT, WIDTH, MobileFaceNet

WEIGHTS = "net_state_dict"
"""Key of the weights in a checkpoint."""


def load_face_network(path: Path) -> MobileFaceNet:
    """Read a checkpoint of the network; it is frozen, in eval mode.

    Raises:
        RecipeError: when the file cannot be read, or is no checkpoint of this network.
    """
    held = read_checkpoint(path)
    network = MobileFaceNet()
    weights = held.get(WEIGHTS)
    if not isinstance(weights, dict):
        raise RecipeError(
            f"--weights {path}: has no {WEIGHTS}, so it is no checkpoint of MobileFaceNet; give one"
        )
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise RecipeError(
            f"--weights {path}: is of another network than MobileFaceNet for faces of {HEIGHT} × "
            f"{WIDTH} pixels; give its checkpoint"
        ) from error
    return network.requires_grad_(False).eval()

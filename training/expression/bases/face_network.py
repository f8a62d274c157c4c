"""Read a face-recognition network, for a network of expressions to learn from its features.

``python -m training.expression.bases.face_network --weights mobilefacenet_068.ckpt --data
fer2013.csv`` shows that it tells faces apart.
"""

from dataclasses import dataclass
from pathlib import Path

import click
import torch
from torch import Tensor
from torch.nn import functional

from training.data.datasets import Faces, load_faces
from training.errors import RecipeError
from training.learning.checkpoint import read_checkpoint
from training.models.recognition.mobilefacenet import HEIGHT, WIDTH, MobileFaceNet, as_face_input

WEIGHTS = "net_state_dict"
"""Key of the weights in a checkpoint."""

_SHOWN = 400
_OFF = 3
"""Pixels between the two cuts of a face."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike a network takes two cuts of faces to be.

    Attributes:
        faces: how many.
        same: mean cosine of two cuts of one picture, −1…1.
        others: mean cosine of cuts of two pictures.
    """

    faces: int
    same: float
    others: float

    def sentence(self) -> str:
        """All of it for people."""
        return (
            f"{self.faces} faces cut out twice, {_OFF} pixels apart: mean cosine {self.same:.2f} "
            f"of the same picture, {self.others:.2f} of two pictures"
        )


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


def likeness(network: MobileFaceNet, faces: Faces) -> Likeness:
    """Compare two cuts of each of the first faces with one another, and with those of others."""
    pictures = torch.from_numpy(faces.pictures[:_SHOWN]).unsqueeze(1).float() / 255
    edge = pictures.shape[-1]
    first = _identities(network, pictures[..., : edge - _OFF, : edge - _OFF], edge)
    second = _identities(network, pictures[..., _OFF:, _OFF:], edge)
    cosines = first @ second.T
    same = torch.eye(len(pictures), dtype=torch.bool)
    return Likeness(len(pictures), float(cosines[same].mean()), float(cosines[~same].mean()))


def _identities(network: MobileFaceNet, pictures: Tensor, edge: int) -> Tensor:
    """N × 1 × h × h, 0…1 → N × 128 of length 1."""
    enlarged = functional.interpolate(pictures, size=(edge, edge), mode="bilinear")
    with torch.no_grad():
        return functional.normalize(network(as_face_input(enlarged)))


@click.command()
@click.option("--weights", type=click.Path(path_type=Path), required=True)
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--cache", type=click.Path(path_type=Path), default=Path("runs/cache"))
def main(weights: Path, data: Path, cache: Path) -> None:
    """Say how alike the network takes faces of PublicTest to be."""
    faces = load_faces(data, cache=cache).of_usage("PublicTest")
    click.echo(likeness(load_face_network(weights), faces).sentence())


if __name__ == "__main__":
    main()

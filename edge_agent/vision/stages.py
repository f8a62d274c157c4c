"""The parts that the vision chain is put together from."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.cover import CoverDetector
from edge_agent.vision.faces.finder import FaceFinder
from edge_agent.vision.faces.follower import FaceFollower
from edge_agent.vision.faces.primary import PrimaryFaceSelector
from edge_agent.vision.faces.tracker import Tracker
from edge_agent.vision.need import NeedReader
from edge_agent.vision.smoother import Smoother


@dataclass(frozen=True, slots=True)
class VisionStages:
    """The stages of the vision chain, in the order in which a frame passes them.

    Attributes:
        detector: finds faces in still pictures.
        follower: finds faces in the frames of a camera.
        classifier: reads one face.
        tracker: gives each face the number of its track.
        selector: selects the participant's face.
        smoother: smooths the probabilities of each track.
        reader: reads the faces that are followed by need; ``None``: the classifier reads all.
        cover: tells covered faces; ``None``: nobody looks for covers.
    """

    detector: FaceFinder
    follower: FaceFollower
    classifier: ExpressionClassifier
    tracker: Tracker
    selector: PrimaryFaceSelector
    smoother: Smoother
    reader: NeedReader | None = None
    cover: CoverDetector | None = None

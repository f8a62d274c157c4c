"""One protocol for all systems: the same pictures, the same runtime, the same tests."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.appliance.processor import this_processor
from training.data.datasets import FER2013, Faces
from training.measuring.compare import McNemar, mcnemar
from training.measuring.covered import CoveredRow, covered_rows
from training.measuring.evaluate import answers_by_protocol, evaluate_logits, run_model
from training.measuring.metrics import Figures
from training.measuring.timing import median_milliseconds
from training.models.region_attention import RegionAttentionSection
from training.models.small_resnet import ResidualShape, SmallResNetSection
from training.systems.gather import System


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A system and what it said.

    Attributes:
        system: the run.
        figures: protocol → how often it is right.
        right: protocol → bool, one for each picture that the protocol counts.
        milliseconds: median of one inference, in turns with the other systems.
        file_bytes: size of the int8 file.
        covered: the same figures with a part of each face covered, first with nothing covered.
    """

    system: System
    figures: dict[str, Figures]
    right: dict[str, NDArray[np.bool_]]
    milliseconds: float
    file_bytes: int
    covered: tuple[CoveredRow, ...]

    @property
    def name(self) -> str:
        """As its recipe calls it."""
        return self.system.recipe.name


@dataclass(frozen=True, slots=True)
class Missed:
    """A picture that every system gets wrong.

    Attributes:
        index: among the pictures that were evaluated, from 0.
        label: its FER2013 class.
        answers: what each system said, in their order.
    """

    index: int
    label: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All systems on the same pictures.

    Attributes:
        title: which pictures these were.
        evaluated: each system.
        tests: protocol → (first name, second name, test) of each pair.
        missed: what all get wrong (FER2013), in the order of the data.
        processor: the kind that the milliseconds were measured on.
    """

    title: str
    evaluated: tuple[Evaluated, ...]
    tests: dict[str, tuple[tuple[str, str, McNemar], ...]]
    missed: tuple[Missed, ...]
    processor: str


def compare_systems(systems: Sequence[System], faces: Faces, title: str) -> Comparison:
    """Evaluate systems on faces.

    Raises:
        DataError: when no picture can be evaluated.
    """
    models = [system.model for system in systems]
    logits = [run_model(model, faces.pictures) for model in models]
    durations = median_milliseconds(models, faces.pictures)
    evaluated = []
    for system, answers, milliseconds in zip(systems, logits, durations, strict=True):
        by_protocol = answers_by_protocol(answers, faces)
        right = {name: one.predicted == one.truth for name, one in by_protocol.items()}
        size = system.model.path.stat().st_size
        figures = evaluate_logits(answers, faces).by_protocol
        covered = covered_rows(system.model, faces)
        evaluated.append(Evaluated(system, figures, right, milliseconds, size, covered))
    tests = {
        protocol: tuple(
            (one.name, other.name, mcnemar(one.right[protocol], other.right[protocol]))
            for one, other in itertools.combinations(evaluated, 2)
        )
        for protocol in evaluated[0].right
    }
    missed = _missed(logits, faces)
    return Comparison(title, tuple(evaluated), tests, missed, this_processor().described())


def backbone_pairs(evaluated: Sequence[Evaluated]) -> list[tuple[Evaluated, Evaluated]]:
    """Each system with region attention, beside the one that is its backbone alone."""
    pairs = []
    for one in evaluated:
        network = one.system.recipe.network
        if not isinstance(network, RegionAttentionSection):
            continue
        for other in evaluated:
            alone = other.system.recipe.network
            if isinstance(alone, SmallResNetSection) and _shape(alone) == _shape(network):
                pairs.append((one, other))
    return pairs


def _shape(network: ResidualShape) -> tuple[tuple[int, ...], ...]:
    return network.widths, network.blocks, network.strides


def _missed(logits: Sequence[dict[str, NDArray[np.float32]]], faces: Faces) -> tuple[Missed, ...]:
    answers = [answers_by_protocol(each, faces).get("fer2013") for each in logits]
    known = [one for one in answers if one is not None]
    if not known:
        return ()
    wrong = np.all([one.predicted != one.truth for one in known], axis=0)
    indices = np.flatnonzero(known[0].chosen)
    return tuple(
        Missed(
            int(indices[place]),
            FER2013[known[0].truth[place]],
            tuple(FER2013[one.predicted[place]] for one in known),
        )
        for place in np.flatnonzero(wrong)
    )

"""What the detector is punished for, and the shapes of its network."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch

from edge_agent.core.expression import Box
from edge_agent.vision.faces.detector import STRIDES
from training.faces.detector import DetectorLoss, Targets, Weights, assign, overlaps
from training.faces.labelling import LabelledFace
from training.faces.photographs import FaceBoxes
from training.networks.face import KINDS, OUTPUTS, FaceDetectorNet, Residual, Widths

pytestmark = pytest.mark.training

POINTS = ((14.0, 18.0), (26.0, 18.0), (20.0, 25.0), (15.0, 32.0), (25.0, 32.0))


def faces(*boxes: tuple[float, float, float, float], ignored: int = 0) -> FaceBoxes:
    """Faces: x, y, width, height; the last ones are ignored regions."""
    labels = [
        LabelledFace(Box(*box), POINTS, i >= len(boxes) - ignored) for i, box in enumerate(boxes)
    ]
    return FaceBoxes.of(labels)


def perfect(targets_of: FaceBoxes) -> tuple[list[torch.Tensor], tuple[torch.Tensor, ...]]:
    """Outputs of a network for 256 × 192 that say just what they should, and the targets."""
    targets = assign(targets_of, 256, 192)
    answers, ceilings, boxes, points = (
        torch.from_numpy(getattr(targets, name))[None] for name in Targets.__dataclass_fields__
    )
    outputs: list[torch.Tensor] = []
    start = 0
    for stride in STRIDES:
        rows = 192 // stride
        columns = 256 // stride
        part = slice(start, start := start + rows * columns)
        ys, xs = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        middle = torch.stack([xs.flatten(), ys.flatten()], dim=1).add(0.5).mul(stride)[None]
        box = boxes[:, part]
        sides = torch.cat([middle - box[..., :2], box[..., 2:] - middle], dim=2) / stride
        offsets = (points[:, part] - middle.repeat(1, 1, 5)).nan_to_num() / stride
        logits = torch.where(answers[:, part], 12.0, -12.0)[..., None]
        outputs += [v.reshape(1, rows, columns, -1) for v in (logits, sides, offsets)]
    return outputs, (answers, ceilings, boxes, points)


def test_perfect_answers_cost_nothing_and_every_error_costs_something() -> None:
    answers, targets = perfect(
        faces((10, 10, 20, 30), (100, 40, 120, 110), (30, 100, 60, 60), ignored=1)
    )
    loss = DetectorLoss(256, 192, Weights())
    assert float(loss(answers, *targets)[0]) < 1e-3
    for changed in range(9):
        worse = [answer - 20.0 if i == changed else answer for i, answer in enumerate(answers)]
        total, figures = loss(worse, *targets)
        assert float(total) > 0.05, OUTPUTS[changed]
        assert set(figures) == {"score", "box", "landmarks", "overlap"}


def test_scenes_without_a_face_or_known_points_give_a_finite_loss() -> None:
    loss = DetectorLoss(256, 192, Weights())
    answers, targets = perfect(faces())
    assert torch.isfinite(loss(answers, *targets)[0])
    unknown = FaceBoxes.of([LabelledFace(Box(10, 10, 30, 30), None)])
    answers, targets = perfect(unknown)
    total, figures = loss(answers, *targets)
    assert torch.isfinite(total)
    assert float(figures["landmarks"]) == 0.0


def test_a_doubtful_region_costs_only_above_its_ceiling() -> None:
    doubtful = LabelledFace(Box(64, 64, 32, 32), None, ignore=True, ceiling=0.25)
    loss = DetectorLoss(256, 192, Weights())

    def cost(logit: float) -> float:
        answers, targets = perfect(FaceBoxes.of([doubtful]))
        region = targets[1][:, : 24 * 32].reshape(1, 24, 32, 1) > 0
        answers[0] = torch.where(region, logit, answers[0])
        return float(loss(answers, *targets)[0])

    assert cost(-12.0) == cost(-1.2) == pytest.approx(0, abs=1e-3)
    assert 0.1 < cost(0.0) < cost(2.0)


def test_generalised_overlap_falls_below_zero_for_boxes_far_apart() -> None:
    first = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [5, 5, 2, 2]])
    second = torch.tensor([[0.0, 0, 10, 5], [30, 0, 40, 10], [0, 0, 10, 10]])
    plain, generalised = overlaps(first, second)
    assert plain.tolist() == [0.5, 0.0, 0.0]
    assert generalised.tolist() == pytest.approx([0.5, -0.5, 0.0])


@pytest.mark.parametrize("size", [(192, 256), (128, 160)])
def test_the_network_gives_nine_outputs_with_the_channels_last(size: tuple[int, int]) -> None:
    network = FaceDetectorNet(Widths(4, 4, 8, 8, 8, 8)).eval()
    with torch.no_grad():
        outputs = dict(zip(OUTPUTS, network(torch.zeros(2, 3, *size)), strict=True))
    shapes = {name: tuple(output.shape) for name, output in outputs.items()}
    expected: dict[str, tuple[int, ...]] = {
        f"{kind}_{stride}": (2, size[0] // stride, size[1] // stride, numbers)
        for stride in STRIDES
        for kind, numbers in KINDS.items()
    }
    assert shapes == expected


def test_a_residual_block_changes_nothing_before_it_has_learnt() -> None:
    features = torch.rand(2, 6, 4, 5)
    assert torch.equal(Residual(6)(features), features)

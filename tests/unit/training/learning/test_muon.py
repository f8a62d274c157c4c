"""Muon: filters are turned evenly, everything else learns as SGD lets it."""

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch
from torch import Tensor, nn
from torch.optim import SGD

from training.learning.loop import parameter_groups
from training.learning.rates import Muon, orthogonal

pytestmark = pytest.mark.training


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.filters = nn.Conv2d(3, 5, 3, bias=False)
        self.norm = nn.BatchNorm2d(5)
        self.head = nn.Linear(5 * 2 * 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        answers: Tensor = self.head(self.norm(self.filters(x)).relu().flatten(1))
        return answers


def learn(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[Tensor]:
    pictures = torch.rand(16, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    answers = (pictures.mean(dim=(1, 2, 3)) > 0.5).long()
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(module(pictures), answers)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.detach())
    return losses


@pytest.mark.parametrize("shape", [(5, 3, 3, 3), (40, 2, 3, 3), (8, 8, 1, 1)])
def test_a_made_orthogonal_filter_keeps_its_directions_and_loses_their_sizes(
    shape: tuple[int, ...],
) -> None:
    filters = torch.randn(shape, generator=torch.Generator().manual_seed(3)).to(
        memory_format=torch.channels_last
    )

    made = orthogonal(filters)

    sizes = torch.linalg.svdvals(made.movedim(1, -1).reshape(shape[0], -1))
    assert made.shape == filters.shape
    assert sizes.min() > 0.3
    assert sizes.max() < 1.3
    assert (made * filters).sum() > 0


def test_filters_are_turned_by_the_rate_whatever_their_scale() -> None:
    changes = []
    for scale in (1.0, 100.0):
        module = Network()
        filters = module.filters.weight
        with torch.no_grad():
            filters.mul_(scale)
        learn(module, Muon(module, parameter_groups(module, 0.0), lr=0.01, momentum=0.9), 1)
        changes.append(filters.detach().clone())
        assert filters.norm().item() == pytest.approx(5**0.5, rel=0.05)
    assert torch.allclose(changes[0], changes[1], atol=1e-3)


def test_all_but_the_filters_takes_the_step_of_sgd() -> None:
    one = Network()
    other = Network()
    groups = parameter_groups(other, 0.1)

    learn(one, Muon(one, parameter_groups(one, 0.1), lr=0.01, momentum=0.9), 1)
    learn(other, SGD(groups, lr=0.01, momentum=0.9, nesterov=True), 1)

    assert torch.allclose(one.head.weight, other.head.weight, atol=1e-7)
    assert torch.allclose(one.norm.weight, other.norm.weight, atol=1e-7)
    assert not torch.allclose(one.filters.weight, other.filters.weight, atol=1e-3)


def test_a_filter_that_keeps_its_scale_is_left_to_sgd() -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 1, bias=True), nn.Conv2d(1, 2, 1, bias=False))

    optimizer = Muon(module, parameter_groups(module, 0.1), lr=0.01, momentum=0.9)

    assert optimizer.param_groups[-1]["params"] == []


def test_it_learns() -> None:
    module = Network()

    losses = learn(module, Muon(module, parameter_groups(module, 1e-4), lr=0.05, momentum=0.9), 40)

    assert losses[-1] < losses[0] / 3

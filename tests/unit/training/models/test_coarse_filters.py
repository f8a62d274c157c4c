"""Filters in few steps: how many, at what cost, and what stays as it was."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch
from torch import Tensor, nn

from training.networks.quantize import coarse_filters, filter_bounds, round_filters


def like_neighbouring_pixels(places: int, size: int) -> Tensor:
    """Inputs that go together, as pixels and the features of neighbours do."""
    generator = torch.Generator().manual_seed(1)
    shared = torch.randn(places, size // 4, generator=generator)
    mixing = torch.randn(size // 4, size, generator=generator)
    return shared @ mixing + 0.3 * torch.randn(places, size, generator=generator)


def some_filters(count: int = 8, size: int = 36) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, size // 9, 3, 3, generator=generator)


def steps_of(filters: Tensor, step: float) -> Tensor:
    return step * filters.reshape(len(filters), -1).square().mean(dim=1).sqrt()


def test_each_weight_is_a_whole_number_of_its_filters_steps() -> None:
    filters = some_filters()
    inputs = like_neighbouring_pixels(500, 36)

    rounded = round_filters(filters, inputs.T @ inputs / 500, 0.5)

    counts = rounded / steps_of(filters, 0.5).reshape(-1, 1, 1, 1)
    assert rounded.shape == filters.shape
    assert torch.allclose(counts, counts.round(), atol=1e-4)
    assert len(torch.unique(counts.round())) < 20


def test_the_answers_to_real_inputs_change_by_less_than_half_of_what_plain_rounding_costs() -> None:
    filters = some_filters()
    inputs = like_neighbouring_pixels(2000, 36)
    steps = steps_of(filters, 0.5).reshape(-1, 1, 1, 1)
    plain = (filters / steps).round() * steps

    rounded = round_filters(filters, inputs.T @ inputs / 2000, 0.5)

    def cost(other: Tensor) -> float:
        return float((inputs @ (other - filters).reshape(8, -1).T).square().mean())

    assert cost(rounded) < 0.5 * cost(plain)


def test_a_filter_of_zeros_and_inputs_that_are_always_zero_are_no_fault() -> None:
    filters = some_filters()
    filters[3] = 0
    inputs = like_neighbouring_pixels(500, 36)
    inputs[:, 5] = 0

    rounded = round_filters(filters, inputs.T @ inputs / 500, 0.5)

    assert bool(torch.isfinite(rounded).all())
    assert not bool(rounded[3].any())


def test_no_weight_lies_beyond_what_int8_holds() -> None:
    filters = some_filters()
    filters[0, 0, 0, 0] = 1000.0

    rounded = round_filters(filters, torch.eye(36), 0.001)

    counts = rounded / steps_of(filters, 0.001).reshape(-1, 1, 1, 1)
    assert float(counts.abs().max()) <= 127.001


def test_filters_that_join_channels_change_and_nothing_else_does() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.Flatten(),
        nn.Linear(256, 3),
    ).eval()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}

    coarse = coarse_filters(network, torch.randn(60, 1, 8, 8), 0.5)

    changed = {
        name
        for name, weight in coarse.state_dict().items()
        if not torch.equal(weight, before[name])
    }
    assert changed == {"3.weight"}
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())


def test_the_bounds_of_a_coarse_filter_are_127_of_its_steps() -> None:
    counts = np.array([[-3, 0, 1, 2], [0, 5, -5, 1]], dtype=np.float32)
    steps = np.array([0.25, 0.011], dtype=np.float32)
    filters = (counts * steps[:, None]).reshape(2, 2, 2, 1)

    bounds = filter_bounds(filters)

    assert bounds.shape == (2, 1, 1, 1)
    assert bounds.ravel() == pytest.approx(steps * 127, rel=1e-5)


def test_the_bounds_of_any_other_filter_are_its_largest_weight() -> None:
    filters = some_filters().permute(0, 2, 3, 1).numpy()
    filters[2] = 0

    bounds = filter_bounds(filters).ravel()

    largest = np.abs(filters.reshape(8, -1)).max(axis=1)
    assert bounds[[0, 1, 3]] == pytest.approx(largest[[0, 1, 3]], rel=1e-6)
    assert bounds[2] == 1.0

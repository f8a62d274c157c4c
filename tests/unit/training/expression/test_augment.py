"""What augmentation may change, and what it must leave."""

import pytest
import torch

from training.expression.augment import Augmentation, augment, mix, move

STILL = Augmentation(
    flip=0, roll=0, scale=0, shift=0, light=0, gain_chance=0, blur=0, noise=0, erase=0
)


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_shift_is_at_most_the_bound() -> None:
    ramp = torch.linspace(0, 1, 48).expand(64, 1, 48, 48)

    moved = move(ramp, STILL.model_copy(update={"shift": 0.1}), generator())

    middle = (moved - ramp)[:, :, 20:28, 20:28]
    assert 0.05 < float(middle.abs().max()) <= 0.1 * 48 / 47 + 1e-4


def test_an_erased_square_is_no_larger_than_the_bound() -> None:
    black = torch.zeros(64, 1, 48, 48)

    changed = augment(
        black, STILL.model_copy(update={"erase": 1.0, "erase_edge": 0.25}), generator()
    )

    covered = (changed > 0).flatten(1).sum(dim=1)
    assert 0 < int(covered.max()) <= 13 * 13


def test_blur_takes_detail_away_and_keeps_the_mean() -> None:
    board = (
        (torch.arange(48)[:, None] + torch.arange(48)[None, :])
        .remainder(2)
        .float()
        .expand(32, 1, 48, 48)
    )

    changed = augment(board, STILL.model_copy(update={"blur": 1.0}), generator())

    detail = changed.flatten(1).std(dim=1)
    assert float(detail.max()) < 0.5
    assert float(detail.min()) < 0.1
    assert changed.flatten(1).mean(dim=1).tolist() == pytest.approx([0.5] * 32, abs=0.02)


def test_gain_multiplies_up_to_bound_both_ways_and_too_much_light_whitens() -> None:
    grey = torch.full((256, 1, 48, 48), 0.4)

    changed = augment(grey, STILL.model_copy(update={"gain": 4.0, "gain_chance": 1.0}), generator())

    level = changed.flatten(1).mean(dim=1)
    assert 0.1 - 1e-5 <= float(level.min()) < 0.12
    assert float(level.max()) == 1


def test_a_mixed_batch_holds_two_pictures_each_and_says_how_much_of_which() -> None:
    before = torch.cat([torch.zeros(4, 1, 48, 48), torch.ones(4, 1, 48, 48)])
    truth = torch.eye(2)[torch.tensor([0] * 4 + [1] * 4)]
    how = STILL.model_copy(update={"mix": 1.0})
    seen = set()

    for seed in range(40):
        pictures_mixed, (shares,) = mix(before, [truth], how, generator(seed))
        assert torch.allclose(pictures_mixed.mean(dim=(1, 2, 3)), shares[:, 1], atol=1e-4)
        assert torch.allclose(shares.sum(dim=1), torch.ones(8))
        seen.add(
            "blended"
            if ((pictures_mixed > 0.01) & (pictures_mixed < 0.99)).any()
            else "patched or whole"
        )

    assert seen == {"blended", "patched or whole"}

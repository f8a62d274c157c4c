"""What augmentation may change, and what it must leave."""

import pytest
import torch

from training.expression.augment import Augmentation, augment, mix, move

STILL = Augmentation(
    flip=0, roll=0, scale=0, shift=0, light=0, gain_chance=0, blur=0, noise=0, erase=0
)


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 4) -> torch.Tensor:
    """Different smooth pictures: brightness rises to the right, faster in each next one."""
    ramp = torch.linspace(0, 1, 48).expand(1, 1, 48, 48)
    return torch.cat([ramp * (0.4 + 0.1 * i) for i in range(n)])


def test_with_every_bound_at_zero_a_picture_stays_as_it_is() -> None:
    before = pictures()

    assert torch.allclose(augment(before, STILL, generator()), before, atol=1e-5)


def test_a_certain_flip_mirrors_left_and_right() -> None:
    before = pictures()

    mirrored = move(before, STILL.model_copy(update={"flip": 1.0}), generator())

    assert torch.allclose(mirrored, before.flip(-1), atol=1e-5)


def test_the_same_seed_gives_the_same_pictures_and_another_seed_others() -> None:
    how = Augmentation()

    first = augment(pictures(), how, generator(1))

    assert torch.equal(first, augment(pictures(), how, generator(1)))
    assert not torch.equal(first, augment(pictures(), how, generator(2)))


def test_every_picture_of_a_batch_is_changed_in_its_own_way() -> None:
    same = pictures(1).expand(8, 1, 48, 48)

    changed = augment(same, Augmentation(), generator())

    assert len({round(float(picture.mean()), 4) for picture in changed}) > 4


def test_what_comes_out_is_a_picture_and_what_went_in_is_untouched() -> None:
    before = pictures(32)
    kept = before.clone()

    changed = augment(before, Augmentation(light=0.9, noise=0.5, erase=1), generator())

    assert changed.shape == before.shape
    assert changed.dtype == torch.float32
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1
    assert torch.equal(before, kept)


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


def test_gain_multiplies_up_to_its_bound_both_ways_and_too_much_light_whitens() -> None:
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

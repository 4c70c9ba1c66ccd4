"""Mixed batches: every trial once, the right response beside its image, order by seed and epoch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from decortex.errors import DatasetError
from decortex.models.training import Batch, TierBatches, shift_images


@pytest.fixture
def numbered(make_recordings):
    """Recordings whose first pixel and first response both tell session and trial."""
    recordings = make_recordings(neurons=(2, 3, 1))
    for index, session in enumerate(recordings.sessions):
        code = index * 1000 + np.arange(session.n_trials)
        session.images.values[:, 0, 0, 0] = code
        session.responses.values[:, 0] = code
    return recordings


def shuffled(batches: TierBatches, seed: int, epoch: int) -> list[Batch]:
    return [batches.batch(rows) for rows in batches.order(seed, epoch)]


def codes(batch: Batch) -> np.ndarray:
    responses = torch.cat([part[:, 0] for part in batch.responses])
    assert torch.equal(batch.inputs[:, 0, 0, 0], responses)
    return responses.numpy()


@pytest.mark.parametrize("max_cache_bytes", [0, 2**30])
def test_every_trial_once_with_its_own_response(numbered, max_cache_bytes: int) -> None:
    batches = TierBatches(numbered, "train", batch_size=16, max_cache_bytes=max_cache_bytes)
    expected = np.concatenate([i * 1000 + s.trials("train") for i, s in enumerate(numbered.sessions)])
    for passes in (shuffled(batches, 0, 1), batches.in_order()):
        seen = np.concatenate([codes(batch) for batch in passes])
        np.testing.assert_array_equal(np.sort(seen), np.sort(expected))


def test_parts_name_the_sessions(numbered) -> None:
    batches = TierBatches(numbered, "train", batch_size=16, max_cache_bytes=2**30)
    for batch in shuffled(batches, 0, 1):
        assert [name for name, _ in batch.parts] == [
            s.name for i, s in enumerate(numbered.sessions) if i in (codes(batch) // 1000).astype(int)
        ]
        for (name, n), responses in zip(batch.parts, batch.responses, strict=True):
            session = next(s for s in numbered.sessions if s.name == name)
            assert responses.shape == (n, session.n_neurons)


def test_streamed_and_cached_batches_are_the_same(numbered) -> None:
    cached, streamed = (
        TierBatches(numbered, "train", batch_size=16, max_cache_bytes=size) for size in (2**30, 0)
    )
    for one, other in zip(shuffled(cached, 3, 2), shuffled(streamed, 3, 2), strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert one.parts == other.parts


def test_order_depends_on_seed_and_epoch(numbered) -> None:
    batches = TierBatches(numbered, "train", batch_size=16, max_cache_bytes=2**30)

    def order(seed: int, epoch: int) -> list[int]:
        return [int(code) for batch in shuffled(batches, seed, epoch) for code in codes(batch)]

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_batches_are_of_nearly_one_size(numbered) -> None:
    batches = TierBatches(numbered, "train", batch_size=17, max_cache_bytes=0)
    sizes = [len(batch.inputs) for batch in shuffled(batches, 0, 1)]
    assert len(sizes) == batches.n_batches
    assert max(sizes) <= 17
    assert max(sizes) - min(sizes) <= 1


def test_inputs_can_be_replaced_by_a_function_of_the_images(numbered) -> None:
    batches = TierBatches(numbered, "train", batch_size=16, max_cache_bytes=0)
    before = [2 * batch.inputs.mean(dim=1) for batch in shuffled(batches, 0, 1)]
    batches.keep_inputs(batches.collect(lambda images: 2 * images.mean(dim=1), (12, 12)))
    for one, expected in zip(shuffled(batches, 0, 1), before, strict=True):
        assert torch.equal(one.inputs, expected)


def test_a_session_without_the_tier_is_named(numbered) -> None:
    tiers = np.full(numbered.sessions[1].n_trials, "train")
    sessions = [numbered.sessions[0], dataclasses.replace(numbered.sessions[1], tiers=tiers)]
    with pytest.raises(DatasetError, match=r"'two\.b' has no validation trials \(its tiers: train\)"):
        TierBatches(
            dataclasses.replace(numbered, sessions=sessions), "validation", batch_size=4, max_cache_bytes=0
        )


def test_shifts_move_whole_images_by_at_most_the_reach() -> None:
    images = torch.arange(2 * 9 * 9, dtype=torch.float32).view(1, 2, 9, 9).repeat(200, 1, 1, 1)
    shifted = shift_images(images, 2, np.random.default_rng(0))
    centre = shifted[:, 0, 4, 4] - images[0, 0, 4, 4]
    down = torch.round(centre / 9)
    right = centre - 9 * down
    moves = {(int(d), int(r)) for d, r in zip(down, right, strict=True)}
    assert moves == {(d, r) for d in range(-2, 3) for r in range(-2, 3)}
    for one, d, r in zip(shifted, down.int().tolist(), right.int().tolist(), strict=True):
        assert torch.equal(one[:, 2:7, 2:7], images[0][:, 2 + d : 7 + d, 2 + r : 7 + r])


def test_no_shift_returns_the_images() -> None:
    images = torch.randn(3, 1, 5, 5)
    assert shift_images(images, 0, np.random.default_rng(0)) is images

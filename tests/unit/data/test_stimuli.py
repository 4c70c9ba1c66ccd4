"""Natural-image crops: where they come from, how they are read, what is refused."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from decortex.data.simulation import (
    TEST_STRIP,
    TRAINING_STRIP,
    Placement,
    Strip,
    natural_crops,
    photographs,
    place_crops,
    read_crops,
    sample_points,
    stimuli,
)
from decortex.errors import InputError

SIZE = 36


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def one_crop(**changes: float) -> Placement:
    plain = {"row": 200.0, "column": 200.0, "angle": 0.0, "scale": 1.0, "flip": 1.0} | changes
    return Placement(np.array([0]), **{name: np.array([value]) for name, value in plain.items()})


def test_crops_have_mean_zero_and_unit_contrast() -> None:
    crops = natural_crops(40, TRAINING_STRIP, size=SIZE, rng=rng())
    assert crops.shape == (40, SIZE, SIZE)
    assert crops.dtype == np.float32
    np.testing.assert_allclose(crops.mean(axis=(1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(crops.std(axis=(1, 2)), 1, atol=1e-4)


def test_training_and_test_crops_share_no_pixel_of_the_photographs() -> None:
    border = 0.75 * photographs().shape[2]
    touched = {}
    for name, strip in (("train", TRAINING_STRIP), ("test", TEST_STRIP)):
        placement = place_crops(3000, strip, size=SIZE, max_scale=2.5, rng=rng())
        rows, columns = sample_points(placement, SIZE)
        assert np.floor(rows).min() >= 0
        assert np.floor(rows).max() + 1 < photographs().shape[1]
        touched[name] = (np.floor(columns).min(), np.floor(columns).max() + 1)
    assert touched["train"][0] >= 0
    assert touched["train"][1] < border <= touched["test"][0]
    assert touched["test"][1] < photographs().shape[2]


def test_fast_reading_equals_scipys_interpolation() -> None:
    placement = place_crops(20, TEST_STRIP, size=SIZE, max_scale=2.5, rng=rng())
    rows, columns = sample_points(placement, SIZE)
    for crop, row, column, which in zip(
        read_crops(placement, SIZE), rows, columns, placement.photograph, strict=True
    ):
        points = map_coordinates(photographs()[which], [row, column], order=1)
        slow = [
            [points[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean() for j in range(SIZE)] for i in range(SIZE)
        ]
        np.testing.assert_allclose(crop, slow, atol=1e-12)


def test_placement_means_what_it_says() -> None:
    plain = read_crops(one_crop(), SIZE)[0]
    np.testing.assert_allclose(read_crops(one_crop(flip=-1.0), SIZE)[0], np.fliplr(plain), atol=1e-12)
    turned = read_crops(one_crop(angle=np.pi / 2), SIZE)[0]
    assert any(np.allclose(turned, np.rot90(plain, k), atol=1e-12) for k in (1, 3))
    np.testing.assert_allclose(
        read_crops(one_crop(row=203.0), SIZE)[0][:-3], plain[3:], atol=1e-12, err_msg="moved down by three"
    )
    coarse = read_crops(one_crop(scale=2.0), SIZE // 2)[0]
    blocks = plain.reshape(SIZE // 2, 2, SIZE // 2, 2).mean(axis=(1, 3))
    assert np.corrcoef(coarse.ravel(), blocks.ravel())[0, 1] > 0.999


def test_the_same_seed_gives_the_same_crops() -> None:
    crops = [natural_crops(10, TEST_STRIP, size=SIZE, rng=rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(crops[0], crops[1])
    assert not np.array_equal(crops[0], crops[2])


def test_crops_without_contrast_are_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    flat_left = photographs().copy()
    flat_left[:, :, :240] = 0.5
    monkeypatch.setattr(stimuli, "photographs", lambda: flat_left)
    placement = place_crops(300, TRAINING_STRIP, size=SIZE, max_scale=1.5, rng=rng())
    assert (read_crops(placement, SIZE).std(axis=(1, 2)) < stimuli.MIN_CONTRAST).sum() > 50
    crops = natural_crops(100, TRAINING_STRIP, size=SIZE, max_scale=1.5, rng=rng())
    np.testing.assert_allclose(crops.std(axis=(1, 2)), 1, atol=1e-4)


def test_a_photograph_without_contrast_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stimuli, "photographs", lambda: np.full((2, 427, 640), 0.5))
    with pytest.raises(InputError, match=r"only 0 of 10 crops of 36 pixels reach a contrast of 0\.04"):
        natural_crops(10, TRAINING_STRIP, size=SIZE, rng=rng())


def test_crops_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"crops of 60 pixels at scale 2\.5 span up to 212 pixels"):
        place_crops(1, TEST_STRIP, size=60, max_scale=2.5, rng=rng())
    place_crops(1, Strip(0, 1), size=60, max_scale=2.5, rng=rng())

"""The simulated cortex: its statistics, its truth, its determinism."""

import numpy as np
import pytest

from decortex.data import SimulatedCortex, SimulationConfig, simulate, simulate_cortex
from decortex.data.simulation import draw_weights
from decortex.errors import ConfigError

SMALL = {"n_neurons": 48, "n_train": 200, "n_validation": 40, "n_test": 20, "n_repeats": 5}


def cortex(seed: int = 0, **changes: object) -> SimulatedCortex:
    return simulate_cortex(SimulationConfig.from_params(SMALL | changes), seed)


@pytest.fixture(scope="module")
def small() -> SimulatedCortex:
    return cortex()


def weights_of(spread: float, n_neurons: int = 240) -> np.ndarray:
    config = SimulationConfig(n_neurons=n_neurons, spread=spread)
    return draw_weights(config, np.sort(np.arange(n_neurons) % 3), n_types=8, rng=np.random.default_rng(0))


def test_sessions_tiers_and_repeats(small: SimulatedCortex) -> None:
    recordings = small.recordings
    assert [session.name for session in recordings.sessions] == ["animal-1", "animal-2", "animal-3"]
    assert recordings.n_neurons == 48
    assert recordings.image_shape == (1, 36, 36)
    for session in recordings.sessions:
        ids = {tier: session.image_ids[session.trials(tier)] for tier in ("train", "validation", "test")}
        assert {tier: len(set(own.tolist())) for tier, own in ids.items()} == {
            "train": 200,
            "validation": 40,
            "test": 20,
        }
        assert not set(ids["train"]) & set(ids["test"])
        assert np.all(np.unique(ids["test"], return_counts=True)[1] == 5)
        # equal ids show equal images, and they are the images that the rates belong to
        shown = session.images.read(session.trials("test"))[:, 0]
        np.testing.assert_array_equal(shown, small.images[ids["test"]])


def test_responses_are_counts(small: SimulatedCortex) -> None:
    session = small.recordings.sessions[0]
    counts = session.responses.read(np.arange(session.n_trials))
    assert counts.dtype == np.float32
    assert counts.min() >= 0
    np.testing.assert_array_equal(counts, np.round(counts))


def test_no_spread_gives_pure_types_and_full_spread_a_continuum() -> None:
    discrete, mixed, continuum = weights_of(0.0), weights_of(0.5), weights_of(1.0)
    assert set(np.unique(discrete)) == {0.0, 1.0}
    for weights in (discrete, mixed, continuum):
        np.testing.assert_allclose(weights.sum(axis=1), 1)
    # the largest of eight Dirichlet(1) weights has mean H_8 / 8 = .3397
    assert continuum.max(axis=1).mean() == pytest.approx(0.3397, abs=0.02)
    assert mixed.max(axis=1).mean() == pytest.approx(0.5 + 0.5 / 8, abs=0.03)


def test_types_are_balanced_within_each_animal(small: SimulatedCortex) -> None:
    truth = cortex(spread=0.0).recordings.truth
    assert truth is not None
    for own in small.recordings.slices.values():
        np.testing.assert_array_equal(np.bincount(truth[own]), np.full(8, 2))


def test_truth_is_the_largest_weight_and_only_the_chosen_types_occur() -> None:
    made = cortex(types=["complex_low", "centre_on"], spread=0.4)
    assert made.weights.shape == (48, 2)
    np.testing.assert_array_equal(made.recordings.truth, made.weights.argmax(axis=1))
    assert set(made.recordings.truth.tolist()) == {0, 1}


def test_orientation_is_uniform_or_fixed(small: SimulatedCortex) -> None:
    fixed = cortex(orientation="fixed")
    assert set(fixed.fields.orientation.tolist()) == {0.0}
    # nothing else about the neurons changes
    np.testing.assert_array_equal(fixed.weights, small.weights)
    np.testing.assert_array_equal(fixed.fields.row, small.fields.row)
    many = cortex(n_neurons=2000, n_train=2, n_validation=1, n_test=1).fields.orientation
    assert np.abs(np.exp(1j * many).mean()) < 0.06
    assert np.abs(np.exp(2j * many).mean()) < 0.06
    assert many.max() > np.pi


def test_mean_counts_are_the_configured_gains() -> None:
    made = cortex(gain_log_sd=0.0, animal_gain_log_sd=0.0, gain_median=2.5)
    np.testing.assert_allclose(made.rates[:200].mean(axis=0), 2.5, atol=1e-5)
    varied = cortex(n_neurons=400, gain_log_sd=0.5, animal_gain_log_sd=0.0, n_train=50)
    log_gain = np.log(varied.rates[:50].mean(axis=0) / 1.5)
    assert log_gain.mean() == pytest.approx(0, abs=0.1)
    assert log_gain.std() == pytest.approx(0.5, abs=0.06)


def test_counts_are_poisson_around_the_rates() -> None:
    made = cortex(n_test=6, n_repeats=1500, n_neurons=12, n_animals=2)
    counts = np.concatenate(
        [session.responses.read(session.trials("test")) for session in made.recordings.sessions], axis=1
    ).reshape(6, 1500, 12)
    rates = made.test_rates
    error = (counts.mean(axis=1) - rates) / np.sqrt(rates / 1500)
    assert np.abs(error).max() < 4.5
    assert error.std() == pytest.approx(1, abs=0.35)
    strong = rates > 0.1
    fano = (counts.var(axis=1, ddof=1) / rates)[strong]
    assert fano.mean() == pytest.approx(1, abs=0.03)


def test_explained_variance_is_in_the_range_of_recordings_for_every_spread() -> None:
    medians = []
    for spread in (0.0, 1.0):
        rates = cortex(spread=spread, n_test=60).test_rates
        fev = rates.var(axis=0) / (rates.var(axis=0) + rates.mean(axis=0))
        medians.append(float(np.median(fev)))
        assert 0.4 < medians[-1] < 0.8
    # the drive is scaled to unit variance: spread does not move the noise ceiling
    assert abs(medians[0] - medians[1]) < 0.1


def test_relative_orientation_shows_in_the_rates() -> None:
    """Same neurons, iso or cross: the rates must differ, or the types could not be told apart."""
    iso, cross = (cortex(types=[name], spread=0.0).rates for name in ("pair_iso", "pair_cross"))
    np.testing.assert_allclose(iso[:200].mean(axis=0), cross[:200].mean(axis=0), rtol=1e-4)
    correlation = [np.corrcoef(iso[:, n], cross[:, n])[0, 1] for n in range(48)]
    assert np.mean(correlation) < 0.95


def test_the_same_configuration_and_seed_give_the_same_bytes(small: SimulatedCortex) -> None:
    again = simulate(small.config, 0)
    assert again.content_sha256 == small.recordings.content_sha256
    for one, other in zip(again.sessions, small.recordings.sessions, strict=True):
        every = np.arange(one.n_trials)
        np.testing.assert_array_equal(one.responses.read(every), other.responses.read(every))
        np.testing.assert_array_equal(one.images.read(every), other.images.read(every))
    digests = {
        again.content_sha256,
        simulate(small.config, 1).content_sha256,
        cortex(slope=1.6).recordings.content_sha256,
    }
    assert len(digests) == 3


def test_a_longer_test_set_does_not_change_the_neurons(small: SimulatedCortex) -> None:
    longer = cortex(n_test=30)
    np.testing.assert_array_equal(longer.weights, small.weights)
    np.testing.assert_array_equal(longer.images[:260], small.images)
    np.testing.assert_array_equal(longer.rates[:260], small.rates)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"spread": 1.5}, r"spread: should be at most 1 \(got 1\.5\)"),
        ({"n_neuron": 5}, r"n_neuron: there is no such name; did you mean 'n_neurons'\?.*It has n_neurons"),
        ({"types": ["simple"]}, "types.0: should be 'complex_high'"),
        ({"types": ["centre_on", "centre_on"]}, "a mechanism is named twice"),
        ({"n_neurons": 2}, "2 neurons do not fill 3 animals"),
        ({"image_size": 90}, "crops of 90 pixels at scale 2.5 span up to 318 pixels of a photograph"),
        ({"position_range": 20.0}, "receptive fields up to 21 pixels off centre leave"),
    ],
)
def test_bad_parameters_are_named(params: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SimulationConfig.from_params(params)

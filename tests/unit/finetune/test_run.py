"""Fine-tuning and its control on a tiny network: consistency, statuses, refusals, reproducibility."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_t

from decortex.clustering import fit
from decortex.data import InMemoryTrials
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import ConfigError, InputError
from decortex.evaluation.performance import score_neurons
from decortex.finetune import FinetuneConfig, continue_training, finetune
from decortex.models import Network, predict
from decortex.models.training import fit_network


class Doubled:
    """A map that is not the identity, to see that it is used."""

    def apply_torch(self, weights):
        return 2.0 * weights.double()


DOUBLED = Doubled()
VARIANTS = {
    "dec": FinetuneConfig(kind="dec", update_interval=2, tolerance=0.0),
    "dec_joint": FinetuneConfig(kind="dec_joint", beta=0.5, update_interval=2, tolerance=0.0),
    "pca10": FinetuneConfig(kind="dec_joint", kernel="pca10", update_interval=2, tolerance=0.0),
    "scaled": FinetuneConfig(kind="dec_joint", kernel="scaled", update_interval=2, tolerance=0.0),
    "undetached": FinetuneConfig(kind="dec_undetached"),
    "december": FinetuneConfig(kind="december"),
    "december_learned": FinetuneConfig(
        kind="december", learn_nu=True, learn_weights=True, detach_target=True
    ),
}


def partition(network, k=2):
    points = 2.0 * network.embedding().detach().numpy()
    return fit(points, "kmeans", n_clusters=k, seed=0).labels


def run(network, recordings, schedule, config, *, k=2, seed=3, labels=None):
    labels = partition(network, k) if labels is None else labels
    return finetune(
        network, recordings, DOUBLED, labels, config, schedule, n_clusters=k, seed=seed, device="cpu"
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_everything_a_result_holds_is_of_one_moment(name, network, recordings, schedule):
    before = partition(network)
    result = run(network, recordings, schedule, VARIANTS[name])
    assert result.status in {"ok", "flat_target", "collapsed"}
    points = 2.0 * network.embedding().detach().numpy()
    np.testing.assert_allclose(result.points, points, rtol=1e-6)
    rebuilt = Network.from_checkpoint(result.checkpoint)
    torch.testing.assert_close(rebuilt.embedding(), network.embedding())
    # Labels follow from the stored points and parameters alone.
    centres, x = result.parameters["centres"], result.points
    if name == "pca10":
        x = (x - result.parameters["origin"]) @ result.parameters["axes"]
    if "december" not in name:
        expected = ((x[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        np.testing.assert_array_equal(result.labels, expected)
    sizes = np.bincount(result.labels, minlength=2)
    assert sizes[0] >= sizes[1]
    np.testing.assert_array_equal(np.sort(result.end.sizes), np.sort(sizes))
    same, other = np.mean(result.labels == before), np.mean(result.labels == 1 - before)
    assert result.share_changed == pytest.approx(1 - max(same, other), abs=1e-9)
    assert len(result.curve) == len(result.epochs) == result.best_epoch == 3
    for state, record in zip(result.curve, result.epochs, strict=True):
        assert state.sizes.sum() == recordings.n_neurons
        assert record.term["kl"] == pytest.approx(state.kl)
        assert {"loss", "gradient_norm_term", "share_changed", "entropy_mean_q"} <= set(record.term)


def test_the_mixture_parameters_give_the_labels(network, recordings, schedule):
    result = run(network, recordings, schedule, VARIANTS["december_learned"])
    mu, sigma, nu = (result.parameters[name] for name in ("centres", "scales", "nu"))
    joint = np.stack(
        [
            np.log(result.parameters["weights"][j])
            + multivariate_t(mu[j], np.diag(sigma[j]), df=nu[j]).logpdf(result.points)
            for j in range(2)
        ],
        axis=1,
    )
    np.testing.assert_array_equal(result.labels, joint.argmax(axis=1))


def test_equal_seeds_give_equal_bits(network, recordings, schedule):
    other = copy.deepcopy(network)
    one = run(network, recordings, schedule, VARIANTS["dec_joint"])
    two = run(other, recordings, schedule, VARIANTS["dec_joint"])
    np.testing.assert_array_equal(one.points, two.points)
    np.testing.assert_array_equal(one.labels, two.labels)
    third = run(copy.deepcopy(other), recordings, schedule, VARIANTS["dec_joint"], seed=4)
    assert not np.array_equal(one.points, third.points)


def test_dec_alone_tightens_the_clusters_and_shows_no_image(network, recordings, schedule):
    core = {key: value.clone() for key, value in network.core.state_dict().items()}
    result = run(network, recordings, schedule, VARIANTS["dec"])
    for key, value in network.core.state_dict().items():
        torch.testing.assert_close(value, core[key], rtol=0, atol=0)
    assert result.end.mean_max_q > result.start.mean_max_q
    assert [record.train_loss for record in result.epochs] == [None] * 3
    assert result.beta == 1.0


def test_the_joint_loss_at_vanishing_beta_is_the_control(network, recordings, schedule):
    control_network = copy.deepcopy(network)
    gentle = FinetuneConfig(kind="dec_joint", beta=1e-12, tolerance=0.0)
    result = run(network, recordings, schedule, gentle, seed=5)
    control = continue_training(control_network, recordings, schedule, seed=5, device="cpu")
    np.testing.assert_allclose(result.points, 2.0 * control_network.embedding().detach().numpy(), atol=1e-5)
    for one, other in zip(result.epochs, control.epochs, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, abs=1e-5)


def test_the_control_can_be_read_at_every_epoch(network, recordings, schedule):
    control = continue_training(network, recordings, schedule, seed=0, device="cpu")
    assert len(control.test_scores) == len(control.epochs) == 3
    assert control.best_epoch == 3  # the schedule keeps the last
    parts = predict(network, recordings, "test", device="cpu").values()
    expected = np.concatenate(
        [
            score_neurons(p.responses, p.predictions, p.image_ids)["correlation_to_average"].values
            for p in parts
        ]
    )
    np.testing.assert_allclose(control.test_scores[-1], expected, atol=1e-6)
    assert not np.array_equal(control.test_scores[0], control.test_scores[1])
    rebuilt = Network.from_checkpoint(control.checkpoint)
    torch.testing.assert_close(rebuilt.embedding(), network.embedding())


def test_the_control_runs_all_epochs_whatever_the_patience(network, recordings, schedule):
    hasty = schedule.model_copy(update={"patience": 1, "learning_rate": 0.05, "max_epochs": 10})
    outcome = fit_network(copy.deepcopy(network), recordings, hasty, seed=0, device="cpu")
    assert outcome.stop_reason == "patience"
    control = continue_training(network, recordings, hasty, seed=0, device="cpu")
    assert (len(control.test_scores), control.stop_reason) == (10, "max_epochs")


def test_labels_that_stop_changing_end_training(network, recordings, schedule):
    config = FinetuneConfig(kind="dec", update_interval=1, tolerance=0.5)
    result = run(network, recordings, schedule, config)
    assert (result.stop_reason, result.best_epoch) == ("tolerance", 1)


def test_an_undetached_target_collapses_and_says_so(network, recordings, schedule):
    long = schedule.model_copy(update={"max_epochs": 60, "learning_rate": 2e-2})
    config = FinetuneConfig(kind="dec_undetached", beta=100.0)
    result = run(network, recordings, long, config)
    assert (result.status, result.stop_reason) == ("collapsed", "collapsed")
    assert result.end.max_centre_distance < 0.2 * result.start.max_centre_distance


def test_a_diverging_run_keeps_the_last_finite_state(network, recordings, schedule):
    before = network.embedding().detach().clone()
    config = FinetuneConfig(kind="dec_joint", beta=1e40, tolerance=0.0)
    result = run(network, recordings, schedule, config)
    assert (result.status, result.stop_reason) == ("diverged", "diverged")
    assert (result.best_epoch, result.share_changed) == (0, 0.0)
    torch.testing.assert_close(network.embedding().detach(), before, rtol=0, atol=0)
    assert np.isfinite(result.points).all()


def test_nan_in_a_batch_ends_a_run_in_its_last_finite_state(network, recordings, schedule):
    one, other = recordings.sessions
    responses = one.responses.read(np.arange(160)).copy()
    responses[5, 3] = np.nan  # a training trial
    broken = replace(recordings, sessions=[replace(one, responses=InMemoryTrials(responses)), other])
    before = network.embedding().detach().clone()
    for kind in ("dec_joint", "december"):
        result = run(copy.deepcopy(network), broken, schedule, FinetuneConfig(kind=kind))
        assert (result.status, result.stop_reason, result.best_epoch) == ("diverged", "diverged", 0)
        np.testing.assert_array_equal(result.points, 2.0 * before.double().numpy())
    control = continue_training(network, broken, schedule, seed=0, device="cpu")
    assert (control.stop_reason, control.test_scores) == ("diverged", ())


def test_an_empty_start_cluster_is_a_status(network, recordings, schedule):
    labels = partition(network)
    before = network.embedding().detach().clone()
    result = run(network, recordings, schedule, VARIANTS["dec"], k=4, labels=labels + (labels == 1))
    assert (result.status, result.stop_reason, result.best_epoch) == ("empty_start", "not_started", 0)
    torch.testing.assert_close(network.embedding().detach(), before, rtol=0, atol=0)
    np.testing.assert_array_equal(result.labels, labels)
    assert np.isnan(result.parameters["centres"][2:]).all()
    assert np.isfinite(result.parameters["centres"][:2]).all()
    assert result.epochs == () == result.curve


@pytest.mark.parametrize("kind", ["dec_joint", "december"])
def test_a_balanced_beta_makes_both_gradients_equal_at_the_start(kind, network, recordings, schedule):
    untouched = copy.deepcopy(network.state_dict())
    config = FinetuneConfig(kind=kind, beta=0.5, beta_rule="balanced")
    # No batch norm in training mode, no shift: the loop's own first step must then show the same norms.
    fixed = schedule.model_copy(update={"trains": "readout", "max_epochs": 1})
    result = run(network, recordings, fixed, config)
    first = result.epochs[0].term
    ratio = first["gradient_norm_term"] / first["gradient_norm_prediction"]
    assert ratio == pytest.approx(0.5, rel=1e-4)
    assert result.beta != 0.5
    for name, value in network.core.state_dict().items():
        torch.testing.assert_close(value, untouched[f"core.{name}"], rtol=0, atol=0)


def test_without_a_gradient_there_is_nothing_to_balance(network, recordings, schedule):
    class Point:
        def apply_torch(self, weights):
            return 0.0 * weights

    config = FinetuneConfig(kind="dec_joint", beta_rule="balanced")
    result = finetune(
        network, recordings, Point(), partition(network), config, schedule, n_clusters=2, seed=0, device="cpu"
    )
    assert (result.status, result.stop_reason) == ("flat_target", "not_started")


def test_a_flat_start_is_a_status(network, recordings, schedule):
    class Tiny:
        def apply_torch(self, weights):
            return 1e-3 * weights

    result = finetune(
        network,
        recordings,
        Tiny(),
        partition(network),
        VARIANTS["dec_joint"],
        schedule,
        n_clusters=2,
        seed=0,
        device="cpu",
    )
    assert result.status == "flat_target"
    assert result.start.mean_max_q < 1.5 / 2


@pytest.mark.parametrize("kind", ["l2", "zscore", "pca"])
def test_every_embedding_can_be_fine_tuned_under_averaging_and_clipping(kind, network, recordings, schedule):
    config = EmbeddingConfig(kind=kind, n_components=3 if kind == "pca" else None)
    fitted = fit_map(network.embedding().detach().numpy(), config)
    start = fitted.apply(network.embedding().detach().numpy())
    labels = fit(start, "kmeans", n_clusters=3, seed=0).labels
    careful = schedule.model_copy(update={"gradient_clip": 1.0, "weight_average": 0.9, "optimiser": "adamw"})
    result = finetune(
        network, recordings, fitted, labels, VARIANTS["scaled"], careful, n_clusters=3, seed=0, device="cpu"
    )
    moved = fitted.apply(network.embedding().detach().numpy())
    np.testing.assert_allclose(result.points, moved, rtol=1e-4, atol=1e-6)
    assert not np.allclose(moved, start, atol=1e-3)
    assert result.epochs[-1].term["kl"] == pytest.approx(result.curve[-1].kl)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda good: (good[:-1], 2), "one label for each of the 24 neurons"),
        (lambda good: (good, 25), "number of neurons, 24, got 25"),
        (lambda good: (good, 1), "between 0 and 0"),
        (lambda good: (good - 1, 2), "reach from -1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(network, recordings, schedule, change, message):
    labels, k = change(partition(network))
    with pytest.raises(InputError, match=message):
        run(network, recordings, schedule, VARIANTS["dec"], k=k, labels=labels)


def test_what_cannot_be_trained_is_refused(network, recordings, schedule):
    labels = partition(network)
    with pytest.raises(ConfigError, match="'none' has nothing to train"):
        run(network, recordings, schedule, FinetuneConfig(kind="none"), labels=labels)
    with torch.no_grad():
        network.readout("a").features[0, 0] = float("nan")
    with pytest.raises(InputError, match="NaN or infinite"):
        run(network, recordings, schedule, VARIANTS["dec"], labels=labels)


def test_the_clusters_that_hold_a_neuron_are_a_start_where_that_is_asked_for(network, recordings, schedule):
    fitted = fit_map(network.embedding().detach().numpy(), EmbeddingConfig(kind="l2"))
    points = fitted.apply(network.embedding().detach().numpy())
    labels = fit(points, "leiden", n_clusters=20, seed=0, resolution=1.0, n_neighbors=5).labels
    k = len(np.unique(labels))
    assert 1 < k < 20
    params = {"kind": "december", "beta": 0.1}
    wide, narrow = (
        finetune(
            copy.deepcopy(network),
            recordings,
            fitted,
            labels if found is None else np.unique(labels, return_inverse=True)[1],
            FinetuneConfig(**params, drop_empty=found is None),
            schedule,
            n_clusters=found or 20,
            seed=0,
            device="cpu",
        )
        for found in (None, k)
    )
    assert (wide.status, wide.n_clusters, len(wide.end.sizes)) == ("ok", k, k)
    np.testing.assert_array_equal(wide.labels, narrow.labels)
    np.testing.assert_array_equal(wide.points, narrow.points)
    with pytest.raises(ConfigError, match="drop_empty and heads exclude each other"):
        FinetuneConfig.from_params({**params, "drop_empty": True, "heads": [4]})

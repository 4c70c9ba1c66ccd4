"""Several numbers of clusters in one loss: the mean written out, each head's own state, the parent's labels."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from rotation_starts import rolled_start

from decortex.clustering import fit
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import ConfigError, InputError
from decortex.finetune import FinetuneConfig, build_term, finetune
from decortex.finetune.losses import HeadsTerm, StartPoints, head_starts


def identity(weights):
    return weights


def start_points(n=90, k=3, d=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % k
    centres = 3 * torch.randn(k, d, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return StartPoints(points=centres[labels] + noise, labels=labels, n_clusters=k)


KINDS = ("dec", "dec_joint", "dec_undetached", "december", "tell")


def built(start, kind, **params):
    config = FinetuneConfig(kind=kind, heads=(2, 5), **params)
    return build_term(identity, start, config, head_starts(start, config, seed=0))


def alone(start, kind, **params):
    return build_term(identity, start, FinetuneConfig(kind=kind, **params))


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_mean_of_the_losses_that_each_head_has_alone(kind):
    start = start_points()
    term = built(start, kind)
    labels = {k: fit(start.points.numpy(), "kmeans", n_clusters=k, seed=0, n_init=20).labels for k in (2, 5)}
    singles = [alone(start, kind)]
    for k, found in labels.items():
        own = StartPoints(start.points, torch.as_tensor(found.astype(np.int64)), k)
        singles.append(alone(own, kind))
    for step in range(3):
        moved = start.points + 0.1 * step
        expected = sum(one.loss(moved).item() for one in singles) / 3
        assert term.loss(moved).item() == pytest.approx(expected, rel=1e-9)
        for one in (term, *singles):
            one.after_step(moved)
    torch.testing.assert_close(term.log_q(start.points), singles[0].log_q(start.points))
    for head, one in zip(term.heads.values(), singles[1:], strict=True):
        torch.testing.assert_close(head.log_q(start.points), one.log_q(start.points))


def test_the_gradient_is_that_of_all_heads_and_centres_of_all_are_trained():
    start = start_points()
    term = built(start, "dec_joint", tolerance=0.0)
    assert len([name for name, _ in term.named_parameters() if name.endswith("centres")]) == 3
    points = (start.points + 0.2).requires_grad_()
    term.loss(points).backward()
    assert all(parameter.grad is not None for parameter in term.parameters())


def test_labels_diagnostics_and_stopping_are_the_parents():
    start = start_points()
    term, parent = built(start, "december"), alone(start, "december")
    assert isinstance(term, HeadsTerm)
    np.testing.assert_array_equal(term.start.sizes, parent.start.sizes)
    assert term.end_epoch(start.points) == parent.end_epoch(start.points)
    assert [len(state.sizes) for state in (term.curve[0], *(h.curve[0] for h in term.heads.values()))] == [
        3,
        2,
        5,
    ]
    with torch.no_grad():
        term.heads[5].centres.copy_(term.heads[5].centres.mean(dim=0).expand_as(term.heads[5].centres))
    term.end_epoch(start.points)
    assert term.heads[5].stop() == "collapsed"
    assert term.stop() is None


def test_another_process_takes_up_every_head():
    start = start_points()
    term, other = built(start, "december"), built(start, "december")
    for head in (term.parent, *term.heads.values()):
        head.em_step(start.points + 1.0)
    term.end_epoch(start.points)
    other.load_state_dict(term.state_dict())
    other.recall(term.memory())
    assert len(other.curve) == len(other.heads[5].curve) == 1
    torch.testing.assert_close(other.loss(start.points), term.loss(start.points))


def test_heads_of_a_rotation_kind_are_up_to_a_roll_too():
    start = rolled_start(n=60)
    config = FinetuneConfig(kind="rotation_december", heads=(2,))
    heads = head_starts(start, config, seed=0)
    assert heads[2].shifts is not None
    term = build_term(identity, start, config, heads)
    assert set(term.cluster_parameters(start.points, np.arange(start.n_clusters))) >= {"centres", "shifts"}
    assert torch.isfinite(term.loss(start.points))


def test_a_network_is_fine_tuned_at_several_k_and_every_head_is_kept(network, recordings, schedule):
    fitted = fit_map(network.embedding().detach().numpy(), EmbeddingConfig(kind="l2"))
    labels = fit(fitted.apply(network.embedding().detach().numpy()), "kmeans", n_clusters=3, seed=0).labels
    config = FinetuneConfig(kind="december", beta=0.1, heads=(2, 4))
    results = [
        finetune(
            copy.deepcopy(network),
            recordings,
            fitted,
            labels,
            config,
            schedule,
            n_clusters=3,
            seed=0,
            device="cpu",
        )
        for _ in range(2)
    ]
    found = results[0]
    assert found.status == "ok"
    assert len(np.unique(found.labels)) == 3
    assert [head.n_clusters for head in found.heads] == [2, 4]
    assert [len(head.curve) for head in found.heads] == [3, 3]
    for one, again in zip(found.heads, results[1].heads, strict=True):
        np.testing.assert_array_equal(one.labels, again.labels)
        assert (np.diff(np.bincount(one.labels, minlength=one.n_clusters)) <= 0).all()
    np.testing.assert_array_equal(found.points, results[1].points)


def test_heads_that_do_not_fit_are_refused(network, recordings, schedule):
    for heads in ((4, 2), (2, 2), (1, 3)):
        with pytest.raises(ConfigError, match="increasing numbers of clusters"):
            FinetuneConfig.from_params({"kind": "december", "heads": list(heads)})
    with pytest.raises(ConfigError, match="does not use heads"):
        FinetuneConfig.from_params({"kind": "none", "heads": [4]})
    start = start_points()
    config = FinetuneConfig(kind="december", heads=(3,))
    with pytest.raises(ConfigError, match="own K = 3"):
        head_starts(start, config, seed=0)
    with pytest.raises(ConfigError, match="were asked for, partitions came at"):
        build_term(identity, start, FinetuneConfig(kind="december", heads=(2,)))
    with pytest.raises(InputError, match="needs as many neurons"):
        head_starts(start, FinetuneConfig(kind="december", heads=(500,)), seed=0)
    assert FinetuneConfig.from_params(config.resolved()) == config

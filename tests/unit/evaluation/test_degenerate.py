"""Bad input through every statistic: a status and None, never a crash, NaN, infinity or p of 0."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from decortex.evaluation import cluster_quality
from decortex.evaluation.agreement import agreement, consensus, matched_confusion, stability
from decortex.evaluation.association import (
    associate,
    cluster_contrasts,
    confound,
    grid_test,
    leave_one_out,
    mixed_test,
    pairwise_tests,
    population_test,
    sessions_test,
    unit_effects,
)
from decortex.evaluation.performance import retained_performance
from decortex.evaluation.selection import SelectionConfig, choose_k

N, N_SESSIONS = 60, 6
B = 99


@dataclass(frozen=True)
class Case:
    """Neurons with scores, clusters, sessions, animals and an embedding."""

    scores: np.ndarray
    labels: np.ndarray
    sessions: np.ndarray
    x: np.ndarray

    @property
    def animals(self) -> np.ndarray:
        return self.sessions // 2


def good() -> Case:
    rng = np.random.default_rng(0)
    return Case(
        scores=rng.random(N),
        labels=np.arange(N) % 4,
        sessions=np.arange(N) * N_SESSIONS // N,
        x=rng.normal(size=(N, 3)),
    )


def bad(name: str) -> Case:
    case = good()
    some, alone = case.scores.copy(), case.labels.copy()
    some[::3] = np.nan
    alone[7] = 9
    return {
        "one cluster": replace(case, labels=np.zeros(N, dtype=int)),
        "a cluster of one neuron": replace(case, labels=alone),
        "every neuron a cluster": replace(case, labels=np.arange(N)),
        "all scores equal": replace(case, scores=np.full(N, 0.25)),
        "some scores undefined": replace(case, scores=some),
        "all scores undefined": replace(case, scores=np.full(N, np.nan)),
        "one session": replace(case, sessions=np.zeros(N, dtype=int)),
        "more clusters than a session has neurons": replace(case, labels=np.arange(N) % 20),
        "clusters are sessions": replace(case, labels=case.sessions),
    }[name]


NAMES = (
    "one cluster",
    "a cluster of one neuron",
    "every neuron a cluster",
    "all scores equal",
    "some scores undefined",
    "all scores undefined",
    "one session",
    "more clusters than a session has neurons",
    "clusters are sessions",
)


def everything(case: Case) -> dict[str, Any]:
    """Every statistic of the case; undefined scores are left out, as the tables do, where finite ones are asked."""
    known = ~np.isnan(case.scores)
    y, labels, sessions = case.scores[known], case.labels[known], case.sessions[known]
    covariates = case.x[known][:, :1]
    partitions = [labels, np.arange(len(labels)) % 3]
    lost = np.where(case.labels == 0, np.nan, case.scores)
    return {
        "naive": associate(case.scores, case.labels, case.sessions, seed=0, n_permutations=B),
        "pairs": pairwise_tests(case.scores, case.labels),
        "sessions": sessions_test(y, labels, sessions, covariates, seed=0, n_permutations=B),
        "grid": grid_test(y, partitions, sessions, covariates, seed=0, n_permutations=B),
        "mixed": mixed_test(y, labels, sessions, covariates),
        "population": population_test(y, labels, sessions, covariates),
        "animals": population_test(y, labels, sessions, covariates, units=case.animals[known]),
        "contrasts": cluster_contrasts(y, labels, sessions),
        "units": unit_effects(y, labels, sessions),
        "confound": confound(case.labels, case.sessions),
        "transfer": leave_one_out(case.x, case.labels, case.animals, case.sessions, case.scores),
        "price": retained_performance(
            case.scores, lost, case.scores, sessions=case.sessions, labels=case.labels
        ),
        "quality": cluster_quality(case.x, case.labels, seed=0),
        "agreement": agreement(case.labels, case.labels),
        "matched": matched_confusion(case.labels, case.labels),
        "consensus": consensus([case.labels, case.labels[::-1]], int(case.labels.max()) + 1),
        "stability": stability(case.labels, [case.labels], int(case.labels.max()) + 1),
    }


@functools.cache
def everything_of(name: str) -> dict[str, Any]:
    """Every statistic of bad input, computed once for the tests that look at it."""
    return everything(bad(name))


def numbers(value: Any, path: str) -> Iterator[tuple[str, float]]:
    """Every single number in a result, with where it stands; arrays of one value per neuron are not looked into."""
    if is_dataclass(value):
        for field in fields(value):
            yield from numbers(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, tuple | list):
        for index, part in enumerate(value):
            yield from numbers(part, f"{path}[{index}]")
    elif isinstance(value, float | np.floating):
        yield path, float(value)


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_has_statuses_and_no_made_up_number(name: str) -> None:
    for what, result in everything_of(name).items():
        for path, value in numbers(result, what):
            assert np.isfinite(value), path
            if path.rpartition(".")[2].startswith("p"):
                assert 0 <= value <= 1, path
            if path.rpartition(".")[2] in ("p_permutation", "p_sessions", "p_adjusted"):
                assert value > 0, path


def test_good_input_has_every_number() -> None:
    found = everything(good())
    assert [found[name].status for name in ("naive", "sessions", "grid", "mixed", "population")] == ["ok"] * 5
    assert found["animals"].status == "too_few_units"
    assert found["population"].p is not None


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("one cluster", {"naive": "one_cluster", "sessions": "one_cluster", "population": "one_cluster"}),
        ("all scores equal", {"naive": "constant_scores", "sessions": "constant_scores"}),
        ("all scores undefined", {"naive": "no_scores", "sessions": "no_scores", "population": "no_scores"}),
        ("one session", {"population": "too_few_units", "naive": "ok"}),
        ("clusters are sessions", {"sessions": "cluster_is_nuisance"}),
        ("every neuron a cluster", {"naive": "too_few_neurons", "sessions": "too_few_neurons"}),
    ],
)
def test_the_status_says_why(name: str, statuses: dict[str, str]) -> None:
    found = everything_of(name)
    assert {what: found[what].status for what in statuses} == statuses
    for what, status in statuses.items():
        if status != "ok":
            assert getattr(found[what], "p", None) is None, what


def test_an_embedding_of_one_point_supports_no_k() -> None:
    config = SelectionConfig(n_surrogates=2, n_splits=1, n_references=2, n_subsamples=2, n_resamples=0)
    found = choose_k(np.ones((12, 2)), counts=(2, 3), config=config)
    assert found.decision.k is None
    for path, value in numbers(found, "choice"):
        assert np.isfinite(value), path

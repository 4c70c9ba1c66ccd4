"""Simulated scores, clusters, sessions and a confound for `calibrate.py`. Nothing is tested here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from decortex.evaluation.association import CovariateConfig, covariate_columns, scaled_scores

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """How scores and clusters come about. Units of the scores: standard deviation of a neuron's own noise."""

    n_sessions: int = 6
    n_clusters: int = 5
    neurons: tuple[int, int] = (30, 120)  # a session, at least and below
    session_sd: float = 0.7
    interaction_sd: float = 0.0  # cluster-by-unit effects
    sessions_an_animal: int = 1
    confound: float = 0.0  # slope of the scores on what also moves the clusters
    curved: float = 0.0  # slope on its square
    reliability: float = 1.0  # of the confound as it is measured
    heavy: bool = False  # t with 3 degrees of freedom, and a spread of its own in every session
    skewed: bool = False  # exponential noise
    size_ratio: float = (
        0.0  # of the largest to the smallest cluster, geometric between them; 0: shares of 3 to 1
    )
    spread_ratio: float = (
        1.0  # of the smallest cluster's own noise to that of the largest; below 1 the largest spreads
    )
    bounded: Literal["", "tanh", "logistic"] = (
        ""  # scores as they are observed: this function of what the rest says
    )
    effect: float = 0.0  # standard deviation of the clusters' true means

    def draw(self, rng: np.random.Generator) -> Data:
        """Draw one data set: sessions of unequal size, clusters of unequal size, another mix in each session."""
        k = self.n_clusters
        sizes = rng.integers(*self.neurons, self.n_sessions)
        session = np.repeat(np.arange(self.n_sessions), sizes)
        n = len(session)
        shares = np.geomspace(self.size_ratio, 1, k) if self.size_ratio else np.linspace(3, 1, k)
        shares = shares / shares.sum()
        mixes = rng.dirichlet(shares * 5 * k, self.n_sessions)
        confounder = rng.normal(size=n) + 0.5 * rng.normal(size=self.n_sessions)[session]
        # A neuron's cluster follows from its place between 0 and 1, which the confounder moves where there is one.
        place = rng.random(n)
        if self.confound or self.curved:
            tilt = confounder + rng.normal(size=n)
            place = np.empty(n)
            for one in range(self.n_sessions):
                here = session == one
                place[here] = (tilt[here].argsort().argsort() + rng.random(here.sum())) / here.sum()
        label = (place[:, None] > np.cumsum(mixes, axis=1)[session]).sum(axis=1).clip(max=k - 1)
        unit = session // self.sessions_an_animal
        y = self.session_sd * rng.normal(size=self.n_sessions)[session]
        y += self.confound * confounder + self.curved * confounder**2
        y += self.interaction_sd * rng.normal(size=(int(unit.max()) + 1, k))[unit, label]
        y += self.effect * cluster_means(k)[label]
        noise = rng.normal(size=n)
        if self.heavy:
            noise = rng.standard_t(3, size=n) * rng.uniform(0.4, 2.0, self.n_sessions)[session]
        elif self.skewed:
            noise = rng.exponential(size=n) - 1
        y += noise * np.geomspace(1, self.spread_ratio, k)[label]
        error = np.sqrt(1 / self.reliability - 1) * confounder.std()
        if self.bounded:
            # Correlations of .46 on average; a logistic score is bounded otherwise than Fisher's z undoes.
            y = np.tanh(0.5 + 0.4 * y) if self.bounded == "tanh" else 1 / (1 + np.exp(-y))
        measured = confounder + error * rng.normal(size=n)
        return Data(y, label, session, unit, measured, bool(self.bounded))


@dataclass(frozen=True)
class Data:
    """One simulated data set."""

    scores: FloatArray
    labels: NDArray[np.intp]
    sessions: NDArray[np.intp]
    units: NDArray[np.intp]
    measured: FloatArray
    bounded: bool

    def covariates(
        self, degree: int = 2, slopes: Literal["by_session", "common"] = "by_session"
    ) -> FloatArray:
        """Powers of the measured confound."""
        config = CovariateConfig(names=("norm",), degree=degree, slopes=slopes)
        values = {"norm": self.measured}
        return covariate_columns(config, values, self.scores, sessions=self.sessions).columns

    def on_fisher_z(self) -> Data:
        """The same with Fisher's z of the scores."""
        return replace(self, scores=scaled_scores(CovariateConfig(), self.scores))


def cluster_means(k: int) -> FloatArray:
    """Evenly spaced true means of mean 0 and standard deviation 1."""
    means = np.linspace(-1, 1, k)
    return means / means.std()


SESSION_LEVELS = World()
CONFOUND = World(confound=0.6)
CURVED = World(confound=0.6, curved=-0.3)
VARYING = World(interaction_sd=0.5)
# Clusters of 1:30 neurons; the small ones spread up to four times as much, or the large ones do.
WIDE = World(size_ratio=30, spread_ratio=4)
NARROW = World(size_ratio=30, spread_ratio=0.25)


@dataclass(frozen=True)
class Row:
    """One line of the output."""

    test: str
    estimand: str
    recommended: bool
    scenario: str
    effect: float
    n_sets: int
    rejection_rate: float | None
    coverage: float | None

"""A first look at a user's own table of neurons: partition, types, agreement, scores, labels; no database."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from decortex.analysis.asked_k import check_asked_k
from decortex.analysis.count import KFrom, chosen_k
from decortex.analysis.sentences import (
    Answer,
    association_in_words,
    five_answers,
    labels_in_words,
    number,
    types_in_words,
)
from decortex.clustering import fit_grid
from decortex.data import NeuronTable, TableColumns, neuron_table, read_table
from decortex.embeddings import EmbeddingConfig, ViewConfig, draw_view, fit_map
from decortex.errors import ConfigError, InputError
from decortex.evaluation.agreement import agreement
from decortex.evaluation.association import AssociationResult, associate
from decortex.evaluation.labels import LabelAgreement, label_agreement
from decortex.evaluation.splits import count_types
from decortex.figures import view_map

METHODS = ("kmeans", "gmm")
SEEDS = (0, 1, 2)


@dataclass(frozen=True, repr=False)
class Analysis:
    """What a table of neurons answers. Prints one line; draws itself in a notebook.

    Parameters
    ----------
    table : NeuronTable
    x : ndarray of float64, shape (n_neurons, n_features)
        What was clustered.
    labels : ndarray of int, shape (n_neurons,)
        The partition; 0 is the largest cluster.
    method : str
    k : int
        Its number of clusters.
    k_from : {'types', 'asked', 'default'}
        'types': the number of types that stand apart; 'default': there are none, and k describes.
    types_status : {'types', 'none', 'undecided'}
    n_types : int or None
        Types that stand apart on neurons held out.
    between_seeds, between_methods : float or None
        Mean adjusted Rand index between starts of the method, and between the methods, at k.
    scores : mapping of str to AssociationResult
        Each score against the clusters, within sessions (else animals, else all neurons as one).
    label_sets : mapping of str to LabelAgreement
        Each label column against the clusters, and the same under labels shuffled within animals.
    """

    table: NeuronTable
    x: NDArray[np.float64]
    labels: NDArray[np.integer[Any]]
    method: str
    k: int
    k_from: KFrom
    types_status: str
    n_types: int | None
    between_seeds: float | None
    between_methods: float | None
    scores: Mapping[str, AssociationResult] = field(default_factory=dict)
    label_sets: Mapping[str, LabelAgreement] = field(default_factory=dict)

    def __repr__(self) -> str:
        """One line."""
        parts = [f"{len(self.table)} neurons x {self.x.shape[1]} features", types_in_words(self)]
        parts.append(f"{self.method} at K = {self.k}, ARI between starts {number(self.between_seeds)}")
        parts += [f"{name}: {association_in_words(one)}" for name, one in self.scores.items()]
        parts += [f"{name}: {labels_in_words(one)}" for name, one in self.label_sets.items()]
        return "; ".join([*parts, *self.notes])

    @property
    def notes(self) -> list[str]:
        """What the table does not tell, and what was done without it."""
        if self.table.animals is None and self.table.sessions is None:
            return ["no animals or sessions: all neurons count as one session"]
        if self.table.sessions is None:
            return ["no sessions: each animal counts as one"]
        return [] if self.table.animals is not None else ["no animals: sessions are held out in their place"]

    def answers(self) -> list[Answer]:
        """The five questions of the project, as far as a table answers them.

        Returns
        -------
        list of dict
            Each with ``question, answer, sentence, effect, low, high, compared_with, n_networks, n_sessions, n_animals,
            missing``.
        """
        return five_answers(self)

    def partition(self) -> pd.DataFrame:
        """The clusters by neuron: ``id``, ``session`` and ``animal`` where known, ``cluster``."""
        known = {"session": self.table.sessions, "animal": self.table.animals}
        columns = {name: values for name, values in known.items() if values is not None}
        return pd.DataFrame({"id": self.table.ids, **columns, "cluster": self.labels})

    def draw(self, path: str | Path | None = None) -> Figure:
        """Draw the neurons on their two principal components, coloured by cluster; written to ``path`` if given."""
        view = draw_view(self.x, ViewConfig(), seed=0)
        points = pd.DataFrame({"x": view.points[:, 0], "y": view.points[:, 1], "cluster": self.labels})
        figure = view_map(
            points,
            colour="cluster",
            label="cluster",
            neighbours_kept=view.neighbours_kept,
            title=f"{self.method}, K = {self.k}",
        )
        if path is not None:
            figure.savefig(path, dpi=200)
        return figure

    def _repr_png_(self) -> bytes:
        """Draw the picture that a notebook shows."""
        buffer = io.BytesIO()
        self.draw().savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()


def analyse(
    source: Any,
    columns: TableColumns | None = None,
    *,
    method: str = "kmeans",
    n_clusters: int | None = None,
    embedding: str = "zscore",
    seed: int = 0,
    wide: bool = False,
    **given: Any,
) -> Analysis:
    """Cluster a table of neurons and answer what it allows.

    Parameters
    ----------
    source : str, Path, NeuronTable, or array_like of shape (n_neurons, n_features)
        A file that `decortex.data.read_table` reads, or the features.
    columns : TableColumns, optional
        Of a file: which columns are no features. Or its fields as keyword arguments (``ids="cell"``).
    method : str
        Clustering method.
    n_clusters : int, optional
        K; default: the number of types that stand apart, else 8 (half as many as there are neurons, where these
        are fewer than 16), which then describes and finds nothing.
    embedding : str
        What is clustered: 'zscore' (features of different units), 'raw', 'l2', 'pca' or 'whiten'.
    seed : int
        First of three starts, and of the tests.
    wide : bool
        Accept more than five features per neuron.
    **given
        Of a file: fields of `TableColumns`. Of an array: `ids`, `animals`, `sessions`, `scores` and `labels`, as
        `decortex.data.neuron_table` takes them.

    Returns
    -------
    Analysis

    Raises
    ------
    InputError
        If the table cannot be worked on; the sentence says what is wrong with it.

    Examples
    --------
    >>> import numpy as np, decortex
    >>> x = np.random.default_rng(0).normal(size=(90, 3)) + 9 * (np.arange(90) % 3)[:, None] * [1, -1, 0]
    >>> decortex.analyse(x, scores={"depth": np.arange(90.0)}).k
    3
    """
    table = _table(source, columns, wide, given)
    if n_clusters is not None:
        check_asked_k(n_clusters, len(table))
    fitted = fit_map(table.features, EmbeddingConfig.from_params({"kind": embedding}))
    if len(fitted.excluded):
        first = str(table.ids[fitted.excluded.indices[0]])
        raise InputError(
            f"{len(fitted.excluded)} neurons are not in the embedding {embedding!r} (first: id {first!r},"
            f" {fitted.excluded.reasons[0]}). Leave them out, or take another embedding."
        )
    x = np.ascontiguousarray(fitted.apply(table.features), dtype=np.float64)
    donors = animals_to_hold_out(table)
    types = count_types(x, donors=donors, seed=seed)
    k, k_from = chosen_k(types.n_types, asked=n_clusters, n_neurons=len(table))
    seeds = tuple(seed + one for one in SEEDS)
    fits = {one: fit_grid(x, one, n_clusters=[k], seeds=seeds) for one in dict.fromkeys((method, *METHODS))}
    partitions = {one: [found.labels for found in found_by] for one, found_by in fits.items()}
    return summarise(
        table,
        x,
        partitions,
        method=method,
        k=k,
        k_from=k_from,
        types=(types.status, types.n_types),
        seed=seed,
    )


def summarise(
    table: NeuronTable,
    x: NDArray[np.float64],
    partitions: Mapping[str, list[NDArray[np.int16]]],
    *,
    method: str,
    k: int,
    k_from: KFrom,
    types: tuple[str, int | None],
    scores: Mapping[str, AssociationResult] | None = None,
    seed: int = 0,
) -> Analysis:
    """Compare partitions of a table with each other, with its scores and with its labels.

    Parameters
    ----------
    table : NeuronTable
    x : ndarray of float64, shape (n_neurons, n_features)
        What was clustered.
    partitions : mapping of str to list of ndarray
        By method, one partition per start; the first of ``method`` is the one that is judged.
    method, k, k_from
        As in `Analysis`.
    types : (str, int or None)
        Status and number of types.
    scores : mapping of str to AssociationResult, optional
        Each score against the partition that is judged, where it is known; default: compared here.
    seed : int
        Of the permutations.
    """
    own = partitions[method]
    labels = own[0]
    groups = table.sessions if table.sessions is not None else table.animals
    blocks = table.animals if table.animals is not None else table.sessions
    one_block = np.zeros(len(table), dtype=np.int64)
    return Analysis(
        table=table,
        x=x,
        labels=labels,
        method=method,
        k=k,
        k_from=k_from,
        types_status=types[0],
        n_types=types[1],
        between_seeds=_mean_ari([(labels, other) for other in own[1:]]),
        between_methods=_mean_ari(
            [(labels, other[0]) for name, other in partitions.items() if name != method]
        ),
        scores={
            name: associate(values, labels, one_block if groups is None else groups, seed=seed)
            for name, values in table.scores.items()
        }
        if scores is None
        else {name: scores[name] for name in table.scores},
        label_sets={
            name: label_agreement(labels, _codes(words), one_block if blocks is None else blocks, seed=seed)
            for name, words in table.labels.items()
        },
    )


def animals_to_hold_out(table: NeuronTable) -> NDArray[np.str_] | None:
    """Animals (else sessions) of the neurons where there are several; None: neurons are held out.

    Examples
    --------
    >>> import numpy as np
    >>> from decortex.data.tables import neuron_table
    >>> table = neuron_table(np.eye(4), animals=["a", "a", "b", "b"])
    >>> animals_to_hold_out(table).tolist()
    ['a', 'a', 'b', 'b']
    """
    groups = table.animals if table.animals is not None else table.sessions
    return groups if groups is not None and len(np.unique(groups)) > 1 else None


def _table(source: Any, columns: TableColumns | None, wide: bool, given: Mapping[str, Any]) -> NeuronTable:
    if isinstance(source, NeuronTable):
        if given or columns is not None:
            raise ConfigError("a NeuronTable holds ids, animals, scores and labels itself; give it alone.")
        return source
    if isinstance(source, (str, Path)):
        if columns is not None and given:
            raise ConfigError("give the columns as TableColumns or one by one, not both.")
        try:
            named = TableColumns(**given) if columns is None else columns
        except TypeError:
            names = ", ".join(TableColumns.__dataclass_fields__)
            raise ConfigError(f"columns are named by {names}; got {', '.join(given)}.") from None
        return read_table(source, named, wide=wide)
    if columns is not None:
        raise ConfigError(
            "an array has no named columns: give ids, animals, sessions, scores and labels as arrays."
        )
    return neuron_table(source, **given)


def _codes(words: NDArray[np.str_]) -> NDArray[np.int64]:
    codes = np.full(len(words), -1, dtype=np.int64)
    known = words != ""
    codes[known] = np.unique(words[known], return_inverse=True)[1]
    return codes


def _mean_ari(pairs: list[tuple[NDArray[Any], NDArray[Any]]]) -> float | None:
    found = [value for a, b in pairs if (value := agreement(a, b).ari) is not None]
    return float(np.mean(found)) if found else None

"""External labels decoded from embeddings or from clusters, on animals that the decoder has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from decortex.errors import InputError
from decortex.evaluation.labels.scores import Score, balanced_accuracy, confusions, score_groups
from decortex.labels import NOT_ASSIGNED, check_labels

Decoder = Literal["logistic", "neighbours", "clusters"]
LeftOut = Literal["animal", "session", "neuron"]
DecodingStatus = Literal["ok", "no_labels", "one_class", "class_in_one_group"]
Labels = NDArray[np.integer[Any]]
FloatArray = NDArray[np.float64]

# Decoders of embeddings; the first is the default, whose values stand for an embedding.
DECODERS: tuple[Decoder, ...] = ("logistic", "neighbours")
N_NEIGHBOURS = 15
N_FOLDS = 5
# Iterations of the logistic regression; on standardised features it needs tens.
_MAX_ITERATIONS = 2000
# Two labellings of equal score differ by rounding; they must count as equal or p is too small.
_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Folds:
    """What is left out in turn.

    Parameters
    ----------
    left_out : {'animal', 'session', 'neuron'}
        Whole animals where labels are in several; else whole sessions; else a random fifth of the neurons.
    groups : ndarray of int64, shape (n_neurons,)
        Number of each neuron's group.
    """

    left_out: LeftOut
    groups: NDArray[np.int64]

    @property
    def n_groups(self) -> int:
        """How many there are."""
        return int(self.groups.max(initial=-1)) + 1


@dataclass(frozen=True)
class Decoding:
    """How well labels are decoded from what the decoder has not seen.

    Parameters
    ----------
    status : str
        'ok'; 'no_labels', 'one_class'; 'class_in_one_group': fewer than two classes lie in two groups or more.
    decoder : {'logistic', 'neighbours', 'clusters'}
    left_out : {'animal', 'session', 'neuron'}
    n_neurons, n_groups : int
        Labelled neurons of the classes that are decoded, and groups left out in turn.
    classes : ndarray of int64, shape (n_classes,)
        Classes that are decoded: those with neurons in at least two groups.
    predicted : ndarray of int64, shape (n_all_neurons,)
        Class that was predicted for each neuron when its group was left out; -1: took no part.
    confusion : ndarray of int64, shape (n_classes, n_classes)
        Neurons by class and predicted class.
    macro_f1, balanced_accuracy : Score or None
        Over all neurons, each predicted when its group was left out.
    chance : float or None
        Mean balanced accuracy of labels that were shuffled within groups and decoded again.
    p : float or None
        Share of such shuffles that reach the balanced accuracy; None for the logistic regression, whose refits cost
        too much.
    n_permutations : int
    """

    status: DecodingStatus
    decoder: Decoder
    left_out: LeftOut
    n_neurons: int = 0
    n_groups: int = 0
    classes: NDArray[np.int64] | None = None
    predicted: NDArray[np.int64] | None = None
    confusion: NDArray[np.int64] | None = None
    macro_f1: Score | None = None
    balanced_accuracy: Score | None = None
    chance: float | None = None
    p: float | None = None
    n_permutations: int = 0


def held_out_groups(animals: NDArray[Any], sessions: NDArray[Any], *, seed: int) -> Folds:
    """Choose what is left out in turn: animals, else sessions, else random fifths of the neurons.

    Parameters
    ----------
    animals, sessions : ndarray of str, shape (n_neurons,)
        Of each labelled neuron; an empty name of an animal is an unknown one.
    seed : int
        Of the random fifths.

    Examples
    --------
    >>> held_out_groups(np.array(["m1", "m1", "m2"]), np.array(["a", "b", "c"]), seed=0).left_out
    'animal'
    """
    known: tuple[tuple[LeftOut, NDArray[Any]], ...] = (("animal", animals), ("session", sessions))
    for name, of in known:
        groups = np.unique(of, return_inverse=True)[1].astype(np.int64)
        if groups.max(initial=0) > 0 and not (name == "animal" and (np.asarray(of) == "").any()):
            return Folds(name, groups)
    n = len(animals)
    order = np.random.default_rng(seed).permutation(n)
    groups = np.empty(n, dtype=np.int64)
    groups[order] = np.arange(n) % N_FOLDS
    return Folds("neuron", groups)


def decode_labels(
    x: FloatArray,
    types: Labels,
    folds: Folds,
    *,
    decoder: Decoder = "logistic",
    seed: int = 0,
    n_permutations: int = 999,
) -> Decoding:
    """Decode labels from points, each neuron by what was fitted without its animal.

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        Embedding.
    types : ndarray of int, shape (n_neurons,)
        Class of each neuron; -1: no label.
    folds : Folds
        What is left out in turn, see `held_out_groups`.
    decoder : {'logistic', 'neighbours'}
        Multinomial logistic regression (the default; L2 penalty with C = 1, classes of equal weight) or the vote of
        the 15 nearest neighbours; both on features that are standardised on the training neurons.
    seed, n_permutations : int
        Of the shuffles behind p, for the nearest neighbours alone.

    Returns
    -------
    Decoding

    Raises
    ------
    InputError
        If the shapes do not fit, a point is not finite, or there is no such decoder.
    """
    if decoder not in DECODERS:
        raise InputError(f"there is no decoder {decoder!r}; there are {', '.join(DECODERS)}.")
    _check_permutations(n_permutations)
    x = np.asarray(x, dtype=np.float64)
    types, empty = _prepared(len(x), types, folds, decoder)
    if empty is not None:
        return empty
    if not np.isfinite(x[types >= 0]).all():
        raise InputError("points should be finite; leave out the neurons that the embedding excludes.")
    task = _task(types, folds, decoder)
    x = x[task.kept]
    if decoder == "logistic":
        return _scored(task, _logistic(x, task.y, task.groups))
    predict = _voter(_neighbours(x, task.groups), len(task.classes))
    return _permuted(task, predict, seed=seed, n_permutations=n_permutations)


def decode_clusters(
    clusters: Labels, types: Labels, folds: Folds, *, seed: int = 0, n_permutations: int = 999
) -> Decoding:
    """Decode labels from nothing but the cluster: the class that is commonest there, classes of equal weight.

    A neuron of a cluster that holds no training neuron is predicted as the commonest class of all.

    Parameters
    ----------
    clusters, types : ndarray of int, shape (n_neurons,)
        Cluster and class of each neuron; -1: none, the neuron takes no part.
    folds, seed, n_permutations
        As in `decode_labels`.
    """
    _check_permutations(n_permutations)
    clusters = check_labels(clusters, name="the clusters")
    types = check_labels(types, name="the labels")
    if clusters.shape == types.shape:
        types = np.where(clusters == NOT_ASSIGNED, NOT_ASSIGNED, types)
    types, empty = _prepared(len(clusters), types, folds, "clusters")
    if empty is not None:
        return empty
    task = _task(types, folds, "clusters")
    groups = task.groups
    own = np.unique(clusters[task.kept], return_inverse=True)[1].astype(np.int64)
    shape = (int(groups.max()) + 1, int(own.max()) + 1, len(task.classes))
    cells = (groups * shape[1] + own) * shape[2]

    def predict(labels: NDArray[np.int64]) -> NDArray[np.int64]:
        tables = np.bincount(cells + labels, minlength=int(np.prod(shape))).reshape(shape)
        training = tables.sum(axis=0) - tables
        sizes = training.sum(axis=1, keepdims=True)
        weighted = training / np.maximum(sizes, 1)
        best = weighted.argmax(axis=2)
        unseen = training.sum(axis=2) == 0
        best = np.where(unseen, sizes[:, 0].argmax(axis=1)[:, None], best)
        predicted: NDArray[np.int64] = best[groups, own]
        return predicted

    return _permuted(task, predict, seed=seed, n_permutations=n_permutations)


def _check_permutations(n: int) -> None:
    if n < 1:
        raise InputError(f"n_permutations should be at least 1, got {n}.")


def _prepared(
    n: int, types: Labels, folds: Folds, decoder: Decoder
) -> tuple[NDArray[np.int64], Decoding | None]:
    """Labels that can be decoded, and the answer where there is nothing to decode."""
    types = check_labels(types, name="the labels")
    if not (n,) == types.shape == folds.groups.shape:
        raise InputError(
            f"expected one label and group for each of {n} neurons, got {types.shape} and {folds.groups.shape}."
        )
    present = np.unique(types[types != NOT_ASSIGNED])
    if len(present) < 2:
        return types, Decoding("one_class" if len(present) else "no_labels", decoder, folds.left_out)
    spread = [one for one in present if len(np.unique(folds.groups[types == one])) > 1]
    if len(spread) < 2:
        return types, Decoding("class_in_one_group", decoder, folds.left_out)
    return np.where(np.isin(types, spread), types, NOT_ASSIGNED), None


@dataclass(frozen=True)
class _Task:
    """Neurons that take part (of all), their classes, and class and group of each as numbers without gaps."""

    decoder: Decoder
    left_out: LeftOut
    kept: NDArray[np.bool_]
    classes: NDArray[np.int64]
    y: NDArray[np.int64]
    groups: NDArray[np.int64]


def _task(types: NDArray[np.int64], folds: Folds, decoder: Decoder) -> _Task:
    kept = types != NOT_ASSIGNED
    classes, y = np.unique(types[kept], return_inverse=True)
    groups = np.unique(folds.groups[kept], return_inverse=True)[1]
    return _Task(decoder, folds.left_out, kept, classes, y.astype(np.int64), groups.astype(np.int64))


def _logistic(x: FloatArray, y: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    predicted = np.empty(len(y), dtype=np.int64)
    for group in range(int(groups.max()) + 1):
        out = groups == group
        model = make_pipeline(
            StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=_MAX_ITERATIONS)
        )
        predicted[out] = model.fit(x[~out], y[~out]).predict(x[out])
    return predicted


def _neighbours(
    x: FloatArray, groups: NDArray[np.int64]
) -> list[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """Of every group left out: who is in it, and the nearest others of each, (n_out, at most 15)."""
    found = []
    for group in range(int(groups.max()) + 1):
        out = groups == group
        scaler = StandardScaler().fit(x[~out])
        search = NearestNeighbors(n_neighbors=min(N_NEIGHBOURS, int((~out).sum()))).fit(
            scaler.transform(x[~out])
        )
        nearest = search.kneighbors(scaler.transform(x[out]), return_distance=False)
        found.append((out, np.flatnonzero(~out)[nearest]))
    return found


def _voter(
    fitted: list[tuple[NDArray[np.bool_], NDArray[np.int64]]], n_classes: int
) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """Vote of the neighbours; of equal votes the first class wins, as in scikit-learn."""

    def predict(labels: NDArray[np.int64]) -> NDArray[np.int64]:
        predicted = np.empty(len(labels), dtype=np.int64)
        for out, nearest in fitted:
            rows = np.arange(len(nearest))[:, None] * n_classes
            votes = np.bincount((rows + labels[nearest]).ravel(), minlength=len(nearest) * n_classes)
            predicted[out] = votes.reshape(len(nearest), n_classes).argmax(axis=1)
        return predicted

    return predict


def _scored(task: _Task, predicted: NDArray[np.int64]) -> Decoding:
    tables = confusions(task.y, predicted, task.groups, len(task.classes))
    scores = score_groups(tables, interval=task.left_out != "neuron")
    every = np.full(len(task.kept), NOT_ASSIGNED, dtype=np.int64)
    every[task.kept] = task.classes[predicted]
    return Decoding(
        status="ok",
        decoder=task.decoder,
        left_out=task.left_out,
        n_neurons=len(task.y),
        n_groups=len(tables),
        classes=task.classes,
        predicted=every,
        confusion=tables.sum(axis=0),
        macro_f1=scores["macro_f1"],
        balanced_accuracy=scores["balanced_accuracy"],
    )


def _permuted(
    task: _Task,
    predict: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    *,
    seed: int,
    n_permutations: int,
) -> Decoding:
    """Scores, and the same with labels shuffled within groups and decoded again every time."""
    found, y = _scored(task, predict(task.y)), task.y
    rng = np.random.default_rng(seed)
    blocks = np.zeros_like(task.groups) if task.left_out == "neuron" else task.groups
    order = np.argsort(blocks, kind="stable")
    one_group, shuffled, n_classes = np.zeros_like(y), np.empty_like(y), len(task.classes)
    values = np.empty(n_permutations)
    for i in range(n_permutations):
        # Keys of the next block lie all above those of this one: one sort shuffles every block.
        shuffled[order] = y[np.argsort(blocks + rng.random(len(y)))]
        values[i] = balanced_accuracy(confusions(shuffled, predict(shuffled), one_group, n_classes)[0])
    observed = float(balanced_accuracy(found.confusion)) if found.confusion is not None else 0.0
    reached = int((values >= observed - _TOLERANCE).sum())
    return replace(
        found,
        chance=float(values.mean()),
        p=(1 + reached) / (1 + n_permutations),
        n_permutations=n_permutations,
    )

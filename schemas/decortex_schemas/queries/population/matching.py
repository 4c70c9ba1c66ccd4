"""Numbers of clusters that follow a cluster over K, networks, starts and fine-tunings of one method. Read only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.evaluation import agreement
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.tables import Clustering, DECFinetune, Study, partition_labels, require_study

_FAMILY = ("dataset", "model_spec_id", "embedding_spec_id", "method", "method_id")


@one_at_a_time
def matched_clusters(study: str, key: dict[str, Any]) -> dict[int, int]:
    """Number of every cluster of a partition, by its stored label, which is its rank by size.

    Clusters are matched one to one by the neurons that they share (Hungarian assignment): those of the first network
    and start from each K of the study to the next, and those of any other network, start or fine-tuning to the first
    network's at the same K. At the smallest K numbers are ranks by size; a cluster that comes with a larger K takes the
    next free number.

    Parameters
    ----------
    study : str
        A study that asks for the partition.
    key : dict
        Key of `DECFinetune`.

    Returns
    -------
    dict of int to int
        Of labels that hold a neuron. Empty where the partition is not computed.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> matched_clusters("v4-sweep", key)    # doctest: +SKIP
    {0: 2, 1: 0, 2: 1}
    """
    require_study(study)
    of = {"study": study}
    family = {name: key[name] for name in _FAMILY}
    models = Study.Model & of & {name: key[name] for name in ("dataset", "model_spec_id")}
    first = {
        "model_seed": min((int(one) for one in models.to_arrays("model_seed")), default=0),
        "seed": min((int(one) for one in (Study.ClusteringSeed & of).to_arrays("seed")), default=0),
    }
    counts = sorted(int(k) for k in (Study.Count & of).to_arrays("k"))
    asked = (Clustering & family & first & [{"k": k} for k in counts if k <= key["k"]]).proj("labels")
    chain = {int(row["k"]): np.asarray(row["labels"], dtype=np.int64) for row in asked.to_dicts()}
    numbers: dict[int, int] = {}
    before: NDArray[np.int64] | None = None
    for k in sorted(chain):
        numbers = carried_over(before, numbers, chain[k])
        before = chain[k]
    partition = {name: key[name] for name in DECFinetune().primary_key}
    if not len(DECFinetune & partition):
        return {}
    return carried_over(before, numbers, np.asarray(partition_labels(partition), dtype=np.int64))


def carried_over(
    before: NDArray[np.int64] | None, numbers: dict[int, int], labels: NDArray[np.int64]
) -> dict[int, int]:
    """Numbers of a partition's clusters, from those of another partition of the same neurons.

    Parameters
    ----------
    before : ndarray of int64, shape (n_neurons,), or None
        Labels of the other partition; None: there is none, and numbers are the labels.
    numbers : dict
        Number of each of its labels.
    labels : ndarray of int64, shape (n_neurons,)
        Labels from 0; -1: in no cluster.

    Returns
    -------
    dict of int to int
        Number of every label that holds a neuron. Matched clusters keep theirs; the others take the smallest that are
        free, by label.
    """
    held = np.unique(labels[labels >= 0]).tolist()
    if before is None or not held:
        return {label: label for label in held}
    matched = agreement.matched_confusion(before, labels)
    pairs = zip(matched.first.tolist(), matched.second.tolist(), strict=True)
    found = {b: numbers[a] for a, b in pairs if a in numbers and b in held}
    free = (number for number in range(len(held) + len(numbers)) if number not in set(found.values()))
    for label in held:
        if label not in found:
            found[label] = next(free)
    return found

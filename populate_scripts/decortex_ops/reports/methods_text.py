"""The methods of a study in words, with the parameters that its rows were computed with. Plain text, no markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from decortex.clustering import get_method, methods
from decortex_schemas.tables.evaluation import (
    EVALUATION_SEED,
    MAIN_METRIC,
    MAIN_TIER,
    N_PERMUTATIONS,
    TABLE_PERMUTATIONS,
)

Row = Mapping[str, Any]

FINETUNED = {
    "dec": "the DEC loss alone (Xie, Girshick & Farhadi 2016)",
    "dec_joint": "the DEC loss together with the prediction loss",
    "december": "the DECEMber loss, a t-mixture's, together with the prediction loss",
    "dec_undetached": "the DEC loss with a gradient through its target, together with the prediction loss",
    "tell": "a differentiable k-means (Peng et al. 2022) together with the prediction loss",
    "sec": "the objective of spectral embedded clustering together with the prediction loss",
    "ldmgi": "the objective of local discriminant models together with the prediction loss",
    "mutual": "the assignments of the networks of other seeds as target (mutual learning, Zhang et al. 2018) together "
    "with the prediction loss",
    "rotation_dec": "a rotation-invariant DEC loss together with the prediction loss",
    "rotation_december": "a rotation-invariant DECEMber loss together with the prediction loss",
}


def methods_text(
    specifications: Mapping[str, Sequence[Row]], asked: Row, *, of_table: bool = False
) -> list[tuple[str, str]]:
    """Describe how a study was computed.

    Parameters
    ----------
    specifications : mapping
        ``networks``, ``embeddings``, ``methods``, ``finetunings`` (rows of the specification tables, the last with
        ``schedule``, its resolved training).
    asked : mapping
        ``counts``, ``seeds``, ``model_seeds``, ``subsamples``, ``nulls`` (kinds) and ``n_surrogates`` of the study.
    of_table : bool
        Whether neurons come from users' own tables: nothing was trained or predicted then.

    Returns
    -------
    list of (str, str)
        Heading and paragraph.
    """
    if of_table:
        names = ", ".join(repr(row["model_name"]) for row in specifications["networks"])
        text = [
            ("Neurons", f"The features of every neuron are the columns of the table {names}. {_NOT_TRAINED}")
        ]
    else:
        text = [("Networks", " ".join(_network(row) for row in specifications["networks"]) + _seeds(asked))]
    what = "the features" if of_table else "the readout weights"
    text.append(("Embeddings", " ".join(_embedding(row, what) for row in specifications["embeddings"])))
    text.append(("Clustering", " ".join(_method(row) for row in specifications["methods"]) + _grid(asked)))
    tuned = [row for row in specifications["finetunings"] if row["kind"] != "none"]
    if tuned:
        text.append(("Fine-tuning", " ".join(_finetuning(row) for row in tuned) + _CONTROL))
    if asked["nulls"]:
        text.append(("Number of clusters", _selection(asked)))
    text.append(("Evaluation", _TABLE_EVALUATION if of_table else _EVALUATION))
    return text


def listed(params: Mapping[str, Any] | None) -> str:
    """Parameters as name = value, those of parts after a dot; nothing where there are none."""
    return "; ".join(f"{name} = {value}" for name, value in flat(params or {}))


def flat(params: Mapping[str, Any], head: str = "") -> list[tuple[str, str]]:
    """Every parameter with its dotted name."""
    rows: list[tuple[str, str]] = []
    for name, value in params.items():
        if isinstance(value, Mapping):
            rows += flat(value, f"{head}{name}.")
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
            for i, part in enumerate(value):
                rows += flat(part, f"{head}{name}[{i}].")
        else:
            rows.append((f"{head}{name}", "none" if value is None else str(value)))
    return rows


def _network(row: Row) -> str:
    if row["network"] is None:
        return (
            f"{row['model_name']} was imported with its {row['readout']} readout as its authors trained it; its "
            "readout weights alone are used."
        )
    network, training = row["network"], row["training"]
    layers = ", ".join(
        f"{one['channels']} channels of {one['kernel']} by {one['kernel']} pixels"
        for one in network["layers"]
    )
    turned = "" if network["n_orientations"] is None else f" at {network['n_orientations']} orientations"
    return (
        f"{row['model_name']} is a {row['core']} core of {len(network['layers'])} convolutional layers "
        f"({layers}){turned} with a {row['readout']} readout, trained on the {training['loss']} loss by "
        f"{training['optimiser']} (learning rate {training['learning_rate']:g}, schedule {training['schedule']}, "
        f"batches of {training['batch_size']} images, at most {training['max_epochs']} epochs, the "
        f"{training['keep']} epoch kept)."
    )


def _embedding(row: Row, what: str) -> str:
    words = {
        "raw": f"{what} as they are",
        "l2": f"{what}, every neuron's scaled to length one",
        "zscore": f"{what}, every feature standardised over neurons",
        "pca": f"leading principal components of {what}",
        "whiten": f"whitened principal components of {what}",
    }
    turned = row["params"]["rotation"]
    first = "" if turned == "none" else f", after bringing orientations together by {turned!r}"
    return f"Embedding {row['embedding_name']!r} is {words[row['kind']]}{first}."


def _cited(method: str) -> str:
    """What a paper calls a method; its name where this installation does not have it."""
    return get_method(method).cited if method in methods() else method


def _method(row: Row) -> str:
    return (
        f"{row['method_name']!r} is {_cited(row['method'])} (version {row['algorithm_version']}; "
        f"{listed(row['params'])})."
    )


def _finetuning(row: Row) -> str:
    schedule = row["schedule"]
    return (
        f"{row['finetune']!r} trains the network on with {FINETUNED.get(row['kind'], row['kind'])} ("
        f"{listed(row['params'])}), for at most {schedule['max_epochs']} epochs at a learning rate of "
        f"{schedule['learning_rate']:g}, the {schedule['keep']} epoch kept."
    )


def _seeds(asked: Row) -> str:
    return f" Every network was trained from the seeds {', '.join(map(str, asked['model_seeds']))}."


def _grid(asked: Row) -> str:
    subsamples = (
        f" The same was repeated on {asked['subsamples']} random subsamples of 80 % of the neurons."
        if asked["subsamples"]
        else ""
    )
    return (
        f" Each was run at K = {', '.join(map(str, asked['counts']))} with the seeds "
        f"{', '.join(map(str, asked['seeds']))}.{subsamples}"
    )


def _selection(asked: Row) -> str:
    return (
        f"K was judged by its criteria against {asked['n_surrogates']} surrogates of each of the null models "
        f"{', '.join(asked['nulls'])}, which keep what they are named for and have no types; that no K is "
        "supported is a possible answer."
    )


_CONTROL = (
    " The control is the same network trained on as long, with the same batches, without a clustering loss; "
    "changes are taken against it."
)
_NOT_TRAINED = "No network was trained or read, and nothing predicts these neurons."
_TABLE_EVALUATION = (
    "Agreement is the adjusted Rand index, between starts and between methods. Whether a score of the table is tied to "
    "cluster is measured by epsilon squared of the Kruskal-Wallis statistic and tested by "
    f"{TABLE_PERMUTATIONS:,} permutations of neurons within sessions (else animals, else all neurons as one); labels "
    f"are compared by the adjusted Rand index and tested by {N_PERMUTATIONS:,} shuffles within animals (seed "
    f"{EVALUATION_SEED}). Scores and labels were never clustered. Two-dimensional views are pictures; nothing was "
    "clustered by them."
)
_EVALUATION = (
    f"Performance is the correlation between predicted and mean measured response on {MAIN_TIER} images "
    f"({MAIN_METRIC}), one number per neuron. Agreement is the adjusted Rand index. Whether performance is tied to "
    f"cluster is measured by epsilon squared of the Kruskal-Wallis statistic and tested by {N_PERMUTATIONS:,} "
    f"permutations of labels within sessions (seed {EVALUATION_SEED}). Two-dimensional views are pictures; "
    "nothing was clustered by them."
)

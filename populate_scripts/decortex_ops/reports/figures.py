"""Figures by name: which rows each takes from a study, and what it says of itself. Drawing is decortex.figures'."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from decortex import figures as draw
from decortex.config import canonical_json
from decortex.errors import ConfigError
from decortex_ops.reports.composites import speaking_partition, stimuli_figure, summary_parts
from decortex_ops.reports.titles import COLOURS, against, name_of, table_score, tuned, words
from decortex_schemas import queries

Row = dict[str, Any]
Where = Mapping[str, str]

SELECTION = ("dataset", "model", "embedding", "method")
OF_TYPES = ("dataset", "model", "embedding", "model_seed", "spec")
SURROGATE_CRITERION = "stability"


@dataclass(frozen=True)
class Drawn:
    """A figure with what it shows.

    Parameters
    ----------
    figure : Figure
        Ready to be written.
    key : mapping
        Which rows: the study and what was chosen of it.
    env_ids : tuple of int
        Environments that computed them, where they are rows of one table.
    """

    figure: Figure
    key: Mapping[str, Any]
    env_ids: tuple[int, ...] = ()

    def about(self) -> dict[str, str]:
        """What the file's metadata says: title, key and versions."""
        drew = {"decortex": version("decortex"), "matplotlib": mpl.__version__, "pandas": pd.__version__}
        computed = queries.environments(list(self.env_ids)) if self.env_ids else []
        return {
            "title": f"decortex {self.key['figure']} of study {self.key['study']}",
            "key": canonical_json(dict(self.key)),
            "versions": canonical_json({"drawn_with": drew, "computed_with": computed}),
        }


@dataclass(frozen=True)
class Recipe:
    """A figure that `decortex figure` knows.

    Parameters
    ----------
    summary : str
        What it shows.
    choices : tuple of str
        Columns by which one is chosen.
    make : callable
        (study, where, width in millimetres or None) -> Drawn.
    """

    summary: str
    choices: tuple[str, ...]
    make: Callable[[str, Where, float | None], Drawn]


def draw_figure(name: str, study: str, where: Where, *, width: float | None = None) -> Drawn:
    """Draw one figure of a frozen study.

    Parameters
    ----------
    name : str
        One of `RECIPES`.
    study : str
    where : mapping
        Values of the columns by which it is chosen, as text.
    width : float, optional
        Millimetres; default: the figure's own.

    Raises
    ------
    ConfigError
        If there is no such figure, a choice is unknown, or it leaves several.
    """
    if name not in RECIPES:
        raise ConfigError(f"there is no figure {name!r}; there are {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    unknown = sorted(set(where) - set(recipe.choices))
    if unknown:
        raise ConfigError(
            f"figure {name!r} is not chosen by {unknown[0]!r}; it is by {', '.join(recipe.choices)}."
        )
    return recipe.make(study, where, width)


def matching(rows: Sequence[Row], where: Where, what: str) -> list[Row]:
    """Rows that a choice keeps, comparing values as text.

    Raises
    ------
    ConfigError
        If none is kept.
    """
    if not rows:
        raise ConfigError(f"the study has no {what} yet; `decortex status` shows what is waiting.")
    kept = [
        row for row in rows if all(str(row[name]) == value for name, value in where.items() if name in row)
    ]
    if not kept:
        known = {name: sorted({str(row[name]) for row in rows}) for name in where if name in rows[0]}
        raise ConfigError(f"no {what} with {dict(where)}; there are {known}.")
    return kept


def _numbers_by_size(text: str) -> tuple[int, str]:
    return (int(text), text) if text.isdigit() else (0, text)


def one_of(rows: Sequence[Row], where: Where, names: Sequence[str], what: str) -> Row:
    """The one row that a choice leaves.

    Raises
    ------
    ConfigError
        If it leaves none or several; the message says between what to choose.
    """
    kept = matching(rows, where, what)
    if len(kept) > 1:
        open_ = {
            name: values
            for name in names
            if len(values := sorted({str(row[name]) for row in kept}, key=_numbers_by_size)) > 1
        }
        asked = "; ".join(f"--where {name}={' | '.join(values)}" for name, values in open_.items())
        raise ConfigError(f"{len(kept)} remain where the figure shows one {what}: {asked}")
    return kept[0]


def _criteria(study: str, where: Where, width: float | None) -> Drawn:
    row = one_of(_selections(study), where, SELECTION, "choice of K")
    counts = row["counts"]
    values = [
        {"criterion": name, "k": one["k"], **{n: figure[n] for n in ("value", "low", "high")}}
        for one in counts
        for name, figure in one["values"].items()
    ]
    nulls = [
        {
            "criterion": name,
            "k": one["k"],
            "null_kind": kind,
            **{n: band[n] for n in ("null_low", "null_high")},
        }
        for one in counts
        for name, kinds in one["excess"].items()
        for kind, band in kinds.items()
    ]
    figure = draw.k_criteria(
        pd.DataFrame(values),
        pd.DataFrame(nulls),
        decision=row["decision"],
        reason=row["reason"],
        title=f"{row['dataset']}, {row['embedding']}, {row['method']}, {row['n_networks']} networks",
        width=width,
    )
    return Drawn(figure, _key("criteria", study, row, SELECTION))


def _surrogates(study: str, where: Where, width: float | None) -> Drawn:
    criterion = where.get("criterion", SURROGATE_CRITERION)
    row = one_of(_selections(study), where, SELECTION, "choice of K")
    known = sorted({name for one in row["counts"] for name in one["excess"]} - {"seed_agreement"})
    if criterion not in known:
        raise ConfigError(f"surrogates have no criterion {criterion!r}; they have {', '.join(known)}.")
    observed = [{"k": one["k"], "value": one["values"][criterion]["value"]} for one in row["counts"]]
    figure = draw.surrogate_values(
        pd.DataFrame(queries.surrogates(row, criterion)),
        pd.DataFrame(observed),
        criterion=criterion,
        title=f"{row['dataset']}, {row['embedding']}, {row['method']}",
        width=width,
    )
    return Drawn(figure, {**_key("surrogates", study, row, SELECTION), "criterion": criterion})


def _selections(study: str) -> list[Row]:
    return [{**row, "method": row["method_name"]} | {"key": row} for row in queries.best_k(study)]


def _tree(study: str, where: Where, width: float | None) -> Drawn:
    counted = [row for row in queries.types(study) if row["status"] != "waiting"]
    row = one_of(counted, where, OF_TYPES, "count of types")
    if not row["levels"]:
        raise ConfigError(f"there is no tree to draw: {row['sentence']}")
    figure = draw.types_tree(
        pd.DataFrame(row["levels"]),
        pd.DataFrame(row["splits"]),
        alpha=row["level"],
        sentence=row["sentence"],
        title=f"{row['dataset']}, {row['model']} seed {row['model_seed']}, {row['embedding']}: {row['sentence']}",
        width=width,
    )
    return Drawn(figure, _key("tree", study, row, OF_TYPES))


def _agreement(study: str, where: Where, width: float | None) -> Drawn:
    names = ("dataset", "model", "embedding", "k", "finetune")
    where = {"finetune": "none", **where}
    rows = matching(queries.agreement_pairs(study), where, "pair of partitions")
    groups = [
        dict(zip(names, group, strict=True)) for group in dict.fromkeys(_pick(row, names) for row in rows)
    ]
    chosen = one_of(groups, where, names, "group of partitions")
    kept = [row for row in rows if _pick(row, names) == _pick(chosen, names)]

    def called(row: Row, side: str) -> tuple[str, int, int]:
        return row[f"method_{side}"], row[f"model_seed_{side}"], row[f"seed_{side}"]

    order = sorted({called(row, side) for row in kept for side in "ab"})
    pairs = [
        {"a": name_of(called(row, "a")), "b": name_of(called(row, "b")), "ari": row["ari"]} for row in kept
    ]
    figure = draw.agreement_map(
        pd.DataFrame(pairs),
        [name_of(one) for one in order],
        title=f"{chosen['dataset']}, {chosen['embedding']}, K = {chosen['k']}, {tuned(chosen)} "
        f"({len(order)} partitions)",
        width=width,
    )
    return Drawn(figure, _key("agreement", study, chosen, names))


def _curves(study: str, where: Where, width: float | None) -> Drawn:
    tuned = [row for row in queries.partitions(study) if row["finetune"] != "none"]
    row = one_of(tuned, where, queries.CHOICE, "fine-tuning")
    own, control = queries.epochs(row["key"])
    figure = draw.loss_curves(
        pd.DataFrame(own), pd.DataFrame(control) if control else None, title=words(row), width=width
    )
    return Drawn(figure, _key("curves", study, row, queries.CHOICE), (row["env_id"],))


def _front(study: str, where: Where, width: float | None) -> Drawn:
    rows = matching(queries.front(study), where, "fine-tuning")
    return Drawn(
        draw.agreement_front(pd.DataFrame(rows), title=f"study {study}{against(rows)}", width=width),
        {"figure": "front", "study": study, **where},
    )


def _price(study: str, where: Where, width: float | None) -> Drawn:
    rows = matching(queries.price(study), where, "fine-tuning")
    return Drawn(
        draw.paired_change(pd.DataFrame(rows), title=f"study {study}{against(rows)}", width=width),
        {"figure": "price", "study": study, **where},
    )


def _performance(study: str, where: Where, width: float | None) -> Drawn:
    row = one_of(queries.partitions(study), where, queries.CHOICE, "partition")
    score = table_score(row["dataset"], where)
    neurons = pd.DataFrame(queries.figure_neurons(row["key"], score))
    if score is None and neurons["score"].isna().all():
        raise ConfigError(f"the neurons of {row['dataset']} have no score: no network predicted them.")
    figure = draw.performance_by_cluster(
        neurons,
        queries.effect(row["key"], score),
        score=score,
        title=words(row) + ("" if score else against([row])),
        width=width,
    )
    return Drawn(figure, _key("performance", study, row, queries.CHOICE, score), (row["env_id"],))


def _map(study: str, where: Where, width: float | None) -> Drawn:
    colour = where.get("colour", "cluster")
    if colour not in COLOURS:
        raise ConfigError(f"a map is not coloured by {colour!r}; it is by {', '.join(COLOURS)}.")
    partition = one_of(queries.partitions(study), where, queries.CHOICE, "partition")
    names = ("view", "view_seed")
    ids = ("dataset", "model_spec_id", "model_seed", "embedding_spec_id")
    views = [
        row for row in queries.views(study) if row["done"] and _pick(row, ids) == _pick(partition["key"], ids)
    ]
    view = one_of(views, {n: v for n, v in where.items() if n in names}, names, "view")
    score = table_score(partition["dataset"], where)
    neurons = pd.DataFrame(queries.figure_neurons(partition["key"], score))
    points = queries.view_points(view)
    depth = {"z", "score"}
    typed = neurons[colour].astype(float) if colour in depth else neurons[colour].fillna(-1)
    figure = draw.view_map(
        neurons.drop(columns=["x", "y"]).assign(x=points[:, 0], y=points[:, 1], **{colour: typed}),
        colour=colour,
        label=score if colour == "score" and score else COLOURS[colour],
        neighbours_kept=view["neighbours_kept"],
        title=f"{view['view']} of {words(partition)}",
        width=width,
    )
    of = _key("map", study, partition, queries.CHOICE, score if colour == "score" else None)
    key = {**of, "view": view["view"], "colour": colour}
    return Drawn(figure, key, (partition["env_id"],))


def _nulls(study: str, where: Where, width: float | None) -> Drawn:
    rows = matching(queries.finetuned_nulls(study), where, "fine-tuning with its null")
    groups = [
        dict(zip(_OF_ROWS, one, strict=True)) for one in dict.fromkeys(_pick(row, _OF_ROWS) for row in rows)
    ]
    chosen = one_of(groups, where, _OF_ROWS, "fine-tuning")
    kept = [row for row in rows if _pick(row, _OF_ROWS) == _pick(chosen, _OF_ROWS)]
    title = (
        f"{chosen['dataset']}, {chosen['embedding']}, {chosen['method']} K = {chosen['k']}, {tuned(chosen)}"
    )
    figure = draw.finetuned_nulls(pd.DataFrame(kept), title=title, width=width)
    return Drawn(figure, _key("nulls", study, chosen, _OF_ROWS))


def _summary(study: str, where: Where, width: float | None) -> Drawn:
    row = one_of(queries.partitions(study), speaking_partition(study, where), queries.CHOICE, "partition")
    figure = draw.study_summary(**summary_parts(study, row), title=words(row) + against([row]), width=width)
    return Drawn(figure, _key("summary", study, row, queries.CHOICE), (row["env_id"],))


def _stimuli(study: str, where: Where, width: float | None) -> Drawn:
    row = one_of(queries.partitions(study), {"finetune": "none", **where}, queries.CHOICE, "partition")
    return Drawn(
        stimuli_figure(row, words(row), width=width),
        _key("stimuli", study, row, queries.CHOICE),
        (row["env_id"],),
    )


def _pick(row: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def _key(figure: str, study: str, row: Row, names: Sequence[str], score: str | None = None) -> dict[str, Any]:
    chosen = {name: row[name] for name in names} | ({} if score is None else {"score": score})
    return {"figure": figure, "study": study, **chosen}


_OF_ROWS = ("dataset", "model", "embedding", "method", "k", "finetune")
RECIPES: dict[str, Recipe] = {
    "criteria": Recipe("criteria of K with the bands of null models, and the decision", SELECTION, _criteria),
    "surrogates": Recipe(
        "one criterion on every surrogate without types, beside the data",
        (*SELECTION, "criterion"),
        _surrogates,
    ),
    "tree": Recipe("p of every number of types, and the tree of splits of one network", OF_TYPES, _tree),
    "agreement": Recipe(
        "adjusted Rand index of every two partitions at one K, methods by seeds",
        ("dataset", "model", "embedding", "k", "finetune"),
        _agreement,
    ),
    "curves": Recipe(
        "losses and state of one fine-tuning by epoch, with its control", queries.CHOICE, _curves
    ),
    "front": Recipe("agreement between networks against performance, over beta", _OF_ROWS, _front),
    "price": Recipe(
        "paired change of performance against the equal-epoch control",
        (*_OF_ROWS, "model_seed", "seed"),
        _price,
    ),
    "performance": Recipe(
        "performance, or a table's score, by cluster with the size of the effect",
        (*queries.CHOICE, "score"),
        _performance,
    ),
    "nulls": Recipe(
        "fine-tuning of the recordings beside that of surrogates without types", _OF_ROWS, _nulls
    ),
    "map": Recipe(
        "neurons on a view of their embedding (colour: cluster, score, session, animal, true_type, z)",
        (*queries.CHOICE, "view", "view_seed", "colour", "score"),
        _map,
    ),
    "summary": Recipe(
        "the study in one figure: answers, a map, agreement over K, performance, fine-tuning",
        queries.CHOICE,
        _summary,
    ),
    "stimuli": Recipe(
        "what each cluster's neurons answer to most: optimised, and of the test stimuli",
        queries.CHOICE,
        _stimuli,
    ),
}

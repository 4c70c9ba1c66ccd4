"""Which studies and variants are there, and how did they end? Read only, safe under threads, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from decortex.errors import ConfigError
from decortex_schemas.queries.basis import GROUP, PARTITION, START, name_of, rows
from decortex_schemas.tables import (
    SCORED_AGAINST,
    Clustering,
    ClusteringMethod,
    Dataset,
    DECFinetune,
    EmbeddingSpec,
    FinetuneSpec,
    FrozenStudy,
    ModelSpec,
    Study,
    no_such_study,
)
from decortex_schemas.tables.evaluation import (
    MAIN_METRIC,
    ClusterPerformance,
    ClusterQuality,
    RetainedPerformance,
    SeedAgreement,
)

Row = dict[str, Any]
# What a run is judged by: column -> (table it lies in, expression there). Sorting joins one of them.
_OWN = {
    "status": "finetune_status",
    "share_changed": "share_changed",
    "n_epochs": "n_epochs",
    "started_at": "started_at",
    "seconds": "seconds",
}
_START = {"largest_share": "largest_share", "objective": "objective", "fit_status": "fit_status"}
_TIE = {"epsilon2": "epsilon2_corrected", "epsilon2_within": "epsilon2_within", "p": "p_permutation"}
_PRICE = {"difference": "difference", "fraction_retained": "fraction_retained"}
_QUALITY = {"silhouette": "silhouette"}
_AGREEMENT = {
    "ari_seeds": "ari_seeds",
    "ari_clustering_seeds": "ari_clustering_seeds",
    "ari_truth": "ari_truth",
}
NAMES = ("model", "embedding", "method_name", "finetune")
MEASURES = (*_OWN, *_START, *_TIE, *_PRICE, *_QUALITY, *_AGREEMENT)
SORTABLE = (*PARTITION, *MEASURES)
FILTERS = (
    "dataset",
    "model_spec_id",
    "model_seed",
    "embedding_spec_id",
    "method_id",
    "k",
    "seed",
    "finetune_id",
)
# Columns by which variants are gathered.
GROUPINGS = ("method_id", "k", "model_seed", "seed", "finetune_id")


def study_counts() -> list[Row]:
    """Every study, the latest first: description, whether it is frozen, what it asked for."""
    parts = ", ".join(
        f"(SELECT COUNT(*) FROM {name_of(part)} p WHERE p.study = s.study) AS {name}"
        for name, part in (
            ("networks", Study.Model),
            ("methods", Study.Method),
            ("counts", Study.Count),
            ("seeds", Study.ClusteringSeed),
            ("nulls", Study.Null),
        )
    )
    return rows(
        f"SELECT s.study, s.description, s.created_by, s.created_at, f.frozen_at, f.n_members, f.n_failed, {parts} "
        f"FROM {name_of(Study)} s LEFT JOIN {name_of(FrozenStudy)} f USING (study) "
        "ORDER BY s.created_at DESC, s.study"
    )


def study_facts(study: str) -> Row:
    """What a study is of, and in which state it is.

    Returns
    -------
    dict
        ``study``, ``description``, ``created_by``, ``created_at``, ``frozen_at`` (None), ``species`` and ``areas``
        (lists of names), ``n_neurons``, ``n_sessions``, ``n_animals`` (0 where nobody recorded them), ``n_networks``.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> study_facts("v4-sweep")    # doctest: +SKIP
    """
    found = rows(
        "SELECT s.study, s.description, s.created_by, s.created_at, f.frozen_at, "
        f"(SELECT COUNT(*) FROM {name_of(Study.Model)} m WHERE m.study = s.study) AS n_networks "
        f"FROM {name_of(Study)} s LEFT JOIN {name_of(FrozenStudy)} f USING (study) WHERE s.study = %s",
        (study,),
    )
    if not found:
        raise no_such_study(study, (row["study"] for row in rows(f"SELECT study FROM {name_of(Study)}")))
    inside = f"dataset IN (SELECT dataset FROM {name_of(Study.Model)} WHERE study = %s)"
    counted = rows(
        "SELECT COUNT(*) AS n_neurons, COUNT(DISTINCT dataset, NULLIF(animal, '')) AS n_animals, "
        f"COUNT(DISTINCT dataset, session) AS n_sessions FROM {name_of(Dataset.Neuron)} WHERE {inside}",
        (study,),
    )[0]
    named = {
        name: [
            str(row["name"])
            for row in rows(
                f"SELECT DISTINCT {column} AS name FROM {name_of(table)} WHERE {inside} AND {column} != '' "
                "ORDER BY name",
                (study,),
            )
        ]
        for name, table, column in (("species", Dataset, "species"), ("areas", Dataset.Neuron, "area"))
    }
    return {**found[0], **{name: int(value) for name, value in counted.items()}, **named}


def choices(study: str) -> dict[str, list[Row]]:
    """What a study offers to choose from, each with its name.

    Returns
    -------
    dict
        ``networks`` (dataset, model_spec_id, model_seed, model, scored_against), ``embeddings``,
        ``methods``, ``counts`` (k), ``seeds``, ``finetunings`` (with kind, and the method, K and seed they
        start from).

    Examples
    --------
    >>> [row["method_name"] for row in choices("v4-sweep")["methods"]]    # doctest: +SKIP
    """
    of = {"study": study}

    def named(part: Any, spec: Any, columns: str, order: str) -> list[Row]:
        return rows(
            f"SELECT {columns} FROM {name_of(part)} p JOIN {name_of(spec)} s USING ({order}) "
            f"WHERE p.study = %(study)s ORDER BY {order}",
            of,
        )

    networks = rows(
        "SELECT p.dataset, p.model_spec_id, p.model_seed, s.model_name AS model, d.kind AS dataset_kind "
        f"FROM {name_of(Study.Model)} p JOIN {name_of(ModelSpec)} s USING (model_spec_id) "
        f"JOIN {name_of(Dataset)} d USING (dataset) WHERE p.study = %(study)s "
        "ORDER BY p.dataset, p.model_spec_id, p.model_seed",
        of,
    )
    for row in networks:
        row["scored_against"] = SCORED_AGAINST[row.pop("dataset_kind")]
    return {
        "networks": networks,
        "embeddings": named(
            Study.Embedding,
            EmbeddingSpec,
            "embedding_spec_id, s.embedding_name AS embedding",
            "embedding_spec_id",
        ),
        "methods": named(Study.Method, ClusteringMethod, "method_id, s.method, s.method_name", "method_id"),
        "counts": rows(f"SELECT k FROM {name_of(Study.Count)} WHERE study = %(study)s ORDER BY k", of),
        "seeds": rows(
            f"SELECT seed FROM {name_of(Study.ClusteringSeed)} WHERE study = %(study)s ORDER BY seed", of
        ),
        "finetunings": rows(
            f"SELECT p.finetune_id, s.finetune, s.kind, p.method_id, p.k, p.seed "
            f"FROM {name_of(Study.Finetuning)} p JOIN {name_of(FinetuneSpec)} s USING (finetune_id) "
            "WHERE p.study = %(study)s ORDER BY p.finetune_id, p.method_id, p.k, p.seed",
            of,
        ),
    }


def runs(
    study: str,
    *,
    where: Mapping[str, Any] | None = None,
    statuses: Sequence[str] = (),
    order_by: str = "k",
    descending: bool = False,
    limit: int = 50,
    offset: int = 0,
) -> dict[str, Any]:
    """One page of a study's finished variants, with what they are judged by.

    Parameters
    ----------
    study : str
        The study.
    where : mapping
        Values of columns in `FILTERS`.
    statuses : sequence of str
        Only these values of ``finetune_status``.
    order_by : str
        One of `SORTABLE`; undefined values come last.
    descending : bool
        Largest first.
    limit, offset : int
        The page.

    Returns
    -------
    dict
        ``n``: how many there are; ``rows``: the page, whose columns are `PARTITION`, `NAMES` and `MEASURES`.

    Raises
    ------
    ConfigError
        If a column is not one of those named above.

    Examples
    --------
    >>> runs("v4-sweep", where={"k": 3}, limit=10)["rows"]    # doctest: +SKIP
    """
    _known({order_by}, SORTABLE, "sort by")
    conditions, narrowed = _conditions(where, statuses)
    values = {**narrowed, "study": study, "limit": int(limit), "offset": int(offset)}
    members = _members(conditions)
    total = rows(f"SELECT COUNT(*) AS n {members}", values)[0]["n"]
    # Sort on the one table that holds the column; the others are read for the page alone.
    column, joins = _place(order_by)
    keys = ", ".join(f"d.{name}" for name in PARTITION)
    direction = "DESC" if descending else "ASC"
    page = rows(
        f"SELECT {keys} {_members(conditions, joins)} ORDER BY {column} IS NULL, {column} {direction}, {keys} "
        "LIMIT %(limit)s OFFSET %(offset)s",
        values,
    )
    return {"n": int(total), "rows": describe(page, study)}


def run_groups(
    study: str,
    *,
    by: str,
    measure: str,
    where: Mapping[str, Any] | None = None,
    statuses: Sequence[str] = (),
) -> list[Row]:
    """A study's finished variants in groups: how many each holds, and between what a measure of them lies.

    Parameters
    ----------
    study : str
        The study.
    by : str
        Column of `GROUPINGS`.
    measure : str
        Column of `SORTABLE`.
    where, statuses
        As of `runs`.

    Returns
    -------
    list of dict
        ``value`` of the column, ``n``, and ``low`` and ``high`` of the measure (None where no variant has it), in the
        order of the values.

    Raises
    ------
    ConfigError
        If a column is not one of those named above.

    Examples
    --------
    >>> run_groups("demo", by="k", measure="silhouette")  # doctest: +SKIP
    [{'value': 4, 'n': 18, 'low': 0.28, 'high': 0.31}, {'value': 8, 'n': 27, 'low': 0.33, 'high': 0.38}]
    """
    _known({by}, GROUPINGS, "group by")
    _known({measure}, SORTABLE, "tell")
    conditions, values = _conditions(where, statuses)
    column, joins = _place(measure)
    return rows(
        f"SELECT d.{by} AS value, COUNT(*) AS n, MIN({column}) AS low, MAX({column}) AS high "
        f"{_members(conditions, joins)} GROUP BY d.{by} ORDER BY d.{by}",
        {**values, "study": study},
    )


def _conditions(where: Mapping[str, Any] | None, statuses: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Conditions on `_members`, and their values."""
    values = dict(where or {})
    _known(set(values), FILTERS, "filter by")
    conditions = "".join(f" AND d.{name} = %({name})s" for name in values)
    if statuses:
        conditions += " AND d.finetune_status IN %(statuses)s"
        values["statuses"] = tuple(statuses)
    return conditions, values


def describe(keys: Sequence[Mapping[str, Any]], study: str) -> list[Row]:
    """Names and measures of partitions given by their keys, in that order; what does not exist is left out."""
    if not keys:
        return []
    names = ", ".join(f"d.{name}" for name in PARTITION)
    columns = [
        "m.model_name AS model, e.embedding_name AS embedding, c.method_name, f.finetune, f.kind",
        *(f"{_place(name)[0]} AS {name}" for name in MEASURES),
    ]
    joins = " ".join(_JOINS[alias]() for alias in ("s", "t", "r", "q", "a"))
    specs = (
        f"JOIN {name_of(ModelSpec)} m ON m.model_spec_id = d.model_spec_id "
        f"JOIN {name_of(EmbeddingSpec)} e ON e.embedding_spec_id = d.embedding_spec_id "
        f"JOIN {name_of(ClusteringMethod)} c ON c.method_id = d.method_id "
        f"JOIN {name_of(FinetuneSpec)} f ON f.finetune_id = d.finetune_id"
    )
    values: list[Any] = [study]
    places = []
    for key in keys:
        places.append("(" + ", ".join(["%s"] * len(PARTITION)) + ")")
        values += [key[name] for name in PARTITION]
    found = rows(
        f"SELECT {names}, {', '.join(columns)} FROM {name_of(DECFinetune)} d {specs} {joins} "
        f"WHERE ({names}) IN ({', '.join(places)})",
        values,
    )
    known = {tuple(row[name] for name in PARTITION): row for row in found}
    wanted = [tuple(key[name] for name in PARTITION) for key in keys]
    return [known[key] for key in wanted if key in known]


def statuses(study: str) -> list[Row]:
    """How a study's variants ended: ``status`` and ``n``, the most frequent first."""
    return rows(
        f"SELECT d.finetune_status AS status, COUNT(*) AS n {_members('')} GROUP BY status ORDER BY n DESC, status",
        {"study": study},
    )


def _members(conditions: str, joins: str = "") -> str:
    """FROM and WHERE of a study's variants that exist."""
    return (
        f"FROM {name_of(DECFinetune)} d {joins} WHERE EXISTS (SELECT 1 FROM {name_of(Study.Finetuning)} g "
        "WHERE g.study = %(study)s AND g.method = d.method AND g.method_id = d.method_id AND g.k = d.k "
        "AND g.seed = d.seed AND g.finetune_id = d.finetune_id) "
        f"AND (d.dataset, d.model_spec_id, d.model_seed) IN (SELECT dataset, model_spec_id, model_seed "
        f"FROM {name_of(Study.Model)} WHERE study = %(study)s) "
        f"AND d.embedding_spec_id IN (SELECT embedding_spec_id FROM {name_of(Study.Embedding)} "
        f"WHERE study = %(study)s){conditions}"
    )


def _on(alias: str, names: Sequence[str]) -> str:
    return " AND ".join(f"{alias}.{name} = d.{name}" for name in names)


_JOINS = {
    "s": lambda: f"LEFT JOIN {name_of(Clustering)} s ON {_on('s', START)}",
    "t": lambda: (
        f"LEFT JOIN {name_of(ClusterPerformance)} t ON {_on('t', PARTITION)} AND t.metric = '{MAIN_METRIC}'"
    ),
    "r": lambda: f"LEFT JOIN {name_of(RetainedPerformance)} r ON {_on('r', PARTITION)}",
    "q": lambda: (
        f"LEFT JOIN {name_of(ClusterQuality.Space)} q ON {_on('q', PARTITION)} AND q.space = 'untouched'"
    ),
    "a": lambda: f"LEFT JOIN {name_of(SeedAgreement)} a ON a.study = %s AND {_on('a', GROUP)}",
}


def _place(name: str) -> tuple[str, str]:
    """Column of a measure in SQL, and the join that brings it."""
    for alias, columns in (("s", _START), ("t", _TIE), ("r", _PRICE), ("q", _QUALITY), ("a", _AGREEMENT)):
        if name in columns:
            return f"{alias}.{columns[name]}", _JOINS[alias]().replace("%s", "%(study)s")
    return f"d.{_OWN.get(name, name)}", ""


def _known(asked: set[str], known: Sequence[str], what: str) -> None:
    unknown = sorted(asked - set(known))
    if unknown:
        raise ConfigError(f"cannot {what} {unknown[0]!r}; there are {', '.join(known)}.")


def agreement_by_count(study: str, *, dataset: str, model_spec_id: int, embedding_spec_id: int) -> list[Row]:
    """Agreement between networks and between starts over K: one row per method, K and fine-tuning."""
    names = (
        "ari_seeds, ari_seeds_min, n_pairs_seeds, ari_clustering_seeds, n_pairs_clustering_seeds, ari_truth, "
        "n_partitions"
    )
    return rows(
        f"SELECT a.method_id, c.method_name, a.k, a.finetune_id, f.finetune, {names} "
        f"FROM {name_of(SeedAgreement)} a JOIN {name_of(ClusteringMethod)} c ON c.method_id = a.method_id "
        f"JOIN {name_of(FinetuneSpec)} f ON f.finetune_id = a.finetune_id "
        "WHERE a.study = %s AND a.dataset = %s AND a.model_spec_id = %s AND a.embedding_spec_id = %s "
        "ORDER BY a.method_id, a.finetune_id, a.k",
        (study, dataset, model_spec_id, embedding_spec_id),
    )

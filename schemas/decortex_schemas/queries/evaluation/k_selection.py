"""What number of clusters do the data support, if any? Read only, as `queries` is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decortex.errors import ConfigError
from decortex.evaluation import selection
from decortex_schemas import register
from decortex_schemas.queries.catalogue import one_at_a_time, require_frozen
from decortex_schemas.queries.evaluation.types import types
from decortex_schemas.tables import (
    ClusteringMethod,
    EmbeddingSpec,
    ModelSpec,
    SplitSpec,
    Study,
    require_study,
)
from decortex_schemas.tables.evaluation import (
    SELECTION,
    KChoice,
    KCriteria,
    KSelection,
    NullFit,
    SeedNullFit,
    TypeCount,
    asked_criteria,
    asked_nulls,
    asked_seed_nulls,
)

_OF_TYPES = ("model_seed", "spec", "status", "n_types", "at_least", "sentence")


@one_at_a_time
def choosing_study(study: str) -> str | None:
    """Name of the study that chooses K for another: itself, or NAME-selection where its plan limits the choice.

    Parameters
    ----------
    study : str
        The study.

    Returns
    -------
    str or None
        None where neither asks for null models.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> choosing_study("v4-sweep")    # doctest: +SKIP
    """
    require_study(study)
    for name in (study, register.selection_study_of(study)):
        if len(Study.Null & {"study": name}):
            return name
    return None


@one_at_a_time
def best_k(study: str, key: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Decision, curves and null models of a frozen study, one row per dataset, network family, embedding and method.

    Parameters
    ----------
    study : str
        The study; where its choice of K is a study of its own (NAME-selection), that is read.
    key : mapping, optional
        Only the rows of `KSelection` with these values in their key.

    Returns
    -------
    list of dict
        ``types``: how many types stand apart in each network, whatever the method (``model_seed``, ``spec``,
        ``status``, ``n_types``, ``at_least``, ``sentence``, see `types`); ``decision`` (K or None) and ``reason`` of
        the rule on the method's partitions, which refuses few, clear types; ``single`` (what each criterion alone would
        choose);
        ``counts``: one row per K with ``supported``, ``reasons``, ``values`` (by criterion: value, low, high,
        n_used, status) and ``excess`` (by criterion and null model: observed, null_mean, null_low, null_high,
        z, p, n_surrogates, n_used, status); ``baseline``: the criteria that
        have a value at one cluster; ``networks``: what each alone would decide; ``persons``: choices that
        people recorded.

    Raises
    ------
    ConfigError
        If the study is not frozen or did not ask for a choice of K.
    """
    choosing = choosing_study(study)
    if choosing is None:
        raise ConfigError(
            f'study {study!r} asks for no null models, without which no K is chosen; declare one with "selection": {{}}'
            " in its plan (docs/how-to/studies.md)."
        )
    require_frozen(choosing)
    models = {int(row["model_spec_id"]): row["model_name"] for row in ModelSpec.to_dicts()}
    embeddings = {int(row["embedding_spec_id"]): row["embedding_name"] for row in EmbeddingSpec.to_dicts()}
    methods = {int(row["method_id"]): row["method_name"] for row in ClusteringMethod.to_dicts()}
    counted = types(study)
    found = []
    for row in (KSelection & {**(key or {}), "study": choosing}).to_dicts(order_by="KEY"):
        own = {name: row[name] for name in KSelection().primary_key}
        found.append(
            {
                **{name: value if isinstance(value, str) else int(value) for name, value in own.items()},
                "model": models[int(row["model_spec_id"])],
                "embedding": embeddings[int(row["embedding_spec_id"])],
                "method_name": methods[int(row["method_id"])],
                "types": [
                    {name: one[name] for name in _OF_TYPES}
                    for one in counted
                    if all(
                        one[name] == row[name] for name in ("dataset", "model_spec_id", "embedding_spec_id")
                    )
                ],
                "decision": _int(row["decision_k"]),
                "reason": row["decision_reason"],
                "n_networks": int(row["n_networks"]),
                "n_surrogates": int(row["n_surrogates"]),
                "single": {
                    one["criterion"]: _int(one["choice"]) for one in (KSelection.Choice & own).to_dicts()
                },
                **_curves(own),
                "networks": [
                    {
                        "model_seed": int(one["model_seed"]),
                        "decision": _int(one["decision_k"]),
                        "reason": one["decision_reason"],
                    }
                    for one in (KSelection.Network & own).to_dicts(order_by="model_seed")
                ],
                "persons": [
                    {
                        "person": one["person"],
                        "choice": _int(one["choice"]),
                        "why": one["why"],
                        "chosen_at": one["chosen_at"],
                    }
                    for one in (KChoice & own).to_dicts(order_by="chosen_at")
                ],
            }
        )
    return found


@one_at_a_time
def selection_cost(study: str) -> dict[str, Any]:
    """What choosing K and counting types cost in a study: jobs asked for and done, and the clusterings they take.

    Returns
    -------
    dict
        ``jobs``, ``done``; ``fits``: clusterings of the data, of uniform references and of surrogates;
        ``seconds_left``: what is not done yet, at the mean time of the jobs of this study that are, on one
        core; None before the first. ``types``: ``jobs``, ``done`` and ``seconds_left`` of the count of types, which
        every study asks for.

    Examples
    --------
    >>> selection_cost("v4-sweep")    # doctest: +SKIP
    """
    tables = {
        KCriteria: asked_criteria(study),
        NullFit: asked_nulls(study),
        SeedNullFit: asked_seed_nulls(study),
    }
    n_criteria, n_nulls, n_joint = (len(asked) for asked in tables.values())
    of = {"study": study}
    grid = len(Study.Count & of & "k > 1") * len(Study.ClusteringSeed & of) * len(Study.Model & of)
    one = selection.refits(1, SELECTION)
    left: float | None = 0.0
    done = 0
    for table, asked in tables.items():
        n_done, own = _time_left(table & asked, len(asked))
        done += n_done
        left = None if left is None or own is None else left + own
    networks = Study.Model.proj() * Study.Embedding.proj() & of
    n_types = len(networks) * len(SplitSpec())
    types_done, types_left = _time_left(TypeCount & networks, n_types)
    each = one["surrogates"] // (len(SELECTION.nulls) * SELECTION.n_surrogates)
    return {
        "jobs": n_criteria + n_nulls + n_joint,
        "done": done,
        "fits": {
            "data": n_criteria * one["data"],
            "references": n_criteria * one["references"],
            "surrogates": n_nulls * each + n_joint * grid,
        },
        "seconds_left": left,
        "types": {"jobs": n_types, "done": types_done, "seconds_left": types_left},
    }


def _time_left(rows: Any, n_asked: int) -> tuple[int, float | None]:
    """Rows that are done, and seconds for the others at the mean of these; None before the first."""
    seconds = rows.to_arrays("seconds")
    waiting = n_asked - len(seconds)
    if not waiting:
        return len(seconds), 0.0
    return len(seconds), waiting * float(seconds.mean()) if len(seconds) else None


def _curves(key: dict[str, Any]) -> dict[str, Any]:
    values: dict[int, dict[str, Any]] = {}
    for row in (KSelection.Value & key).to_dicts(order_by="KEY"):
        values.setdefault(int(row["at_k"]), {})[row["criterion"]] = {
            **{name: row[name] for name in ("value", "low", "high", "n_used")},
            "status": row["criterion_status"],
        }
    excesses: dict[int, dict[str, Any]] = {}
    names = ("observed", "null_mean", "null_low", "null_high", "z", "p", "n_surrogates", "n_used")
    for row in (KSelection.Excess & key).to_dicts(order_by="KEY"):
        own = excesses.setdefault(int(row["at_k"]), {}).setdefault(row["criterion"], {})
        own[row["null_kind"]] = {
            **{name: row[name] for name in names},
            "status": row["excess_status"],
        }
    counts = [
        {
            "k": int(row["k"]),
            "supported": bool(row["supported"]),
            "reasons": row["reasons"],
            "values": values.get(int(row["k"]), {}),
            "excess": excesses.get(int(row["k"]), {}),
        }
        for row in (KSelection.Count & key).to_dicts(order_by="k")
    ]
    return {"counts": counts, "baseline": values.get(1, {})}


def _int(value: Any) -> int | None:
    return None if value is None else int(value)

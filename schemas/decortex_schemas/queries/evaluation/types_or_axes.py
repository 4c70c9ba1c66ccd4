"""Are scores and other networks' embeddings predicted by clusters or by continuous axes? Read only, as `queries` is."""

from __future__ import annotations

from typing import Any

from decortex.evaluation.types_or_axes import axes_sentence
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.tables import Embedding, EmbeddingSpec, ModelSpec, Study, require_study
from decortex_schemas.tables.evaluation import AxesSpec, TypesOrAxes

_COLUMNS = (
    "n_neurons",
    "block_kind",
    "n_blocks",
    "n_targets",
    "r2_clusters",
    "r2_axes",
    "r2_axes_wide",
    "r2_both",
    "n_clusters",
    "axes_freedom",
)
_INCREMENTS = ("clusters_add", "axes_add", "clusters_before_axes", "explained")


@one_at_a_time
def types_or_axes(study: str) -> list[dict[str, Any]]:
    """Comparison of clusters and axes in every embedding of a study's networks, for every target that exists.

    Parameters
    ----------
    study : str
        Its name; it need not be frozen.

    Returns
    -------
    list of dict
        Key columns, ``model``, ``embedding``, ``target`` (names), ``status`` ('clusters', 'axes', 'both', 'undecided',
        or 'waiting' where it is not computed), ``reason``, the columns of `TypesOrAxes`; ``clusters_add``,
        ``axes_add``, ``clusters_before_axes``, ``explained``, each with ``_low``, ``_high`` and ``_p``; ``sentence``:
        the answer in words. Targets that do not exist (a network without test scores, a network's own seed) are
        left out.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> types_or_axes("v4-sweep")    # doctest: +SKIP
    """
    of_study = {"study": study}
    require_study(study)
    models = {int(row["model_spec_id"]): row["model_name"] for row in ModelSpec.to_dicts()}
    embeddings = {int(row["embedding_spec_id"]): row["embedding_name"] for row in EmbeddingSpec.to_dicts()}
    specs = {int(row["axes_spec_id"]): row["axes_spec"] for row in AxesSpec.to_dicts()}
    asked = (Study.Model & of_study).proj() * (Study.Embedding & of_study).proj()
    names = (*Embedding().primary_key, "axes_spec_id")
    keys = (TypesOrAxes().key_source & asked).proj().to_dicts(order_by="KEY")
    done, increments = _computed(keys, names)
    found = []
    for key in keys:
        at = tuple(key[name] for name in names)
        row = done.get(at)
        answer = {
            **{name: key[name] for name in names},
            "model": models[int(key["model_spec_id"])],
            "embedding": embeddings[int(key["embedding_spec_id"])],
            "target": specs[int(key["axes_spec_id"])],
            "status": "waiting" if row is None else row["axes_answer"],
            "reason": None if row is None else row["axes_reason"],
            **{name: None if row is None else row[name] for name in _COLUMNS},
        }
        for name in _INCREMENTS:
            part = increments.get((*at, name), {})
            answer[name] = part.get("value")
            answer |= {f"{name}_{column}": part.get(column) for column in ("low", "high", "p")}
        found.append({**answer, "sentence": _sentence(answer)})
    return found


def _computed(
    keys: list[dict[str, Any]], names: tuple[str, ...]
) -> tuple[dict[tuple[Any, ...], dict[str, Any]], dict[tuple[Any, ...], dict[str, Any]]]:
    """Rows and increments that are computed, by key."""
    if not keys:
        return {}, {}
    rows = (TypesOrAxes & keys).proj("axes_answer", "axes_reason", *_COLUMNS).to_dicts()
    parts = (TypesOrAxes.Increment & keys).to_dicts()
    by_key = {tuple(row[name] for name in names): row for row in rows}
    return by_key, {(*(row[name] for name in names), row["increment"]): row for row in parts}


def _sentence(row: dict[str, Any]) -> str:
    if row["status"] == "waiting":
        return "Not compared yet; `decortex work` does once the scheduler has queued it."
    if row["reason"] == "no_target":
        return "Undecided: the target is undefined or the same in all neurons."
    return axes_sentence(
        row["status"],
        row["reason"],
        n_neurons=row["n_neurons"],
        blocks=None if row["n_blocks"] is None else f"{row['n_blocks']} {row['block_kind']}s",
        r2=(row["r2_clusters"], row["r2_axes"], row["r2_both"]),
    )

"""How many types of neurons stand apart, if any, and how they split? Read only, as `queries` is."""

from __future__ import annotations

from typing import Any

from decortex.config import config_hash
from decortex.evaluation.splits import SplitConfig
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.tables import Embedding, EmbeddingSpec, ModelSpec, SplitSpec, Study, require_study
from decortex_schemas.tables.evaluation import TypeCount

_NUMBERS = ("n_types", "p_two", "p_smallest", "n_neurons", "n_deciding", "n_set_aside", "n_animals")


@one_at_a_time
def types(study: str) -> list[dict[str, Any]]:
    """Count of types of every embedding of a study's networks, done or not.

    Parameters
    ----------
    study : str
        Its name; it need not be frozen.

    Returns
    -------
    list of dict
        Of every embedding, first by today's settings, then by others, the latest first.
        ``dataset``, ``model``, ``embedding``, ``spec`` (names), ``model_seed``, ``status`` ('types', 'none',
        'undecided', or 'waiting' where it is not computed), ``n_types``, ``at_least``, ``p_two``, ``p_smallest``,
        ``level`` (of every number of types),
        ``n_neurons``, ``n_deciding``, ``n_set_aside``, ``n_animals``, ``levels`` and ``splits`` (rows of the parts),
        ``sentence``: the answer in words.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> [(row["status"], row["n_types"]) for row in types("v4-sweep")]    # doctest: +SKIP
    """
    of_study = {"study": study}
    require_study(study)
    models = {int(row["model_spec_id"]): row["model_name"] for row in ModelSpec.to_dicts()}
    embeddings = {int(row["embedding_spec_id"]): row["embedding_name"] for row in EmbeddingSpec.to_dicts()}
    today = config_hash(SplitConfig().resolved())
    settings = SplitSpec.to_dicts(order_by="split_spec_id DESC")
    settings.sort(key=lambda row: row["split_hash"] != today)
    specs = {int(row["split_spec_id"]): row["split_spec"] for row in settings}
    alphas = {int(row["split_spec_id"]): float(row["params"]["alpha"]) for row in settings}
    asked = ((Study.Model & of_study) * (Study.Embedding & of_study)).to_dicts()
    key_names = Embedding().primary_key
    done = (
        {
            (*(row[name] for name in key_names), int(row["split_spec_id"])): row
            for row in (TypeCount & [{name: one[name] for name in key_names} for one in asked])
            .proj("types_status", "at_least", *_NUMBERS)
            .to_dicts()
        }
        if asked
        else {}
    )
    found = []
    for one in sorted(asked, key=lambda row: tuple(row[name] for name in key_names)):
        for spec_id, spec in specs.items():
            key = {name: one[name] for name in key_names}
            row = done.get((*key.values(), spec_id))
            own = {**key, "split_spec_id": spec_id}
            answer = {
                **key,
                "model": models[int(one["model_spec_id"])],
                "embedding": embeddings[int(one["embedding_spec_id"])],
                "spec": spec,
                "level": alphas[spec_id],
                "status": "waiting" if row is None else row["types_status"],
                "at_least": False if row is None else bool(row["at_least"]),
                **{name: None if row is None else row[name] for name in _NUMBERS},
                "levels": [] if row is None else _part(TypeCount.Level & own, "n_groups"),
                "splits": [] if row is None else _part(TypeCount.Split & own, "split"),
            }
            found.append({**answer, "sentence": sentence(answer)})
    return found


def _part(rows: Any, order: str) -> list[dict[str, Any]]:
    keys = set(TypeCount().primary_key)
    return [
        {name: value for name, value in row.items() if name not in keys}
        for row in rows.to_dicts(order_by=order)
    ]


def sentence(row: dict[str, Any]) -> str:
    """One answer of `types` in words."""
    whose = (
        f"{row['n_neurons']} neurons of {row['n_animals']} {'animal' if row['n_animals'] == 1 else 'animals'}"
    )
    if row["status"] == "waiting":
        return "The types are not counted yet; `decortex work` does once the scheduler has queued it."
    if row["status"] == "undecided":
        return f"Too few neurons to decide whether there are types ({whose})."
    if row["status"] == "none":
        return f"No two groups stand apart ({whose}; smallest p {_p(row['p_smallest'])}): no types are seen."
    least = "at least " if row["at_least"] else ""
    return (
        f"{least.capitalize()}{row['n_types']} types stand apart ({whose}; p of the split in two {_p(row['p_two'])}, "
        f"smallest {_p(row['p_smallest'])})."
    )


def _p(value: float | None) -> str:
    return "undefined" if value is None else "< .0001" if value < 1e-4 else f"{value:.4f}".lstrip("0")

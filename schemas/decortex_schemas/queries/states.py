"""Four states of every fine-tuned network side by side: start, control, own labels, clustered afresh. Read only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decortex.errors import ConfigError
from decortex_schemas.queries.grouped import grouped
from decortex_schemas.queries.overview import one_at_a_time, require_frozen
from decortex_schemas.queries.rows import Key, Names, Row, average
from decortex_schemas.tables import (
    ClusteringMethod,
    FinetuneSpec,
    FrozenStudy,
    NetworkState,
    Performance,
    StateStudy,
    Study,
)
from decortex_schemas.tables.evaluation import MAIN_METRIC, MAIN_TIER, ClusterQuality, SeedAgreement

# A partition's group, but for the network and what made it.
_WHERE = ("dataset", "model_spec_id", "embedding_spec_id", "method_id", "k", "finetune_id")
OWN_LABELS = "own"


@one_at_a_time
def states(study: str) -> list[Row]:
    """Compare four states of the networks that a frozen study fine-tunes.

    One row a dataset, embedding, start of a fine-tuning (its method, K and clustering seed), fine-tuning, state and
    method. ``state`` is 'start' (from where fine-tuning went on), 'control' (trained as long without a clustering loss,
    clustered afresh), 'fine_tuned' (its own labels; ``method`` 'own') or 'fine_tuned_afresh'. ``ari_networks``: between
    networks trained from other seeds, over all clustering seeds of the study; ``ari_truth``: with the known types;
    ``silhouette``: in the embedding that was clustered (of own labels: that of the start, the yardstick, with
    ``silhouette_moved`` beside it); ``test_correlation``: mean over networks.

    Raises
    ------
    ConfigError
        If the study or the one of its states is not frozen, or there is none.
    """
    require_frozen(study)
    companions = (StateStudy & {"study": study}).to_arrays("states_study")
    if not len(companions):
        raise ConfigError(
            f'no states of study {study!r} are clustered afresh: declare its plan with "states": "all" (or '
            '"controls") under another name.'
        )
    companion = str(companions[0])
    require_frozen(companion)
    figures = _figures(study) | _figures(companion)
    networks = (Study.Model & {"study": study}).to_dicts()
    specs = states_by_name()
    names, methods = Names(), {int(r["method_id"]): r["method_name"] for r in ClusteringMethod.to_dicts()}
    finetunings = {int(row["finetune_id"]): row for row in FinetuneSpec.to_dicts()}
    none = next(i for i, row in finetunings.items() if row["kind"] == "none")
    counts = dict.fromkeys({(str(one["dataset"]), int(one["model_spec_id"])) for one in networks}, 0)
    for one in networks:
        counts[str(one["dataset"]), int(one["model_spec_id"])] += 1
    found = []
    for part in _trained(study):
        for (dataset, parent), n_networks in sorted(counts.items()):
            tied = finetunings[part["finetune_id"]]
            start = {"embedding_spec_id": part["embedding_spec_id"], "dataset": dataset, "k": part["k"]}
            label = names.of({**part, "dataset": dataset, "model_spec_id": parent})
            shared = {
                **{name: label[name] for name in ("dataset", "model", "embedding")},
                "start_method": methods[part["method_id"]],
                "seed": part["seed"],
                "k": part["k"],
                "finetune": label["finetune"],
            }
            control = specs.get((parent, "control", int(tied["schedule_id"]), int(tied["control_seed"])))
            moved = specs.get((parent, "fine_tuned", *(part[name] for name in _FINE_TUNED)))
            own = {**start, "model_spec_id": parent, "method_id": part["method_id"]}
            rows = [("fine_tuned", OWN_LABELS, {**own, "finetune_id": part["finetune_id"]}, moved)]
            for method_id in sorted(methods):
                for state, spec in (("start", parent), ("control", control), ("fine_tuned_afresh", moved)):
                    afresh = {**start, "model_spec_id": spec, "method_id": method_id, "finetune_id": none}
                    rows.append((state, methods[method_id], afresh, spec))
            for state, method, where, spec in rows:
                figure = figures.get(tuple(where[name] for name in _WHERE))
                if spec is None or figure is None:
                    continue
                found.append(
                    {
                        **shared,
                        "state": state,
                        "method": method,
                        "n_networks": n_networks,
                        **figure,
                        "test_correlation": _correlation(dataset, spec),
                    }
                )
    order = ("start", "control", "fine_tuned", "fine_tuned_afresh")
    return sorted(
        found,
        key=lambda row: (
            *(
                row[name]
                for name in ("dataset", "model", "embedding", "k", "start_method", "seed", "finetune")
            ),
            order.index(row["state"]),
            row["method"],
        ),
    )


@one_at_a_time
def has_states(study: str) -> bool:
    """Whether the states of a study's networks are clustered afresh, and the study of them is frozen."""
    return bool(len(FrozenStudy.proj(states_study="study") & (StateStudy & {"study": study}).proj()))


_FINE_TUNED = ("embedding_spec_id", "method_id", "k", "seed", "finetune_id")


def _trained(study: str) -> list[dict[str, Any]]:
    """Embeddings and starts that a study fine-tunes, each once."""
    asked = Study.Embedding.proj() * Study.Finetuning.proj() * FinetuneSpec.proj("kind")
    columns = (*_FINE_TUNED, "method")
    rows = (asked & {"study": study} & "kind != 'none'").to_dicts(order_by="KEY")
    return [{name: row[name] if name == "method" else int(row[name]) for name in columns} for row in rows]


def states_by_name() -> dict[tuple[Any, ...], int]:
    """Specifications of controls and fine-tuned networks by their parent and what made them."""
    found: dict[tuple[Any, ...], int] = {}
    for row in NetworkState.to_dicts():
        names = {"control": ("schedule_id", "control_seed"), "fine_tuned": _FINE_TUNED}.get(row["state"])
        if names is not None:
            key = (int(row["parent_spec_id"]), row["state"], *(int(row[name]) for name in names))
            found[key] = int(row["model_spec_id"])
    return found


def _figures(study: str) -> dict[Key, Row]:
    """Agreement, truth and silhouettes of every group of a study."""
    found: dict[Key, Row] = {}
    for row in (SeedAgreement & {"study": study}).to_dicts():
        key = tuple(row[name] if name == "dataset" else int(row[name]) for name in _WHERE)
        found[key] = {
            "ari_networks": row["ari_seeds"],
            "ari_truth": row["ari_truth"],
            "silhouette": None,
            "silhouette_moved": None,
        }
    asked = Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj() & {"study": study}
    for name, space in (("silhouette", "untouched"), ("silhouette_moved", "moved")):
        rows = ClusterQuality.Space & asked.proj() & {"space": space}
        for key, row in grouped(rows, _WHERE, value="AVG(silhouette)").items():
            if key in found:
                found[key][name] = row["value"]
    return found


def _correlation(dataset: str, spec: int) -> float | None:
    """Mean over networks of the mean test correlation of one specification."""
    at: Mapping[str, Any] = {
        "dataset": dataset,
        "model_spec_id": spec,
        "tier": MAIN_TIER,
        "metric": MAIN_METRIC,
    }
    return average((Performance.Score & at).to_arrays("mean").tolist())

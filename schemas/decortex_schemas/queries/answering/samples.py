"""Of what a study speaks: its networks, sessions and animals, and whether it is still what was frozen. Read only."""

from __future__ import annotations

from decortex_schemas.queries.answering.facts import Sample
from decortex_schemas.queries.operation import mixed_environments
from decortex_schemas.queries.population import study_tables
from decortex_schemas.tables import Dataset, FrozenStudy, Study, changes_since_freezing
from decortex_schemas.tables.evaluation import TableScore

_UNRECORDED = "neurons_only"


def study_sample(study: str) -> Sample:
    """Networks, sessions and animals of a study, and in which state its rows are."""
    of = {"study": study}
    networks = Study.Model & of
    datasets = Dataset & networks.proj()
    frozen = len(FrozenStudy & of) > 0
    animals = {
        (row["dataset"], row["animal"])
        for row in (Dataset.Neuron & datasets.proj()).proj("animal").to_dicts()
        if row["animal"]
    }
    of_table = bool(study_tables(study))
    scores = (TableScore & networks.proj("dataset")).to_arrays("table_score", order_by="KEY")
    return Sample(
        study=study,
        n_networks=0 if of_table else len(networks),
        n_sessions=len(Dataset.Session & datasets.proj()),
        n_animals=len(animals),
        frozen=frozen,
        changed=_changed(study) if frozen else "",
        mixed=bool(mixed_environments(study)) if frozen else False,
        of_table=of_table,
        scores=tuple(dict.fromkeys(map(str, scores))) if of_table else (),
        recorded=any(kind != _UNRECORDED for kind in datasets.to_arrays("kind")),
    )


def _changed(study: str) -> str:
    """How many members of a frozen study are missing or changed; empty where none is."""
    changes = changes_since_freezing(study)
    missing = sum(one["problem"] == "missing" for one in changes)
    parts = [f"{missing} of its members missing"] if missing else []
    parts += [f"{len(changes) - missing} groups of members changed"] if len(changes) > missing else []
    return ", ".join(parts)

"""Choosing a study, a network, an embedding and a partition: what pages have in common. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decortex_ops.dashboard.parts import Choice, Empty, Panel
from decortex_ops.dashboard.source import Source
from decortex_ops.dashboard.urls import Field, State
from decortex_schemas import queries

STUDY = Field("study")
DATASET = Field("dataset")
MODEL = Field("model", "int", low=0)
NET = Field("net", "int")
EMBEDDING = Field("emb", "int", low=0)
METHOD = Field("method", "int", low=0)
K = Field("k", "int", low=1, high=10_000)
SEED = Field("seed", "int")
FINETUNE = Field("ft", "int", low=0)
NETWORK = (DATASET, MODEL, NET)
PARTITION = (STUDY, *NETWORK, EMBEDDING, METHOD, K, SEED, FINETUNE)

# What a network without recordings is scored against begins so.
NO_RECORDINGS = "nothing: no recordings"
NO_STUDY = Empty(
    "No study is declared in this database yet.",
    "decortex study create my-sweep plan.json    # or: decortex demo",
)


@dataclass(frozen=True)
class Chosen:
    """What the URL and its defaults choose.

    Attributes
    ----------
    state : State
        With every default filled in.
    choices : list of Choice
        The controls.
    study : mapping or None
        Row of the study.
    options : mapping
        What the study offers, as `queries.choices`.
    problem : Panel or None
        Shown in place of the page if nothing can be chosen.
    """

    state: State
    choices: list[Choice]
    study: Mapping[str, Any] | None
    options: Mapping[str, Sequence[Mapping[str, Any]]]
    problem: Panel | None = None

    def names(self) -> dict[str, str]:
        """What the chosen network, embedding, method and fine-tuning are called, those that the page chooses."""
        found: dict[str, str] = {}
        for name, field, part, column, label in (
            ("dataset", "dataset", "networks", "dataset", "dataset"),
            ("model", "model", "networks", "model_spec_id", "model"),
            ("embedding", "emb", "embeddings", "embedding_spec_id", "embedding"),
            ("method", "method", "methods", "method_id", "method_name"),
            ("finetune", "ft", "finetunings", "finetune_id", "finetune"),
        ):
            value = self.state.values.get(field)
            if value is not None:
                found[name] = next(str(row[label]) for row in self.options[part] if row[column] == value)
        return found

    def group(self) -> dict[str, Any]:
        """Columns of the partitions that differ in their seeds alone."""
        columns = {
            "dataset": "dataset",
            "model": "model_spec_id",
            "emb": "embedding_spec_id",
            "method": "method_id",
            "k": "k",
            "ft": "finetune_id",
        }
        return {column: self.state[field] for field, column in columns.items()}


def against(chosen: Chosen) -> str:
    """What the scores of the chosen network are scores against, as a sentence behind a page's first."""
    names = ("dataset", "model_spec_id", "model_seed")
    own = (chosen.state["dataset"], chosen.state["model"], chosen.state["net"])
    words = {tuple(row[name] for name in names): row["scored_against"] for row in chosen.options["networks"]}
    return f" Scores are against {words[own]}."


def choose_study(state: State, source: Source) -> Chosen:
    """Choose the study of the URL, else the latest."""
    known = source(queries.study_counts)
    if not known:
        return Chosen(state, [], None, {}, Panel("nothing", "Nothing here yet", empty=NO_STUDY))
    names = [row["study"] for row in known]
    if state["study"] is not None and state["study"] not in names:
        problem = Panel(
            "nothing",
            "No such study",
            empty=Empty(f"There is no study “{state['study']}”; choose one above.", "decortex study show"),
        )
        return Chosen(state, [_studies(names, state["study"])], None, {}, problem)
    study = next(row for row in known if row["study"] == (state["study"] or names[0]))
    state = state.with_values(study=study["study"])
    if source(queries.study_tables, study["study"]):
        # A table opens at the K that its answers speak of: the number of its types.
        spoken = source(queries.reference, study["study"])
        study = {**study, "usual_k": None if spoken is None else spoken["k"]}
    return Chosen(
        state,
        [_studies(names, study["study"])],
        study,
        source(queries.choices, study["study"]),
    )


def _studies(names: Sequence[str], chosen: str) -> Choice:
    # Another study has other networks and methods: what was chosen of them is taken out of the URL.
    others = {one.name: None for one in PARTITION if one is not STUDY}
    return Choice(
        "study",
        "Study",
        [(name, {"study": name, **others}) for name in names],
        {"study": chosen},
    )


def choose_network(chosen: Chosen, *, specification_only: bool = False) -> Chosen:
    """Choose one network, or one specification of networks on a dataset."""
    networks = chosen.options["networks"]
    names = ("dataset", "model") if specification_only else ("dataset", "model", "net")
    rows = [
        {
            "dataset": row["dataset"],
            "model": row["model_spec_id"],
            "net": row["model_seed"],
            "name": row["model"],
        }
        for row in networks
    ]
    several = len({row["dataset"] for row in rows}) > 1
    options = {}
    for row in rows:
        label = f"{row['dataset']} · {row['name']}" if several else str(row["name"])
        label += "" if specification_only else f" · seed {row['net']}"
        options[tuple(row[name] for name in names)] = label
    return choose(chosen, "network", "Network", names, options)


def choose_embedding(chosen: Chosen) -> Chosen:
    """Choose one embedding."""
    options = {(row["embedding_spec_id"],): row["embedding"] for row in chosen.options["embeddings"]}
    return choose(chosen, "embedding", "Embedding", ("emb",), options)


def choose_method(chosen: Chosen) -> Chosen:
    """Choose one clustering method."""
    options = {(row["method_id"],): row["method_name"] for row in chosen.options["methods"]}
    return choose(chosen, "method", "Method", ("method",), options)


def choose_count(chosen: Chosen) -> Chosen:
    """Choose the number of clusters; without a choice the middle one that a fine-tuning has, or the middle one.

    A study of a table opens at the one that speaks for it.
    """
    counts = [row["k"] for row in chosen.options["counts"] if row["k"] > 1]
    tuned = sorted({row["k"] for row in chosen.options["finetunings"] if row["kind"] != "none"})
    options = {(k,): str(k) for k in counts}
    default = (tuned or counts or [None])[len(tuned or counts) // 2 if (tuned or counts) else 0]
    default = (chosen.study or {}).get("usual_k") or default
    return choose(chosen, "k", "K", ("k",), options, default=(default,))


def choose_start(chosen: Chosen) -> Chosen:
    """Choose the seed of the clustering."""
    options = {(row["seed"],): str(row["seed"]) for row in chosen.options["seeds"]}
    return choose(chosen, "seed", "Start", ("seed",), options)


def choose_finetuning(chosen: Chosen, *, only_tuned: bool = False) -> Chosen:
    """Choose a fine-tuning that the study has at the method, K and seed chosen so far."""
    state = chosen.state
    rows = [
        row
        for row in chosen.options["finetunings"]
        if (row["method_id"], row["k"], row["seed"]) == (state["method"], state["k"], state["seed"])
        and not (only_tuned and row["kind"] == "none")
    ]
    options = {(row["finetune_id"],): row["finetune"] for row in rows}
    default = next(((row["finetune_id"],) for row in rows if row["kind"] == "none"), None)
    return choose(chosen, "finetuning", "Fine-tuning", ("ft",), options, default=default)


def choose_family_finetuning(chosen: Chosen) -> Chosen:
    """Choose a fine-tuning that the study has at the K, and the method where one is chosen, whatever the start."""
    method = chosen.state.values.get("method")
    rows = [
        row
        for row in chosen.options["finetunings"]
        if row["k"] == chosen.state["k"] and method in (None, row["method_id"])
    ]
    options = {(row["finetune_id"],): row["finetune"] for row in rows}
    default = next(((row["finetune_id"],) for row in rows if row["kind"] == "none"), None)
    return choose(chosen, "finetuning", "Fine-tuning", ("ft",), options, default=default)


def choose_partition(state: State, source: Source) -> Chosen:
    """Choose one partition."""
    chosen = choose_study(state, source)
    for step in (
        choose_network,
        choose_embedding,
        choose_method,
        choose_count,
        choose_start,
        choose_finetuning,
    ):
        if chosen.problem is None:
            chosen = step(chosen)
    return chosen


def partition_key(chosen: Chosen) -> dict[str, Any]:
    """Key of the chosen partition in the tables."""
    state = chosen.state
    method = next(row["method"] for row in chosen.options["methods"] if row["method_id"] == state["method"])
    return {
        "dataset": state["dataset"],
        "model_spec_id": state["model"],
        "model_seed": state["net"],
        "embedding_spec_id": state["emb"],
        "method": method,
        "method_id": state["method"],
        "k": state["k"],
        "seed": state["seed"],
        "finetune_id": state["ft"],
    }


def choose(
    chosen: Chosen,
    name: str,
    label: str,
    fields: Sequence[str],
    options: Mapping[tuple[Any, ...], str],
    *,
    default: tuple[Any, ...] | None = None,
) -> Chosen:
    """Choose one of some options; what the URL does not say, or says wrongly, falls to the first that fits."""
    asked = tuple(chosen.state[one] for one in fields)
    state, problem = chosen.state, chosen.problem
    if asked not in options:
        # A link that names a part only, or what this study does not have, falls to the first that fits.
        fitting = [
            key
            for key in options
            if all(a is None or a == value for a, value in zip(asked, key, strict=True))
        ]
        missing = any(value is not None for value in asked) and not fitting
        usual = [default] if default is not None and default in options else []
        first = [key for key in usual if key in fitting] or fitting or usual or list(options)
        if not first:
            problem = Panel(
                "nothing",
                f"No {label.lower()} to choose",
                empty=Empty(
                    f"Study “{state['study']}” has no {label.lower()} here; its plan declares them.",
                    f"decortex study show {state['study']}",
                ),
            )
            return Chosen(state, chosen.choices, chosen.study, chosen.options, problem)
        if missing:
            named = ", ".join(f"{one}={value}" for one, value in zip(fields, asked, strict=True))
            state = State(
                state.path,
                state.fields,
                state.values,
                (*state.problems, f"this study has no {label.lower()} {named}; showing {options[first[0]]}"),
                state.carried,
            )
        asked = first[0]
    values = dict(zip(fields, asked, strict=True))
    state = state.with_values(**values)
    choice = Choice(
        name,
        label,
        [(text, dict(zip(fields, key, strict=True))) for key, text in options.items()],
        values,
    )
    return Chosen(state, [*chosen.choices, choice], chosen.study, chosen.options, problem)

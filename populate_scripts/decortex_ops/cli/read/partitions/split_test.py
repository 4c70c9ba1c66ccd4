"""`decortex test-split`: which groups of a given partition stand apart, from files or from the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from decortex.errors import ConfigError, InputError
from decortex_ops.cli.legends import print_legend
from decortex_ops.cli.output import CsvFlag, JsonFlag, out, print_rows, said_plainly
from decortex_ops.cli.read.figure import parse_where
from decortex_ops.cli.session import open_to_read

if TYPE_CHECKING:
    from decortex.evaluation.splits import PartitionTest

COLUMNS = ("first", "second", "n_first", "n_second", "status", "p", "p_holm", "depth", "n_beside")
KEPT = (
    "p: of 'no valley of density between the two groups', on neurons held out from the choice of every window; p_holm:"
    " corrected over all pairs; depth: density between over density beside."
)
OPTIMISTIC = (
    "The partition is taken as given: p is exact for labels made from other data (genes, anatomy, other responses),"
    " and optimistic for a clustering of these features. `decortex tree` and count_types choose and test on different"
    " neurons."
)


def given_partition(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="FEATURES LABELS.csv; with --study only LABELS.csv, or nothing for --where."),
    ] = None,
    *,
    label: Annotated[
        str | None, typer.Option(help="Column of LABELS.csv with the groups (default: label).")
    ] = None,
    animal: Annotated[
        str | None,
        typer.Option(
            help="Column with the animal, whole ones are held out (default: animal, if there is one)."
        ),
    ] = None,
    kind: Annotated[
        Literal["raw", "l2", "zscore", "whiten"], typer.Option(help="How FEATURES are embedded.")
    ] = "raw",
    study: Annotated[
        str | None, typer.Option(help="Take the embedding from this study, not from a file.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="column=value of the network or partition of the study; repeat. An error says between what."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of folds and starts.")] = 0,
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Show which groups of any given partition stand apart, on held-out neurons or animals.

    FEATURES is an .npy, .npz (array X) or .csv of neurons x features, or a checkpoint; row i of LABELS.csv is neuron i
    of it. With --study LABELS.csv names neurons by session and unit_id (or neuron_idx); without LABELS.csv a partition
    of the frozen study is tested.

    Example: decortex test-split features.npy published.csv --label subclass
    """
    paths = files or []
    chosen = parse_where(where or [])
    if study is None:
        if len(paths) != 2 or chosen:
            raise ConfigError(
                f"without --study it takes two files, FEATURES and LABELS.csv, and no --where; got {len(paths)} files."
            )
        found = _of_files(paths[0], paths[1], label=label, animal=animal, kind=kind, seed=seed)
    else:
        if len(paths) > 1 or kind != "raw" or animal is not None:
            raise ConfigError(
                "with --study the embedding and the animals are the study's: it takes LABELS.csv alone, or no file to"
                " test a partition of the study, and neither --kind nor --animal."
            )
        if label is not None and not paths:
            raise ConfigError("--label is a column of LABELS.csv, and no file is given.")
        open_to_read()
        found = _of_study(study, paths[0] if paths else None, chosen, label=label, seed=seed)
    if said_plainly(found, found["pairs"], json=json, csv=csv):
        return
    for text in (f"{found['tested']}: {found['sentence']}", ""):
        out.print(text, highlight=False, markup=False, soft_wrap=True)
    print_rows(found["pairs"], COLUMNS)
    print_legend(COLUMNS)
    for text in (*found["notes"], KEPT, OPTIMISTIC):
        out.print(text, highlight=False, markup=False, soft_wrap=True, style="dim")


def _of_files(
    features: Path, labels: Path, *, label: str | None, animal: str | None, kind: str, seed: int
) -> dict[str, Any]:
    from decortex_ops.cli.labels_file import in_order, read_features, read_labels

    table = read_labels(labels, label)
    x = read_features(features, kind)
    if len(table.table) != len(x):
        raise InputError(
            f"{labels} should have one row per neuron of {features}, in its order: {len(x)}, but has"
            f" {len(table.table)}. Leave the label empty where a neuron is in no group."
        )
    groups, notes = in_order(table)
    found = _tested(x, groups, table.animals(animal), tested=f"{labels.name} on {features.name}", seed=seed)
    return {**found, "notes": list(notes)}


def _of_study(
    study: str, file: Path | None, where: dict[str, str], *, label: str | None, seed: int
) -> dict[str, Any]:
    from decortex_ops.cli.labels_file import match, read_labels
    from decortex_ops.reports import one_of
    from decortex_schemas import queries

    names = queries.CHOICE if file is None else queries.EMBEDDED
    notes: tuple[str, ...] = ()
    unknown = sorted(set(where) - set(names))
    if unknown:
        raise ConfigError(f"--where does not choose by {unknown[0]!r} here; it does by {', '.join(names)}.")
    if file is None:
        row = one_of(queries.partitions(study), where, names, "partition")
        labels = queries.labels(row["key"])
        groups = np.where(labels >= 0, labels.astype(str), "")
        words = f"{row['method']} K = {row['k']}, {row['finetune']}, start {row['seed']}"
    else:
        table = read_labels(file, label)
        row = one_of(queries.embeddings(study), where, names, "network")
        groups, notes = match(table, queries.neurons(row["dataset"]))
        words = file.name
    points = queries.network_points(row["key"])
    animals = points.animals[points.included]
    whose = f"{row['dataset']}, {row['model']} seed {row['model_seed']}, {row['embedding']}"
    x, own = points.x[points.included], groups[points.included]
    return {**_tested(x, own, animals, tested=f"{words} on {whose}", seed=seed), "notes": list(notes)}


def _tested(
    x: NDArray[np.float64],
    groups: NDArray[np.str_],
    animals: NDArray[np.str_] | None,
    *,
    tested: str,
    seed: int,
) -> dict[str, Any]:
    """Test a partition; the answer with its sentence."""
    from decortex.evaluation.splits import SplitConfig, split_test

    config = SplitConfig()
    used = groups != ""
    n_animals = 0 if animals is None else len(np.unique(animals[used]))
    found = split_test(
        x[used], groups[used], donors=animals[used] if animals is not None and n_animals > 1 else None, seed=seed,
        config=config,
    )  # fmt: skip
    names, counts = np.unique(groups[used], return_counts=True)
    sizes = dict(zip(names.tolist(), counts.tolist(), strict=True))
    answer = {
        "tested": tested,
        "n_neurons": int(used.sum()),
        "n_without_group": int((~used).sum()),
        "n_animals": n_animals or None,
        "held_out": "animals" if n_animals > 1 else "neurons",
        "n_groups": len(sizes),
        "n_apart": found.n_apart,
        "n_undecided": found.n_undecided,
        "p": found.p,
        "level": config.alpha,
        "pairs": _pair_rows(found, sizes),
    }
    return {"sentence": sentence(answer), **answer}


def _pair_rows(found: PartitionTest, sizes: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "first": pair.first,
            "second": pair.second,
            "n_first": sizes[str(pair.first)],
            "n_second": sizes[str(pair.second)],
            "status": pair.status,
            "p": pair.p,
            "p_holm": pair.p_holm,
            "depth": pair.boundary.path.depth,
            "n_between": pair.boundary.path.n_between,
            "n_beside": pair.boundary.path.n_beside,
            "fold_share": pair.boundary.fold_share,
        }
        for pair in found.pairs
    ]


def sentence(answer: dict[str, Any]) -> str:
    """Answer of `decortex test-split` in words."""
    pairs, level = answer["pairs"], answer["level"]
    n_valleys = sum(pair["status"] == "valley" for pair in pairs)
    n_corrected = sum(pair["p_holm"] <= level for pair in pairs)
    whose = f"{answer['n_neurons']} neurons"
    if answer["n_animals"]:
        whose += f" of {answer['n_animals']} animal{'s' if answer['n_animals'] > 1 else ''}"
    whose += (
        f", whole {answer['held_out']} held out" if answer["held_out"] == "animals" else ", neurons held out"
    )
    head = (
        "No two groups stand apart"
        if answer["n_apart"] == 1
        else f"{'At most ' if answer['n_undecided'] else ''}{answer['n_apart']} of {answer['n_groups']} groups stand"
        " apart, once those without a valley between them are joined"
    )
    return (
        f"{head}: {n_valleys} of {len(pairs)} pairs have a valley (p at most {level:g}; {n_corrected} after correction"
        f" over all pairs), {answer['n_undecided']} undecided ({whose})."
    )

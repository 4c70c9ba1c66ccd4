"""`decortex view ...`: ask for pictures of a study's embeddings, and see which there are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.legends import print_table, several
from decortex_ops.cli.output import CsvFlag, JsonFlag, out, print_json, said_plainly
from decortex_ops.cli.session import open_tables, open_to_read

app = typer.Typer(
    help="Two-dimensional views of embeddings: pictures, which nothing is clustered or decided by.",
    no_args_is_help=True,
)

COLUMNS = (
    "dataset",
    "model",
    "model_seed",
    "embedding",
    "view",
    "view_seed",
    "done",
    "n_neurons",
    "neighbours_kept",
    "distance_spearman",
    "variance_share",
)


@app.command()
def add(
    study: Annotated[str, typer.Argument(help="Name of the study; it may be frozen.")],
    kind: Annotated[str, typer.Argument(help="pca, tsne or umap (needs the extra [umap]).")],
    *,
    param: Annotated[
        list[str] | None, typer.Option(help="name=value of ViewConfig, for example perplexity=50; repeat.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what the kind leaves to chance.")] = 0,
    name: Annotated[str | None, typer.Option(help="Name in tables and figures; default: the kind.")] = None,
    json: JsonFlag = False,
) -> None:
    """Ask for a view of every embedding of a study; workers draw it.

    Example: decortex view add v4-sweep tsne --param perplexity=50
    """
    from decortex.embeddings import ViewConfig
    from decortex_schemas.tables import request_view

    config = ViewConfig.from_params({"kind": kind, **_parameters(param or [])})
    open_tables(role="author")
    key = request_view(study, name or kind, config, seed=seed)
    if json:
        print_json(key)
    else:
        out.print(
            f"asked for {name or kind} of every embedding of {study}; `decortex schedule` queues it, `decortex work` "
            "draws it",
            highlight=False,
            markup=False,
        )


@app.command()
def show(
    study: Annotated[str, typer.Argument(help="Name of the study.")],
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """List the views asked of a study, and how much of the embedding each keeps. Example: decortex view show demo."""
    from decortex_schemas import queries

    open_to_read()
    rows = queries.views(study)
    if not said_plainly(rows, rows, json=json, csv=csv):
        drawn = sum(bool(row["done"]) for row in rows)
        print_table(
            f"{several(drawn, 'picture')} of {len(rows)} drawn; nothing is clustered or decided by them.",
            rows,
            COLUMNS,
            empty=f"no view; `decortex view add {study} tsne` asks for one",
        )


def _parameters(pairs: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        try:
            values[name] = float(text) if "." in text or "e" in text else int(text)
        except ValueError:
            raise ConfigError(f"--param takes name=number, got {pair!r}.") from None
        if not equals or not name:
            raise ConfigError(f"--param takes name=number, got {pair!r}.")
    return values

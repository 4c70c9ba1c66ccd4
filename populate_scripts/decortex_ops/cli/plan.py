"""`decortex plan`: writes the plan of a study from flags, and its JSON schema for editors."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.output import print_json


def plan(
    *,
    dataset: Annotated[str, typer.Option(help="A registered dataset.")] = "",
    recipe: Annotated[
        str, typer.Option(help="Train networks by this recipe (decortex.models.RECIPES).")
    ] = "",
    imported: Annotated[
        str, typer.Option(help="Or take the networks that were registered as this family.")
    ] = "",
    network_seeds: Annotated[str, typer.Option(help="Seeds to train with: 0, '0,1,2' or '0..4'.")] = "0..2",
    embedding: Annotated[
        list[str] | None, typer.Option(help="Kind of embedding; repeat it for several.")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="Clustering method; repeat it for several.")
    ] = None,
    counts: Annotated[str, typer.Option(help="Numbers of clusters: '2,3,5' or '2..30'.")] = "2..12",
    seeds: Annotated[str, typer.Option(help="Clustering seeds.")] = "0..2",
    finetune: Annotated[
        list[str] | None,
        typer.Option(help="Kind of fine-tuning (dec, dec_joint, ...), at the smallest K and seed."),
    ] = None,
    subsamples: Annotated[int, typer.Option(min=0, help="Subsamples of 80 percent of the neurons.")] = 0,
    select: Annotated[
        bool, typer.Option("--select", help="Choose the number of clusters, the dearest part.")
    ] = False,
    description: Annotated[str, typer.Option(help="In words.")] = "",
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of plans, for editors.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: print it.")
    ] = None,
) -> None:
    """Write a plan from flags, or print it; nothing is declared.

    Recipe, methods, embeddings, fine-tunings and K are checked without a database; whether the dataset and imported
    networks are registered, `decortex study create` says.

    Example: decortex plan --dataset v4 --recipe macaque_v4 --method kmeans --method gmm --counts 2..20 -o plan.json
    """
    from decortex_schemas.register import PlanFile, check_plan

    if schema:
        text: Any = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **PlanFile.model_json_schema(),
        }
    else:
        if not dataset or bool(recipe) == bool(imported):
            raise ConfigError("a plan takes --dataset, and either --recipe or --imported.")
        networks: dict[str, Any] = {"dataset": dataset}
        networks |= (
            {"imported": imported} if imported else {"recipe": recipe, "seeds": _numbers(network_seeds)}
        )
        text = {
            **({"description": description} if description else {}),
            "networks": [networks],
            "embeddings": [{"name": kind, "params": {"kind": kind}} for kind in embedding or ["l2"]],
            "methods": [{"method": name} for name in method or ["kmeans"]],
            "counts": _numbers(counts),
            "seeds": _numbers(seeds),
            **({"subsamples": subsamples} if subsamples else {}),
            **({"selection": {}} if select else {}),
        }
        parsed = PlanFile.from_params(text)
        if finetune:
            start = {"counts": [min(parsed.counts)], "seeds": [min(parsed.seeds)]}
            text["finetunings"] = [{"name": kind, "params": {"kind": kind}, **start} for kind in finetune]
            parsed = PlanFile.from_params(text)
        check_plan(parsed)
    if output is None:
        print_json(text)
        return
    if output.exists():
        raise ConfigError(f"{output} exists; a plan is not written over another file.")
    output.write_text(json_text.dumps(text, indent=2) + "\n", encoding="utf-8")


def _numbers(text: str) -> list[Any]:
    """Numbers and ranges between commas, as a plan takes them."""
    return [
        int(part) if part.strip().isdecimal() else part.strip() for part in text.split(",") if part.strip()
    ]

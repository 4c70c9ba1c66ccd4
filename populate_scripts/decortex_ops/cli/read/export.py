"""`decortex export` and `decortex check-export`: a study as a folder that needs no database, or as an AnnData file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from decortex_ops.cli.output import JsonFlag, err, out, print_json
from decortex_ops.cli.session import open_to_read

FOLDER = "folder"


class ExportGroup(TyperGroup):
    """`decortex export STUDY FOLDER` is `decortex export folder STUDY FOLDER`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default subcommand before words that name none."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [FOLDER, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ExportGroup,
    help="Write a study into files. Example: decortex export v4 v4-bundle.",
    no_args_is_help=True,
)


@app.command(FOLDER)
def folder(
    study: Annotated[str, typer.Argument(help="A frozen study.")],
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    json: JsonFlag = False,
) -> None:
    """Write a frozen study into a folder: tables, labels, checksums; the word folder may be left out.

    Example: decortex export folder v4 v4-bundle
    """
    from decortex_ops.reports import export_study

    open_to_read()
    manifest = export_study(study, folder)
    if json:
        print_json(manifest)
        return
    size = sum(one["bytes"] for one in manifest["files"].values())
    out.print(
        f"{manifest['n_members']} partitions in {len(manifest['files'])} files, {size / 1e6:.1f} MB: {folder}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


@app.command("anndata")
def anndata(
    study: Annotated[str, typer.Argument(help="A study; it need not be frozen.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new .h5ad file.")],
    *,
    dataset: Annotated[str | None, typer.Option(help="Whose neurons, where the study has several.")] = None,
    network: Annotated[str | None, typer.Option(help="Which network, by name, where it has several.")] = None,
    network_seed: Annotated[
        int | None, typer.Option(help="Which seed of the network (default: the smallest).")
    ] = None,
    embedding: Annotated[str | None, typer.Option(help="Which embedding, where it has several.")] = None,
    json: JsonFlag = False,
) -> None:
    """Write one embedding with its clusters, scores, labels and views for scanpy.

    Example: decortex export anndata v4 -o v4.h5ad
    """
    from decortex_ops.reports import export_anndata

    open_to_read()
    found = export_anndata(
        study, output, dataset=dataset, network=network, network_seed=network_seed, embedding=embedding
    )
    if json:
        print_json(asdict(found))
        return
    key = found.key
    out.print(
        f"{found.n_neurons} neurons of {key['dataset']} x {found.n_features} features (network {key['network']} seed "
        f"{key['network_seed']}, embedding {key['embedding']}), {found.n_partitions} partitions, "
        f"{len(found.views)} views, {len(found.label_sets)} label sets: {output}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    notes = []
    if found.others:
        others = ", ".join(map(str, found.others))
        notes.append(f"the study has network seeds {others} too (--network-seed), each a file of its own.")
    if found.n_waiting:
        notes.append(
            f"{found.n_waiting} partitions of this embedding are not computed yet and not in the file."
        )
    for note in notes:
        err.print(f"note: {note}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def check_export(
    folder: Annotated[Path, typer.Argument(help="An exported folder.")], json: JsonFlag = False
) -> None:
    """Check an exported folder against its checksums; needs no database. Example: decortex check-export v4-bundle."""
    from decortex_ops.reports import check_bundle

    manifest = check_bundle(folder)
    if json:
        print_json(manifest)
        return
    out.print(
        f"study {manifest['study']}: {manifest['n_members']} partitions, {len(manifest['files'])} files as exported",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )

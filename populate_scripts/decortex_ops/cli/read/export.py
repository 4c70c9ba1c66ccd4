"""`decortex export` and `decortex check-export`: a frozen study as a folder that needs no database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decortex_ops.cli.output import JsonFlag, out, print_json
from decortex_ops.cli.session import open_to_read


def export(
    study: Annotated[str, typer.Argument(help="A frozen study.")],
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    json: JsonFlag = False,
) -> None:
    """Write a frozen study into a folder: tables, labels, checksums. Example: decortex export v4 v4-bundle."""
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

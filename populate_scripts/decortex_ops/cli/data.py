"""`decortex import ...`: public data sets, expanded from their upstream clones into FileTreeDataset folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decortex_ops.cli.output import err, out

app = typer.Typer(help="Expand public data sets into FileTreeDataset folders.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Expand public data sets into FileTreeDataset folders."""


@app.command("cowley-v4")
def cowley_v4(
    clone: Annotated[
        Path, typer.Argument(help="Clone of cowleygroup/V4_compact_models (or a folder with its data).")
    ],
    to: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write the sessions to.")],
    size: Annotated[int, typer.Option(min=8, help="Side of the images in pixels (stored: 112).")] = 56,
    rgb: Annotated[bool, typer.Option("--rgb", help="Keep the colour channels.")] = False,
) -> None:
    """Macaque V4 responses to natural images (Cowley et al. 2023): nine sessions, 434 neurons.

    Example: decortex import cowley-v4 CLONE recordings/v4
    """
    from decortex.data import import_cowley_v4

    import_cowley_v4(
        clone,
        to,
        size=size,
        rgb=rgb,
        progress=lambda line: err.print(line, highlight=False, markup=False, style="dim"),
    )
    out.print(
        f"sessions are in {to}; `decortex demo --data {to}` runs the chain on them",
        highlight=False,
        soft_wrap=True,
    )

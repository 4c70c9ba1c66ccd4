"""`decortex report`: one page about a study, to mail around."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decortex_ops.cli.output import JsonFlag, out, print_json
from decortex_ops.cli.read.figure import write
from decortex_ops.cli.session import open_to_read


def report(
    study: Annotated[str, typer.Argument(help="A frozen study.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path("report.html"),
    json: JsonFlag = False,
) -> None:
    """Write one self-contained page about a frozen study: answers, figures, tables, methods, provenance.

    Example: decortex report demo -o report.html
    """
    from decortex_ops.reports import report as page

    open_to_read()
    content = page(study).encode()
    write(output, content)
    if json:
        print_json({"file": output, "study": study, "bytes": len(content)})
    else:
        out.print(
            f"{output}: study {study}, {len(content):,} bytes", highlight=False, markup=False, soft_wrap=True
        )

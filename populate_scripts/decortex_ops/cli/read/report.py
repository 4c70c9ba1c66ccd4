"""`decortex report`: one page about a study, to mail around."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.output import JsonFlag, out, print_json
from decortex_ops.cli.read.figure import write
from decortex_ops.cli.session import open_to_read

KINDS = (".html", ".htm", ".pdf")


def report(
    study: Annotated[str, typer.Argument(help="A frozen study.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path("report.html"),
    json: JsonFlag = False,
) -> None:
    """Write one self-contained page about a frozen study: answers, figures, tables, methods, provenance.

    A name that ends in .pdf makes a PDF, printed by a Chromium on this machine. Example: decortex report demo -o r.pdf
    """
    from decortex_ops.reports import as_pdf, require_browser
    from decortex_ops.reports import report as page

    kind = output.suffix.lower()
    if kind not in KINDS:
        raise ConfigError(
            f"--output {output}: a report is written as {' or '.join(KINDS)}; give the file such a name."
        )
    if kind == ".pdf":
        require_browser()  # drawing the page takes seconds
    open_to_read()
    text = page(study)
    content = as_pdf(text) if kind == ".pdf" else text.encode()
    write(output, content)
    if json:
        print_json({"file": output, "study": study, "bytes": len(content)})
    else:
        out.print(
            f"{output}: study {study}, {len(content):,} bytes", highlight=False, markup=False, soft_wrap=True
        )

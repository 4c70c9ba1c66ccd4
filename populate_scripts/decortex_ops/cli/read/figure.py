"""`decortex figure`: one figure of a study as a file for print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from decortex.errors import ConfigError, OperationError
from decortex_ops.cli.legends import print_table, several
from decortex_ops.cli.output import JsonFlag, out, print_json
from decortex_ops.cli.session import open_to_read

KINDS = ("pdf", "svg", "png")


def figure(
    name: Annotated[str | None, typer.Argument(help="Which figure; --list names them.")] = None,
    study: Annotated[str | None, typer.Argument(help="A frozen study.")] = None,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write: .pdf, .svg or .png.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="column=value, where the study has several; repeat. An error says between what."),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(help="Millimetres: 89 (one column) or 183 (two). Default: what the figure needs."),
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="List the figures and what they are chosen by.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Write a figure of a frozen study, in the sizes of print; equal rows give equal bytes.

    Example: decortex figure performance demo --where method=kmeans --where k=8 --width 89 -o performance.pdf
    """
    from decortex.figures import WIDTHS, figure_bytes
    from decortex_ops.reports import RECIPES, draw_figure

    if listing:
        rows = [
            {"figure": one, "shows": recipe.summary, "chosen by": ", ".join(recipe.choices)}
            for one, recipe in RECIPES.items()
        ]
        if json:
            print_json(rows)
        else:
            print_table(
                f"{several(len(rows), 'figure')}, each written by `decortex figure NAME STUDY -o FILE`.",
                rows,
                ("figure", "shows", "chosen by"),
            )
        return
    if name is None or study is None or output is None:
        raise typer.BadParameter(
            "a figure takes its name, a study and -o FILE; `decortex figure --list` names them."
        )
    kind = output.suffix.lstrip(".").lower()
    if kind not in KINDS:
        raise ConfigError(f"{output.name} should end in .pdf, .svg or .png, which says the format.")
    if width is not None and width not in WIDTHS:
        raise ConfigError(
            f"--width {width}: print takes {' or '.join(map(str, WIDTHS))} millimetres, one column or two."
        )
    chosen = parse_where(where or [])
    open_to_read()
    drawn = draw_figure(name, study, chosen, width=width)
    about = drawn.about()
    write(output, figure_bytes(drawn.figure, cast(Any, kind), about=about))
    if json:
        print_json({"file": output, **about})
    else:
        out.print(f"{output}: {about['title']}", highlight=False, markup=False, soft_wrap=True)


def parse_where(pairs: list[str]) -> dict[str, str]:
    """Read ``column=value`` pairs.

    Raises
    ------
    ConfigError
        If one is not such a pair.
    """
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ConfigError(f"--where takes column=value, got {pair!r}.")
        found[name.strip()] = value.strip()
    return found


def write(path: Path, content: bytes) -> None:
    """Write a file whole, or say why not.

    Raises
    ------
    OperationError
        If it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OperationError(f"{path} cannot be written: {error.strerror}.") from None

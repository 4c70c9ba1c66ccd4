"""`decortex study ...`: declare a sweep, freeze it, show what there is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.admin.studies import print_study_size, remove, size_of, unused
from decortex_ops.cli.legends import print_table, say, several
from decortex_ops.cli.output import CsvFlag, JsonFlag, err, out, print_json, said_plainly
from decortex_ops.cli.session import open_tables, open_to_read

app = typer.Typer(
    help="Sweeps: declared whole, computed by workers, frozen before they are compared.", no_args_is_help=True
)
app.command()(remove)
app.command()(unused)

COLUMNS = [
    "study",
    "networks",
    "methods",
    "counts",
    "seeds",
    "members",
    "done",
    "frozen_at",
    "tags",
    "created_by",
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the study.")],
    plan: Annotated[
        str, typer.Argument(help="JSON file (docs/how-to/studies.md shows one), or example:NAME.")
    ],
    *,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only say what it would take: jobs, hours, gigabytes, disks; declare nothing."
        ),
    ] = False,
    cost: Annotated[
        bool, typer.Option("--cost", help="Only say what the fine-tuned null would cost; declare nothing.")
    ] = False,
    tag: Annotated[
        list[str] | None, typer.Option(help="Word under which it is listed; repeat it for several.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Declare a study from a JSON plan, or from one that comes with decortex.

    Example: decortex study create v4-k example:v4-k --dry-run
    """
    from decortex_ops.plan_files import read_plan
    from decortex_schemas import queries
    from decortex_schemas.register import PlanFile, declare_plan, plan_cost
    from decortex_schemas.tables import check_tags, tag_study

    check_tags(tag or ())
    parsed = PlanFile.from_params(read_plan(plan))
    if len(parsed.counts) == 2 and abs(parsed.counts[1] - parsed.counts[0]) > 1:
        least, most = sorted(parsed.counts)
        err.print(
            f'counts {least} and {most}: two numbers of clusters; a range is written "{least}..{most}"',
            highlight=False,
            markup=False,
        )
    open_tables(role="author")
    if dry_run:
        _say_forecasts(queries.forecast_plan(name, parsed), json=json, tense="would take")
        return
    rows = plan_cost(parsed)
    if rows and not json:
        _print_null_cost(rows)
    if not cost:
        declare_plan(name, parsed)
        tag_study(name, tag or ())
    row = next((row for row in queries.studies() if row["study"] == name), None)
    if json:
        print_json({"study": row, "null_cost": rows})
    elif row is not None:
        out.print(f"study {name}: {row['members']} partitions asked for, {row['done']} done", highlight=False)
        _say_forecasts([queries.forecast(name)], json=False, tense="takes", table=False)
        _say_cost(name)


def _say_forecasts(found: list[dict[str, Any]], *, json: bool, tense: str, table: bool = True) -> None:
    """Print what studies take: jobs, hours, bytes, and whether the disks hold them."""
    if json:
        print_json(found)
        return
    for one in found:
        said = _forecast_said(one, tense)
        if not table:
            say(said)
            continue
        rows = [
            {
                **row,
                "hours": None if row["seconds"] is None else row["seconds"] / 3600,
                "database": size_of(row["bytes"]),
                "store": size_of(row["file_bytes"]),
            }
            for row in one["tables"]
        ]
        print_table(said, rows, ["table", "asked", "exist", "jobs", "hours", "database", "store"], empty=said)


def _forecast_said(one: dict[str, Any], tense: str) -> str:
    unknown = f"; not known before some exist: {', '.join(one['unknown'])}" if one["unknown"] else ""
    left = [
        f"{size_of(free)} free for the {what}"
        for what, free in (("database", one["server_free"]), ("store", one["store_free"]))
        if free is not None
    ]
    if one["server_free"] is None:
        left.append("the server's disk is not seen from here")
    if one["unknown"] and not one["seconds"]:
        time = "an unknown time"
    else:
        time = f"{'at least' if one['unknown'] else 'about'} {_duration(one['seconds'])}"
    word = {True: "the disks hold it", False: "THE DISKS DO NOT HOLD IT", None: "not all is known"}
    return (
        f"study {one['study']} {tense} {several(one['jobs'], 'job')}, {time} of one worker, "
        f"{size_of(one['bytes'])} in the database and {size_of(one['file_bytes'])} in the store{unknown}; "
        f"{', '.join(left)}: {word[one['holds']]}"
    )


def _duration(seconds: float) -> str:
    """Hours, or minutes or seconds where it is less than one."""
    if seconds >= 3600:
        return f"{seconds / 3600:,.1f} hours"
    return several(round(seconds / 60), "minute") if seconds >= 60 else f"{seconds:.0f} s"


def _print_null_cost(rows: list[dict[str, Any]]) -> None:
    """Print what a fine-tuned null asks for, and how long that takes as far as rows like it are known."""
    known = [row["seconds"] for row in rows if row["seconds"] is not None]
    unknown = [row["table"] for row in rows if row["seconds"] is None]
    text = f"about {sum(known) / 3600:.1f} hours of one worker, by the rows that exist on these datasets"
    if unknown:
        text += f"; unknown yet: {', '.join(unknown)}"
    print_table(text, rows, ["table", "rows", "seconds_each", "seconds"], title="the fine-tuned null")


@app.command()
def cost(
    name: Annotated[str, typer.Argument(help="Name of the study.")],
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Show what a study takes: rows and bytes by table, its own and shared ones, and what is still to come.

    Own rows are those that no other study needs. Example: decortex study cost v4-sweep
    """
    from decortex_schemas import queries

    open_to_read()
    rows = queries.study_rows(name)
    left = queries.forecast(name)
    selection = queries.selection_cost(name)
    if said_plainly({**selection, "tables": rows, "left": left}, rows, json=json, csv=csv):
        return
    print_study_size(rows)
    _say_forecasts([left], json=False, tense="still takes", table=False)
    _say_cost(name)


def _say_cost(name: str) -> None:
    """Say what the count of types and the choice of K of a study cost; nothing of what it does not ask for."""
    from decortex_schemas import queries

    found = queries.selection_cost(name)
    types, lines = found["types"], []
    if types["jobs"]:
        lines.append(
            f"number of types: {types['done']:,} of {types['jobs']:,} jobs done; time left:"
            f" {_time(types['seconds_left'])}"
        )
    if found["jobs"]:
        fits = ", ".join(f"{n:,} of {what}" for what, n in found["fits"].items())
        lines.append(
            f"choice of K: {found['done']:,} of {found['jobs']:,} jobs done; clusterings: {fits}; time left:"
            f" {_time(found['seconds_left'])}"
        )
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)


def _time(seconds: float | None) -> str:
    return "unknown until some of this study are done" if seconds is None else f"{seconds:,.0f} s on one core"


@app.command()
def choose(
    name: Annotated[str, typer.Argument(help="A frozen study whose plan has a selection.")],
    why: Annotated[str, typer.Option(help="The reason, in words.")],
    k: Annotated[int | None, typer.Option(min=1, help="Number of clusters; left out: none.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="column=value, where the study has several (dataset, embedding_spec_id, method_id)."
        ),
    ] = None,
) -> None:
    """Record the number of clusters that you work with, beside the decision. `decortex best-k` shows both.

    Example: decortex study choose v4-sweep --k 8 --why "three layers"
    """
    from decortex_schemas.tables.evaluation import record_choice

    open_tables(role="author")
    pairs = [text.partition("=") for text in where or ()]
    if not all(column and value for column, _, value in pairs):
        raise ConfigError(f"--where takes column=value, got {where}.")
    row = record_choice({"study": name, **{column: value for column, _, value in pairs}}, k, why)
    chosen = "none" if row["choice"] is None else row["choice"]
    out.print(f"{row['person']} chose K = {chosen} for {row['method']}", highlight=False, markup=False)


@app.command()
def priority(
    name: Annotated[str, typer.Argument(help="Name of the study.")],
    number: Annotated[
        int, typer.Argument(min=0, max=9, help="0: before all others; 5: usual; 9: after them.")
    ],
) -> None:
    """Say how urgent a study is, and sort the waiting keys by it; those that are queued later are sorted too.

    Example: decortex study priority v4-sweep 2
    """
    from decortex_schemas.database import computed_tables
    from decortex_schemas.register import apply_priorities, set_priority

    open_tables(role="author")
    set_priority(name, number)
    changed = apply_priorities(computed_tables())
    out.print(
        f"study {name} has priority {number}; {changed} waiting keys changed theirs",
        highlight=False,
        markup=False,
    )


@app.command()
def freeze(name: Annotated[str, typer.Argument(help="Name of the study.")], json: JsonFlag = False) -> None:
    """Freeze a complete study, so that what compares across it can be computed. Example: decortex study freeze demo."""
    from decortex_schemas.tables import freeze_study

    open_tables(role="author")
    if not json:
        _say_cost(name)
    row = freeze_study(name)
    if json:
        print_json(row)
    else:
        out.print(
            f"study {name} is frozen: {row['n_members']} members, {row['n_failed']} failed", highlight=False
        )


@app.command("list")
def every(
    tag: Annotated[
        list[str] | None, typer.Option(help="Only studies that have this tag; repeated: all of these.")
    ] = None,
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """List the studies: what they ask for and how much of it exists. Example: decortex study list --tag v4 --csv."""
    from decortex_schemas import queries

    open_to_read()
    rows = [row for row in queries.studies() if set(tag or ()) <= set(row["tags"])]
    told = [{**row, "tags": ", ".join(row["tags"])} for row in rows]
    none = "no study yet; `decortex study create NAME plan.json` declares one"
    if not said_plainly(rows, told, json=json, csv=csv):
        frozen = sum(row["frozen_at"] is not None for row in rows)
        print_table(
            f"{len(rows)} {'study' if len(rows) == 1 else 'studies'}, {frozen} frozen; `decortex answers STUDY` says "
            "what each found.",
            told,
            COLUMNS,
            empty=f"no study has the tag {', '.join(tag)}" if tag else none,
        )


@app.command("tag")
def tag_command(
    name: Annotated[str, typer.Argument(help="Name of the study; it may be frozen.")],
    tags: Annotated[list[str], typer.Argument(help="Words under which it is listed.")],
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Take these tags from it.")] = False,
) -> None:
    """Give a study tags, by which `decortex study list --tag` lists it, or take them from it.

    Example: decortex study tag v4-sweep v4 paper
    """
    from decortex_schemas.tables import tag_study

    open_tables(role="author")
    left = tag_study(name, tags, remove=remove)
    out.print(
        f"study {name} has the tags {', '.join(left)}" if left else f"study {name} has no tag",
        highlight=False,
        markup=False,
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the study; left out: all are listed.")] = "",
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Show what one study asks for: networks, embeddings, methods, K, seeds, fine-tunings.

    Without a name, all studies are listed as `decortex study list` does. Example: decortex study show v4
    """
    from decortex_schemas import queries

    if not name:
        every(None, json=json, csv=csv)
        return
    open_to_read()
    found = queries.about_declared(name)
    if said_plainly(found, [found], json=json, csv=csv):
        return
    for what, value in found.items():
        told = ", ".join(str(one) for one in value) if isinstance(value, list) else value
        out.print(
            f"{what:<18}{'-' if told in (None, '') else told}", highlight=False, markup=False, soft_wrap=True
        )


@app.command()
def rename(
    name: Annotated[str, typer.Argument(help="Name of the study until now.")],
    new: Annotated[str, typer.Argument(help="Another name, which no study has.")],
) -> None:
    """Give a study another name; a frozen one keeps its own. It takes the role admin.

    Example: decortex study rename trial v4-k
    """
    from decortex_schemas.register import rename_study

    open_tables(role="admin")
    rename_study(name, new)
    out.print(f"study {name} is now {new}", highlight=False, markup=False)

"""Read verbs: status, results, errors, provenance. They change nothing."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.legends import (
    AGREEMENT,
    TYPES,
    print_legend,
    print_table,
    say_answer,
    several,
)
from decortex_ops.cli.output import CsvFlag, JsonFlag, cell, err, out, print_rows, said_plainly
from decortex_ops.cli.partition_picker import print_selection, selection_rows
from decortex_ops.cli.session import open_to_read
from decortex_ops.reports import RESULT_COLUMNS


def status(
    watch: Annotated[float | None, typer.Option(min=0.5, help="Show again every so many seconds.")] = None,
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Show, per table, what is done, waiting, in work and failed. Example: decortex status --watch 2."""
    from decortex_schemas import queries

    open_to_read()
    while True:
        rows = queries.progress()
        if not said_plainly(rows, rows, json=json, csv=csv):
            if watch is not None and out.is_terminal:
                out.clear()
            print_table(status_said(rows), rows, ["table", "done", *queries.JOB_STATES])
        if watch is None:
            return
        time.sleep(watch)


def status_said(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the queues hold, in one sentence."""
    total = {name: sum(row[name] for row in rows) for name in ("done", "pending", "reserved", "error")}
    return (
        f"{total['done']:,} rows are computed, {total['pending']:,} wait, {total['reserved']:,} are in work and "
        f"{total['error']:,} failed{' (`decortex errors`)' if total['error'] else ''}."
    )


def results(
    study: Annotated[str, typer.Argument(help="A frozen study.")],
    method: Annotated[
        list[str] | None, typer.Option(help="Only this method, by its name in the study; may be repeated.")
    ] = None,
    k: Annotated[
        list[int] | None, typer.Option(help="Only this number of clusters; may be repeated.")
    ] = None,
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Show a frozen study's results, one row per method, K and fine-tuning. Example: decortex results demo --k 8."""
    from decortex_schemas import queries

    open_to_read()
    everything = queries.results(study)
    _check_chosen("method", method, {row["method_name"] for row in everything})
    _check_chosen("k", k, {row["k"] for row in everything})
    rows = [
        row for row in everything if (not method or row["method_name"] in method) and (not k or row["k"] in k)
    ]
    if not said_plainly(rows, rows, json=json, csv=csv):
        against = sorted({row["scored_against"] for row in rows})
        say_answer(study, AGREEMENT)
        print_rows(
            [{**row, "method": row["method_name"]} for row in rows],
            RESULT_COLUMNS,
            title=f"study {study}, scored against {' and '.join(against)}",
        )
        say_construction(study)
        print_legend(RESULT_COLUMNS)
    for line in mixed_lines(queries.mixed_environments(study)):
        err.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)
    say_versions(study)


def say_construction(study: str) -> None:
    """Say what agrees, or differs alike, because of how it was made."""
    for line in construction_lines(study):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def construction_lines(study: str) -> list[str]:
    """What agrees, or differs alike, because of how it was made, a sentence each."""
    from decortex_schemas import queries

    return [str(row["sentence"]) for row in queries.by_construction(study)]


def say_versions(study: str) -> None:
    """Say in which tables a study's rows are of several versions of their computation, or of an older one."""
    from decortex_schemas.queries import computation_versions

    for line in version_lines(computation_versions(study)):
        err.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)


def version_lines(tables: list[dict[str, Any]]) -> list[str]:
    """The tables of `computation_versions` in words, a line each."""
    lines = []
    for row in tables:
        counts = ", ".join(f"{n} rows of version {version}" for version, n in row["versions"].items())
        what = "mixed computations" if len(row["versions"]) > 1 else "another computation"
        lines.append(
            f"{what}: {row['table']} holds {counts}; this decortex computes version {row['current']}: `decortex stale`"
        )
    return lines


def mixed_lines(mixed: list[dict[str, Any]]) -> list[str]:
    """Say in which tables, and in what, the rows of a study were computed differently."""
    lines = []
    for row in mixed:
        code = row["column"] == "source_sha256"
        values = ", ".join(f"{value[:12] if code else value}: {n} rows" for value, n in row["values"].items())
        what = "code" if code else row["column"]
        lines.append(f"mixed environments: {row['table']} was computed with different {what} ({values})")
    return lines


def _check_chosen(option: str, chosen: Sequence[Any] | None, known: set[Any]) -> None:
    unknown = sorted(set(chosen or []) - known)
    if unknown:
        raise ConfigError(
            f"--{option} {unknown[0]}: this study has no such {option}; it has {', '.join(map(str, sorted(known)))}."
        )


def best_k(
    study: Annotated[str, typer.Argument(help="A frozen study whose plan has a selection.")],
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Show which number of clusters the data support, if any, and why. Example: decortex best-k v4-sweep."""
    from decortex_schemas import queries

    open_to_read()
    found = queries.best_k(study)
    if said_plainly(found, selection_rows(found), json=json, csv=csv):
        return
    if not found:
        out.print(
            "nothing chosen yet; `decortex work` does once the scheduler has queued it", highlight=False
        )
    else:
        say_answer(study, TYPES)
    for one in found:
        print_selection(one)
    from decortex_ops.reports import curve_rows

    print_legend(*(curve_rows(one)[1] for one in found))


def errors(
    json: JsonFlag = False,
    csv: CsvFlag = False,
    trace: Annotated[bool, typer.Option("--trace", help="Print the tracebacks too.")] = False,
) -> None:
    """List the keys that failed, with the message. Example: decortex errors --trace."""
    from decortex_schemas import queries

    open_to_read()
    rows = queries.failed_jobs()
    if said_plainly(rows, rows, json=json, csv=csv):
        return
    tables = len({row["table"] for row in rows})
    print_table(
        f"{several(len(rows), 'key')} of {several(tables, 'table')} failed; `decortex retry` queues them again.",
        rows,
        ["table", "key", "message", "when", "host_name"],
        empty="no failed keys",
    )
    if trace:
        for row in rows:
            out.print(f"\n{row['table']} {row['key']}\n{row['traceback']}", highlight=False, markup=False)


def provenance(
    table: Annotated[str, typer.Argument(help="A computed table, for example Clustering.")],
    key: Annotated[str, typer.Argument(help="The row's key: JSON, or name=value pairs with commas.")],
    json: JsonFlag = False,
    csv: CsvFlag = False,
) -> None:
    """Show what one row rests on. Example: decortex provenance TrainedModel dataset=v4,model_spec_id=1,model_seed=0."""
    from decortex_schemas import queries

    open_to_read()
    found = queries.provenance(table, parse_key(key))
    if said_plainly(found, _chain_rows(found), json=json, csv=csv):
        return
    for step in [*found["chain"], {"table": found["table"], **found["key"]}]:
        shown = {name: value for name, value in step.items() if name != "table" and _is_short(value)}
        out.print(
            f"[bold]{step['table']}[/bold] " + " ".join(f"{n}={cell(v)}" for n, v in shown.items()),
            soft_wrap=True,
        )
    environment = found["environment"]
    shown = {name: value for name, value in environment.items() if _is_short(value)}
    out.print(
        "[bold]Environment[/bold] " + " ".join(f"{n}={cell(v)}" for n, v in shown.items()), soft_wrap=True
    )
    out.print("\nTo compute it again:")
    for line in found["recompute"]:
        out.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _chain_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Every value that a row rests on, one per line: table, column, value."""
    steps = [*found["chain"], {"table": found["table"], **found["row"]}]
    steps.append({"table": "Environment", **found["environment"]})
    return [
        {"table": step["table"], "column": name, "value": value}
        for step in steps
        for name, value in step.items()
        if name != "table"
    ]


def parse_key(text: str) -> dict[str, Any]:
    """Read a key from JSON or from ``name=value`` pairs.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    if text.lstrip().startswith("{"):
        try:
            found = jsonlib.loads(text)
        except jsonlib.JSONDecodeError as error:
            raise ConfigError(f"the key is not JSON ({error}).") from None
        return dict(found)
    key: dict[str, Any] = {}
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError(
                f"{pair!r} is not name=value; a key is JSON or pairs such as method=kmeans,k=8."
            )
        key[name.strip()] = value.strip()
    return key


def _is_short(value: Any) -> bool:
    return value is not None and not isinstance(value, (dict, list)) and value != ""

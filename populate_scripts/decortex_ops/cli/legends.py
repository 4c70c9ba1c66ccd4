"""What stands before and after a command's tables: the answer as a sentence, and what the columns mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from decortex.columns import COLUMNS
from decortex_ops.cli.output import out, print_rows

# Questions of `queries.answers`, by their place.
TYPES, AGREEMENT, ASSOCIATION, FINETUNING = range(4)

# What columns of tables about work, accounts and files mean; those of results are in `decortex.columns`.
OF_WORK: Mapping[str, str] = MappingProxyType(
    {
        "table": "a computed table, in the order of the chain",
        "rows": "rows of it",
        "own": "rows that no other study needs; own database, own store: their bytes",
        "database": "bytes in the database",
        "store": "bytes of files",
        "files": "files of the store",
        "asked": "rows that the study asks for",
        "exist": "rows that are there",
        "jobs": "rows to compute",
        "hours": "of one worker, at the mean time of such rows; - where none is known",
        "seconds": "of one worker",
        "seconds_each": "of one row",
        "pending": "waits",
        "reserved": "is in work",
        "error": "failed",
        "ignore": "is left out",
        "key": "what names the row: `decortex provenance TABLE KEY` tells what it rests on",
        "message": "last line of the error; --trace prints the whole",
        "when": "when it failed, by the server's clock",
        "host_name": "the machine it failed on",
        "study": "name of the study",
        "networks": "networks that it names",
        "methods": "clustering methods",
        "counts": "numbers of clusters",
        "seeds": "starts of the clustering",
        "members": "partitions that it asks for",
        "done": "rows computed",
        "frozen_at": "since when it is frozen; - not yet",
        "tags": "words under which it is listed",
        "created_by": "who declared it",
        "user": "account of the server",
        "host": "from where the account may connect; % is anywhere",
        "role": "viewer reads, worker computes, author declares, admin deletes",
        "stored": "version of the computation that made the rows",
        "current": "version that this decortex computes",
        "kept": "rows whose specification is of another version: they stay",
        "studies": "studies that hold such rows, and how many",
        "with": "rows of other tables that went with them",
        "problem": "missing, altered, unreadable or refused",
        "found": "what is there in its place",
        "path": "file, below the store",
        "bytes": "its size",
        "age_hours": "hours since it was written",
        "to_version": "schema version that the step leads to",
        "step": "name of the step",
        "value": "as it is now",
        "figure": "name of the figure, for `decortex figure NAME STUDY -o FILE`",
        "shows": "what is drawn",
        "chosen by": "columns that --where takes, where a study has several",
        "column": "column of the table",
    }
)
MIN = "a p with this mark is the smallest possible with its permutations or surrogates"


def meaning(name: str) -> str:
    """What a column means, in a line; empty where its name says it."""
    known = COLUMNS.get(name)
    if known is None:
        return OF_WORK.get(name, "")
    heading = "" if known.heading == name else known.heading
    better = f"{known.better} is better" if known.better and known.heading else ""
    said = "; ".join(text for text in (known.meaning, better) if text)
    return ": ".join(text for text in (heading, said) if text)


def say_answer(study: str, question: int) -> None:
    """Print the answer to one of the five questions, as `decortex answers` gives it."""
    say(answer_of(study, question))


def answer_of(study: str, question: int) -> str:
    """One of the five questions with its answer, as `decortex answers` gives it."""
    from decortex_schemas import queries

    row = queries.answers(study)[question]
    return f"{row['question']} {row['answer'].upper()}: {row['sentence']}"


def say(sentence: str) -> None:
    """Print a sentence on a line of its own."""
    out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    out.print()


def print_legend(*tables: Iterable[str]) -> None:
    """Print what the columns of these tables mean, each once."""
    names = list(dict.fromkeys(name for columns in tables for name in columns))
    shown = {name: meaning(name) for name in names if meaning(name)}
    if any(name in COLUMNS and COLUMNS[name].is_p for name in names):
        shown["min"] = MIN
    if not shown:
        return
    width = max(len(name) for name in shown)
    out.print()
    for name, text in shown.items():
        out.print(f"{name:<{width}}  {text}", highlight=False, markup=False, soft_wrap=True, style="dim")


def print_table(
    sentence: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    title: str = "",
    empty: str = "nothing",
) -> None:
    """Print what a table says, the table, and what its columns mean; where there are no rows, what would fill it."""
    if rows and sentence:
        say(sentence)
    print_rows(rows, columns, title=title, empty=empty)
    if rows:
        print_legend(columns)


def several(n: int, thing: str) -> str:
    """A number of things: '1 row', '2 rows'."""
    return f"{n:,} {thing if n == 1 else thing + 's'}"

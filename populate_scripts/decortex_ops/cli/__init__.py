"""The command line. Every command is thin: it reads its words, calls one function and prints the answer."""

from __future__ import annotations

import copy
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymysql
import typer
from typer.main import get_command_name
from typer.models import TyperInfo

from decortex.errors import DecortexError
from decortex_ops.cli import dashboard, data, demo, plan, run, study
from decortex_ops.cli.admin import access, backup, db, doctor, stale, store
from decortex_ops.cli.output import EXIT_FAILED, err
from decortex_ops.cli.read import (
    agreement,
    answers,
    compare,
    evaluate,
    export,
    figure,
    recompute,
    report,
    results,
    view,
)
from decortex_ops.cli.read.partitions import assign, axes, clusters, labels, split_test, tree
from decortex_ops.cli.registering import own_table, register, register_labels, register_model
from decortex_ops.cli.session import least_role

app = typer.Typer(
    name="decortex",
    help="Functional cell types of visual cortex: cluster the readout embeddings of predictive networks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.add_typer(db.app, name="db")
app.command()(db.init)
for _command in (access.grant, access.password, access.revoke, access.users):
    db.app.command()(_command)
db.app.command()(backup.backup)
db.app.command()(backup.restore)
db.app.command()(backup.rehearse)
app.add_typer(data.app, name="import")
register.app.command()(register_model.model)
register.app.command()(register_model.nnfabrik)
register.app.command()(own_table.table)
app.command()(own_table.analyse)
register.app.command()(register_labels.labels)
app.add_typer(register.app, name="register")
app.command()(plan.plan)
app.add_typer(study.app, name="study")
app.add_typer(view.app, name="view")
app.command()(run.work)
app.command()(run.schedule)
app.command()(answers.answers)
app.command()(results.status)
app.command()(results.results)
app.command()(agreement.agreement)
app.command("best-k")(results.best_k)
app.command()(tree.tree)
app.command()(clusters.clusters)
app.command()(axes.axes)
app.command()(assign.assign)
app.command("test-split")(split_test.given_partition)
app.command()(labels.labels)
app.command()(evaluate.stats)
app.command()(evaluate.price)
app.command()(compare.compare)
app.command()(figure.figure)
app.command()(report.report)
app.command()(results.errors)
app.command()(run.retry)
app.command()(results.provenance)
app.command()(recompute.recompute)
app.add_typer(export.app, name="export")
app.command("check-export")(export.check_export)
app.command()(dashboard.dashboard)
app.command()(doctor.doctor)
app.command()(store.verify)
app.command()(store.gc)
app.command()(backup.delete)
app.command()(stale.stale)


def narrowed(every: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """Commands without those that words do not name: to build all takes longer than most of them do.

    Parameters
    ----------
    every : Typer
        All commands.
    words : sequence of str
        As they stand behind the program. Where they name no command (help, a word that is none), all are kept.
    """
    first = words[0] if words else ""
    commands = [
        one
        for one in every.registered_commands
        if one.callback and first == (one.name or get_command_name(one.callback.__name__))
    ]
    groups = [one for one in every.registered_groups if one.typer_instance and one.name == first]
    if not commands and not groups:
        return every
    few = copy.copy(every)
    few.registered_commands, few.registered_groups = commands, [copy.copy(one) for one in groups]
    for group in few.registered_groups:
        group.typer_instance = narrowed(group.typer_instance, words[1:])  # type: ignore[arg-type]  # see above
    if few.registered_callback is None:
        # Typer takes one command that stands alone for the program, whose name is then no word.
        few.registered_callback = TyperInfo(callback=_nothing)
    return few


def _nothing() -> None:
    return


def _database_errors() -> tuple[type[BaseException], ...]:
    """Errors of the database layer, if a command has loaded it."""
    datajoint = sys.modules.get("datajoint.errors")
    return (pymysql.MySQLError, *([datajoint.DataJointError] if datajoint else []))


_show_others = warnings.showwarning


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
    """Say as a message what decortex warns of; other warnings are Python's."""
    if category.__name__ == "FrozenStudyChanged":
        err.print(f"warning: {message}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    else:
        _show_others(message, category, *where, **options)


def _refusal(error: BaseException) -> str | None:
    from decortex_schemas.database import server_refusal

    return server_refusal(error)


def _missing_table(error: BaseException) -> str | None:
    """Say that DataJoint met a table that is not declared; None if it is something else."""
    text = str(error.args[0]) if error.args else ""
    if not (error.__class__.__name__ == "MissingTableError" or text.endswith("is not defined.")):
        return None
    return (
        f"{text.rstrip('. ')}. A table is missing that this decortex has: run `decortex init` as an "
        "administrator, which "
        "declares it."
    )


def _explained(refusal: str) -> str:
    """Who one is, which role is needed, whom to ask."""
    from decortex_ops.admin import roles as access
    from decortex_schemas.database import read_settings

    return access.explain_refusal(read_settings(), refusal, least=least_role())


def _full_disk(error: OSError) -> str | None:
    """Say which disk of this machine is full; None if the error is another one."""
    from decortex_schemas.database import disk_is_full, store_folder

    if not disk_is_full(error):
        return None
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
    of_store = bool(name) and Path(name).absolute().is_relative_to(store_folder())
    if of_store:
        todo = "make room (`decortex gc --delete`, `decortex study remove NAME`), or give it a larger disk"
    else:
        todo = "make room, or write to another one"
    return (
        f"error: the disk of {'the store' if of_store else name or 'the output'} is full ({error}): {todo}."
    )


def main() -> None:
    """Run a command; what decortex reports itself becomes one message and exit status 1."""
    warnings.showwarning = _show_warning
    try:
        narrowed(app, sys.argv[1:])()
    except DecortexError as error:
        if os.environ.get("DECORTEX_DEBUG"):
            raise
        err.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(EXIT_FAILED)
    except _database_errors() as error:
        if os.environ.get("DECORTEX_DEBUG"):
            raise
        refused = error.__class__.__name__ == "AccessError" or error.args[:1] in [(1044,), (1142,), (1143,)]
        told = None if refused else _refusal(error) or _missing_table(error)
        if refused:
            message = _explained(str(error.args[1]))
        elif told:
            message = told if told.startswith("the disk of") else f"the server refused: {told}"
        else:
            message = f"the database refused or was lost: {error.__class__.__name__}: {error}"
        err.print(
            message,
            style="red",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        sys.exit(EXIT_FAILED)
    except BrokenPipeError:
        sys.exit(EXIT_FAILED)
    except OSError as error:
        told = _full_disk(error)
        if told is None or os.environ.get("DECORTEX_DEBUG"):
            raise
        err.print(told, style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(EXIT_FAILED)

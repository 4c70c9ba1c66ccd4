"""`decortex doctor`: one screen that says what is good and what to do where it is not."""

from __future__ import annotations

from dataclasses import asdict

import typer

from decortex_ops.cli.output import EXIT_FAILED, JsonFlag, out, print_json

_WORDS = {True: "good", False: "NOT GOOD", None: "unknown"}
_STYLES = {True: "green", False: "bold red", None: "yellow"}


def doctor(json: JsonFlag = False) -> None:
    """Check server, account, tables, store, disks, clock, software, scheduler, workers, queue and last backup.

    Nothing is written or started. Exit status 1 if anything is not good. Example: decortex doctor
    """
    from rich.markup import escape

    from decortex_ops.admin import examine

    checks = examine()
    bad = [check for check in checks if check.good is False]
    if json:
        print_json([asdict(check) for check in checks])
    else:
        for check in checks:
            word = f"[{_STYLES[check.good]}]{_WORDS[check.good]:<8}[/]"
            out.print(f"{word}  {check.name:<18}  {escape(check.found)}", highlight=False, soft_wrap=True)
            if check.todo and check.good is False:
                out.print(f"{'':30}-> {escape(check.todo)}", highlight=False, soft_wrap=True)
        out.print(
            "everything is good" if not bad else f"{len(bad)} of {len(checks)} are not good", highlight=False
        )
    if bad:
        raise typer.Exit(EXIT_FAILED)

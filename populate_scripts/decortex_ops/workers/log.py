"""What a worker or scheduler says: lines for people, or one JSON object per line for a log collector."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Literal

Format = Literal["text", "json"]


class Log:
    """Tells events.

    Parameters
    ----------
    write : callable
        Takes one line.
    form : {'text', 'json'}
        How a line looks. JSON lines hold the time (UTC), the event, the machine, the process and the event's facts;
        no password and no value of an environment variable is ever among them.
    with_time : bool
        Whether lines for people begin with the time (UTC); what runs for days writes it.
    """

    def __init__(
        self, write: Callable[[str], None], form: Format = "text", *, with_time: bool = False
    ) -> None:
        self._write = write
        self._with_time = with_time
        self._form = form

    def __call__(self, event: str, text: str, **facts: Any) -> None:
        """Tell one event.

        Parameters
        ----------
        event : str
            Its name, for machines.
        text : str
            What people read; an empty one is told to machines only.
        **facts
            What else is known: plain values.
        """
        if self._form == "text":
            if text:
                now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
                self._put(f"{now} {text}" if self._with_time else text)
            return
        line = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "event": event,
            "host": platform.node(),
            "pid": os.getpid(),
            **({"text": text} if text else {}),
            **facts,
        }
        self._put(json.dumps(line, ensure_ascii=False, default=str))

    def _put(self, line: str) -> None:
        with contextlib.suppress(OSError):  # a log whose disk is full must not cost a result
            self._write(line)


def silent(line: str) -> None:
    """Write nothing."""

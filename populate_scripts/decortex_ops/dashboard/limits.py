"""What one visitor may take: connections, unfinished requests, bodies; and which callbacks are understood."""

from __future__ import annotations

import json
import resource
from collections import Counter
from collections.abc import Mapping
from typing import Any

from waitress.server import BaseWSGIServer, create_server

# A request of the dashboard is a short address or a callback of some hundred bytes.
MOST_BODY_BYTES = 2**20
MOST_HEADER_BYTES = 64 * 2**10
# Seconds: an open connection that says nothing, and a request that is not complete.
IDLE_SECONDS = 30
UNFINISHED_SECONDS = 10
# Seconds: an answer of which nothing is taken (`IDLE_SECONDS`), and one that is not taken whole.
TAKING_SECONDS = 300
MOST_CONNECTIONS = 1000
# Descriptors that the process needs beside connections: the database's, files, the log.
_OTHER_FILES = 128


def bounded_server(application: Any, *, host: str, port: int, threads: int) -> BaseWSGIServer:
    """Make the server: bodies of more than a megabyte and slow requests are refused, nobody takes all connections.

    Parameters
    ----------
    application : WSGI application
        What answers.
    host, port : str, int
        Where it listens.
    threads : int
        Requests that are answered at the same time.

    Returns
    -------
    BaseWSGIServer
        Listening; ``run()`` serves.

    Raises
    ------
    OSError
        If the address cannot be listened on.
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = max(100, min(MOST_CONNECTIONS, (files if files > 0 else MOST_CONNECTIONS) - _OTHER_FILES))
    server: Any = create_server(
        application,
        host=host,
        port=port,
        threads=threads,
        ident=None,
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=2,
        connection_limit=most,
        max_request_body_size=MOST_BODY_BYTES,
        max_request_header_size=MOST_HEADER_BYTES,
        asyncore_use_poll=True,
    )
    _bound(server, most_per_address=most // 2)
    return server


def _bound(server: Any, *, most_per_address: int) -> None:
    """Close requests that stay unfinished, answers that nobody takes, and what an address holds above half of all."""
    began: dict[int, float] = {}
    answered: dict[int, float] = {}
    idle_ones = server.maintenance
    channel_class = server.channel_class

    def maintenance(now: float) -> None:
        idle_ones(now)
        unfinished = {
            number: channel
            for number, channel in server.active_channels.items()
            if channel.request is not None and not channel.requests
        }
        for number in set(began) - set(unfinished):
            del began[number]
        for number, channel in unfinished.items():
            if now - began.setdefault(number, now) > UNFINISHED_SECONDS:
                channel.will_close = True
        _close_untaken(server.active_channels, answered, now)

    def open_channel(owner: Any, connection: Any, address: Any, adjustments: Any, map: Any) -> None:
        held = Counter(channel.addr[0] for channel in server.active_channels.values() if channel.addr)
        if address and held[address[0]] >= most_per_address:
            connection.close()
            return
        channel_class(owner, connection, address, adjustments, map=map)

    server.maintenance = maintenance
    server.channel_class = open_channel


def _close_untaken(channels: Mapping[int, Any], answered: dict[int, float], now: float) -> None:
    """Close connections whose answers lie here: waitress closes one that can be written to, and these never can.

    Parameters
    ----------
    channels : mapping
        Waitress' open connections.
    answered : dict
        Since when each has had something to take; brought up to date.
    now : float
        Seconds since 1970.
    """
    waiting = {number: channel for number, channel in channels.items() if channel.total_outbufs_len}
    for number in set(answered) - set(waiting):
        del answered[number]
    for number, channel in waiting.items():
        since = answered.setdefault(number, now)
        if now - channel.last_activity > IDLE_SECONDS or now - since > TAKING_SECONDS:
            channel.handle_close()


def callback_problem(body: bytes, callbacks: Mapping[str, Mapping[str, Any]]) -> str | None:
    """What is wrong with a request for a callback; None where Dash can answer it.

    Parameters
    ----------
    body : bytes
        What was sent.
    callbacks : mapping
        Dash's own list of callbacks by output.

    Returns
    -------
    str or None
        In words, for a client.
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return "the body is not JSON"
    if not isinstance(asked, dict) or not isinstance(asked.get("output"), str):
        return "expected an object with the key 'output'"
    known = callbacks.get(asked["output"])
    if known is None or known["inputs_state_indices"] is None:
        return "there is no such output"
    if not isinstance(asked.get("outputs", []), dict | list):
        return "'outputs' should be a list"
    problems = (_values_problem(part, asked.get(part, []), known[part]) for part in ("inputs", "state"))
    return next((one for one in problems if one), _changed_problem(asked.get("changedPropIds", [])))


def _changed_problem(changed: object) -> str | None:
    if isinstance(changed, list) and all(isinstance(one, str) for one in changed):
        return None
    return "'changedPropIds' should be a list of texts"


def _values_problem(part: str, given: object, expected: list[Mapping[str, Any]]) -> str | None:
    names = [(one["id"], one["property"]) for one in expected]
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        return f"'{part}' should be a list of objects"
    if [(one.get("id"), one.get("property")) for one in given] != names:
        return f"'{part}' should be {', '.join(f'{who}.{what}' for who, what in names) or 'empty'}"
    for one in given:
        if one["id"] == "url" and not isinstance(one.get("value"), str | None):
            return f"the value of url.{one['property']} should be a text"
    return None

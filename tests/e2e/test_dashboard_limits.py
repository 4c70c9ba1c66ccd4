"""The dashboard's server under visitors who send half a request, slowly, or fifty megabytes."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

from decortex_ops.dashboard import limits
from decortex_ops.dashboard.limits import bounded_server

LARGE = 30 * 2**20  # more than sockets hold


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A running server with an application that answers at once."""
    for name, seconds in {"UNFINISHED_SECONDS": 3, "IDLE_SECONDS": 3, "TAKING_SECONDS": 6}.items():
        monkeypatch.setattr(limits, name, seconds)

    def application(asked: dict[str, str], start: object) -> list[bytes]:
        answer = bytes(LARGE) if asked["PATH_INFO"] == "/large" else b"ok\n"
        start("200 OK", [("Content-Length", str(len(answer)))])  # type: ignore[operator]
        return [answer]

    server = bounded_server(application, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield int(server.effective_port)
    server.close()


def answers(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=120) as answer:
        return bool(answer.status == 200)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=120)


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed a connection that does not block."""
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_150_half_sent_requests_keep_nobody_out(port: int) -> None:
    held = [connect(port) for _ in range(150)]
    for one in held:
        one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    assert answers(port)
    for one in held:  # and they are closed before long
        one.settimeout(120)
        assert one.recv(1) == b""
        one.close()


def test_a_request_that_trickles_is_closed(port: int) -> None:
    one = connect(port)
    one.settimeout(0.2)
    one.sendall(b"GET / HTTP/1.1\r\nX: ")
    began = time.monotonic()
    closed = False
    while not closed and time.monotonic() - began < 120:
        try:
            one.sendall(b"x")
            closed = one.recv(1) == b""
        except TimeoutError:
            continue
        except OSError:
            closed = True
    assert closed
    assert answers(port)


def test_one_address_cannot_hold_every_connection(port: int) -> None:
    held = [connect(port) for _ in range(600)]
    for one in held:
        one.setblocking(False)
    deadline = time.monotonic() + 120
    while not (refused := sum(is_closed(one) for one in held)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for one in held[: refused + 5]:
        one.close()
    for one in held:
        one.close()
    deadline = time.monotonic() + 120
    while True:
        try:
            assert answers(port)
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def taken(one: socket.socket, *, pause: float) -> int:
    """Take what comes of an answer, with pauses, until the connection ends; returns the number of bytes."""
    n_bytes, one_piece = 0, 2**16
    with contextlib.suppress(ConnectionError):
        while piece := one.recv(one_piece):
            n_bytes += len(piece)
            time.sleep(pause)
    return n_bytes


def test_an_answer_that_nobody_takes_is_given_up(port: int) -> None:
    """Waitress kept it, and the connection, for as long as the client did: a socket that is full is never writable."""
    held = [connect(port) for _ in range(6)]  # more than there are threads
    for one in held:
        one.settimeout(60)
        one.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answers(port)
    time.sleep(8)
    for one in held:  # what the sockets held is all that comes
        assert taken(one, pause=0) < LARGE
        one.close()


def test_an_answer_that_is_taken_too_slowly_is_given_up(port: int) -> None:
    one = connect(port)
    one.settimeout(60)
    one.sendall(b"GET /large HTTP/1.0\r\n\r\n")
    assert taken(one, pause=0.1) < LARGE
    assert answers(port)


@pytest.mark.parametrize("length", [b"Content-Length: 52428800", b"Transfer-Encoding: chunked"])
def test_a_body_of_fifty_megabytes_is_refused_before_it_is_sent(port: int, length: bytes) -> None:
    one = connect(port)
    one.sendall(b"POST /_dash-update-component HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n")
    sent = 0
    try:
        if b"chunked" in length:
            while sent < 50:
                one.sendall(b"100000\r\n" + bytes(2**20) + b"\r\n")
                sent += 1
    except OSError:
        pass
    assert sent < 50
    one.settimeout(120)
    try:
        assert one.recv(64).startswith(b"HTTP/1.1 413")
    except ConnectionError:
        assert sent > 0  # closed while more was on its way
    one.close()
    assert answers(port)

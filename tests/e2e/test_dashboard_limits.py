"""The dashboard's server under visitors who send half a request, slowly, or fifty megabytes."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

from decortex_ops.dashboard import limits
from decortex_ops.dashboard.limits import bounded_server


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A running server with an application that answers at once."""
    monkeypatch.setattr(limits, "UNFINISHED_SECONDS", 3)

    def application(_: object, start: object) -> list[bytes]:
        start("200 OK", [("Content-Length", "3")])  # type: ignore[operator]
        return [b"ok\n"]

    server = bounded_server(application, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield int(server.effective_port)
    server.close()


def answers(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
        return bool(answer.status == 200)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def test_150_half_sent_requests_keep_nobody_out(port: int) -> None:
    held = [connect(port) for _ in range(150)]
    for one in held:
        one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    assert answers(port)
    for one in held:  # and they are closed before long
        one.settimeout(20)
        assert one.recv(1) == b""
        one.close()


def test_a_request_that_trickles_is_closed(port: int) -> None:
    one = connect(port)
    one.settimeout(0.2)
    one.sendall(b"GET / HTTP/1.1\r\nX: ")
    began = time.monotonic()
    closed = False
    while not closed and time.monotonic() - began < 30:
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
    held = []
    refused = 0
    for _ in range(600):
        one = connect(port)
        held.append(one)
        one.setblocking(False)
    time.sleep(1)
    for one in held:
        try:
            refused += one.recv(1) == b""
        except BlockingIOError:
            continue
        except ConnectionError:
            refused += 1
    assert refused > 0
    for one in held[: refused + 5]:
        one.close()
    for one in held:
        one.close()
    deadline = time.monotonic() + 20
    while True:
        try:
            assert answers(port)
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


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
    one.settimeout(10)
    try:
        assert one.recv(64).startswith(b"HTTP/1.1 413")
    except ConnectionError:
        assert sent > 0  # closed while more was on its way
    one.close()
    assert answers(port)

"""A worker's signals: statements and their answers stay in order whatever moment a signal comes at."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from decortex_ops.workers import postponed, whole_statements
from decortex_schemas.database import open_connection, read_settings


class Interrupted(BaseException):
    """What the handlers of this test raise."""


@pytest.fixture
def interrupted_here() -> Iterator[None]:
    def raising(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGTERM, raising)
    yield
    signal.signal(signal.SIGTERM, before)


def disturbed(done: list[str], error: Exception | None = None) -> None:
    with postponed():
        signal.raise_signal(signal.SIGTERM)
        done.append("the rest of the block")
        if error is not None:
            raise error


def test_a_signal_takes_effect_after_the_block(interrupted_here: None) -> None:
    done: list[str] = []
    with pytest.raises(Interrupted):
        disturbed(done)
    assert done


def test_the_error_of_the_block_is_not_lost(interrupted_here: None) -> None:
    with pytest.raises(Interrupted) as raised:
        disturbed([], ValueError())
    assert isinstance(raised.value.__context__, ValueError)


def test_answers_belong_to_their_statements_under_signals(database: Any) -> None:
    connection = open_connection(read_settings())
    pauses = random.Random(0)
    ended = threading.Event()
    raises = [False]  # signals outside the block below are nobody's: pytest would end by them

    def raising(number: int, frame: FrameType | None) -> None:
        if raises[0]:
            raises[0] = False
            raise Interrupted

    def disturb() -> None:
        while not ended.is_set():
            time.sleep(pauses.uniform(0.0001, 0.003))
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    thread = threading.Thread(target=disturb)
    interruptions, asked, answered = 0, 0, 0
    before = signal.signal(signal.SIGTERM, raising)
    try:
        with whole_statements(connection):
            thread.start()
            while interruptions < 200:
                try:
                    raises[0] = True
                    asked += 1
                    assert connection.query("SELECT %s", args=(asked,)).fetchone() == (asked,)
                    answered += 1
                    raises[0] = False
                except Interrupted:
                    interruptions += 1
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGTERM, before)
    connection.close()
    assert answered > 100  # most signals fall inside a statement and take effect after it

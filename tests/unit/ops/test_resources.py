"""What a worker says of its own memory."""

from __future__ import annotations

from programs import run_program


def test_the_memory_of_the_process_that_started_a_worker_is_not_its_own() -> None:
    held = run_program("memory_of_a_child").stdout
    assert 0 < int(held) < 2**29

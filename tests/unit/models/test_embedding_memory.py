"""Readout weights that stay in memory: read once, never those of another network, within their bytes."""

from __future__ import annotations

import numpy as np

from decortex_schemas.tables.networks.embedding_memory import EmbeddingMemory


def test_what_is_kept_is_not_read_again_and_cannot_be_changed_by_readers():
    memory, made = EmbeddingMemory(max_bytes=100), []
    for _ in range(3):
        found = memory.get("a", lambda: made.append("a") or np.ones(4, dtype=np.float32))
        assert found.tolist() == [1, 1, 1, 1]
        found[:] = 7
    assert made == ["a"]


def test_the_one_that_was_asked_for_least_recently_goes_first():
    memory, made = EmbeddingMemory(max_bytes=32), []

    def get(name):
        return memory.get(name, lambda: made.append(name) or np.full(4, ord(name), dtype=np.float32))

    for name in "abacba":
        assert get(name)[0] == ord(name)
    assert made == ["a", "b", "c", "b", "a"]
    large = [memory.get("large", lambda: np.zeros(9, dtype=np.float32)) for _ in range(2)]
    assert [len(one) for one in large] == [9, 9]
    get("a")
    assert made[-1] == "a"
    assert len(made) == 5  # an array that is too large pushes nothing out

"""Values that stay in memory: computed once, never those of another key, within their bytes."""

from __future__ import annotations

from decortex.least_recently_used import LeastRecentlyUsed


def test_the_one_that_was_asked_for_least_recently_goes_first():
    kept, made = LeastRecentlyUsed(max_bytes=2, size=len), []

    def recall(key):
        return kept.recall(key, lambda: made.append(key) or key.encode())

    for key in "aabacba":
        assert recall(key) == key.encode()
    assert made == ["a", "b", "c", "b", "a"]
    assert kept.n_bytes == 2
    assert [kept.recall("large", lambda n=n: bytes(n)) for n in (3, 4)] == [bytes(3), bytes(4)]
    recall("a")
    recall("b")
    assert len(made) == 5  # a value that is too large pushes nothing out

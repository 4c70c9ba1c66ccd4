"""One of the five answers about a study, and the five verdicts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One of the five answers about a study.

    Parameters
    ----------
    question : str
    answer : str
        One of `ANSWERS`.
    sentence : str
        In plain words, with the numbers and what they are compared with.
    effect, low, high : float or None
        The number that carries the answer, and its interval or range; the sentence says which.
    measure : str or None
        What the number is, in words; None where there is no number.
    compared_with : str or None
        Null, chance or control; None where there is no number.
    n_networks, n_sessions, n_animals : int
    missing : str or None
        What it would take to say more.
    """

    question: str
    answer: str
    sentence: str
    effect: float | None
    low: float | None
    high: float | None
    measure: str | None
    compared_with: str | None
    n_networks: int
    n_sessions: int
    n_animals: int
    missing: str | None


# One mark per verdict, so that verdicts differ in shape and not in colour alone.
MARKS = {
    "established": "●",
    "in these sessions": "◐",
    "not established": "○",
    "undecided": "?",
    "not asked": "–",
}
ANSWERS = tuple(MARKS)

"""What is known of a column: its heading, meaning, decimals and better direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", ""]


@dataclass(frozen=True)
class Column:
    """How one column is called and written.

    Parameters
    ----------
    heading : str
        In words, for pages, reports and axes.
    meaning : str
        One line of a legend; empty where the heading says it.
    digits : int or None
        Decimals of a number; None for counts and words.
    better : {'higher', 'lower', ''}
        Which direction is better, where one is.
    is_p : bool
        Whether it is a p-value.
    """

    heading: str
    meaning: str = ""
    digits: int | None = 3
    better: Better = ""
    is_p: bool = False


def higher(heading: str, meaning: str = "", digits: int = 3) -> Column:
    """Build a number of which higher is better."""
    return Column(heading, meaning, digits, "higher")


def word(heading: str, meaning: str = "") -> Column:
    """Build a count, a name or a verdict."""
    return Column(heading, meaning, None)


def p_value(heading: str, meaning: str = "") -> Column:
    """Build a p-value."""
    return Column(heading, meaning, 4, "", is_p=True)

"""Names that somebody gives: one, or several; a single one is no sequence of letters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from decortex.errors import InputError


def names_of(given: str | Iterable[str] | None, what: str) -> tuple[str, ...]:
    """Names as a tuple, where one alone may be given as it is.

    Parameters
    ----------
    given : str or iterable of str, optional
        One name or several; None: none.
    what : str
        What messages call them.

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        If one of them is no text.

    Examples
    --------
    >>> names_of("Cre line", "labels"), names_of(["depth", "rate"], "scores"), names_of(None, "ignore")
    (('Cre line',), ('depth', 'rate'), ())
    """
    names: tuple[Any, ...]
    if given is None:
        names = ()
    elif isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        names = (given,)
    else:
        names = tuple(given)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise InputError(
            f"{what} should be a name or several, as 'depth' or ('depth', 'rate'), but holds {wrong[0]!r}"
            f" ({type(wrong[0]).__name__}). Give names as text."
        )
    return names

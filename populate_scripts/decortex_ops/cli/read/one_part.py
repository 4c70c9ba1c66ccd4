"""One table of an answer by itself, as `--part` names it: its sentence first, its legend last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from decortex.columns import written
from decortex_ops.cli.legends import answer_of, print_legend, say, several
from decortex_ops.cli.output import out, print_rows

Rows = Sequence[Mapping[str, Any]]
# Where rows differ in one of these it stands before the table's own columns.
_NAMES = ("dataset", "model", "embedding")


def print_part_of(
    study: str,
    rows: Rows,
    part: str,
    *,
    parts: Mapping[str, tuple[Sequence[str], str]],
    question: int,
    empty: str,
    sentences: Mapping[str, Callable[[Rows], str]] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Print the named table of an answer: under a sentence of its own if it has one, else under that of the answer."""
    columns, title = parts[part]
    own = (sentences or {}).get(part)
    sentence = own(rows) if own and rows else answer_of(study, question)
    print_part(sentence, rows, columns, title=f"study {study}: {title}", empty=empty, notes=notes)


def print_part(
    sentence: str, rows: Rows, columns: Sequence[str], *, title: str, empty: str, notes: Sequence[str] = ()
) -> None:
    """Print one table of an answer, with the names that tell its rows apart; notes stand between it and its legend."""
    apart = [name for name in _NAMES if name not in columns and len({row.get(name) for row in rows}) > 1]
    if rows:
        say(sentence)
    print_rows(rows, [*apart, *columns], title=title, empty=empty)
    if rows:
        for note in notes:
            out.print(note, highlight=False, markup=False, soft_wrap=True)
        print_legend([*apart, *columns])


def detectable_sentence(rows: Rows) -> str:
    """Which change of the agreement between networks a study would have detected.

    Examples
    --------
    >>> detectable_sentence([{"n_networks": 2, "detectable": None, "planted_share": None}])
    'No change of the agreement would have been detected: that takes three fine-tuned networks or more.'
    """
    known = [row["detectable"] for row in rows if row["detectable"] is not None]
    if not known:
        return "No change of the agreement would have been detected: that takes three fine-tuned networks or more."
    seen = sum(row["planted_share"] is not None for row in rows)
    return (
        f"A change of the agreement between networks of {_span('detectable', known)} would have been detected in "
        f"80 % of such studies; types planted into the fine-tuned partitions are seen in {seen} of "
        f"{several(len(rows), 'row')}."
    )


def generators_sentence(rows: Rows) -> str:
    """In how many fine-tuned states agreement rose over all generators; own labels beside the carried start too."""
    tuned = [row for row in rows if row["state"].startswith("fine_tuned")]
    own = [
        row for row in tuned if row["ari_networks_over_carried"] is not None and row["state"] == "fine_tuned"
    ]
    above = {
        name: sum((row[f"{name}_low"] or 0.0) > 0 for row in some)
        for name, some in (
            ("ari_networks_gain", tuned),
            ("ari_truth_gain", tuned),
            ("ari_networks_over_carried", own),
        )
    }
    carried = (
        f" Own labels of {above['ari_networks_over_carried']} of {several(len(own), 'fine-tuning')} agree more than "
        "the start's partition carried to the control, which begins from the same labels."
        if own
        else ""
    )
    return (
        f"Over {several(max(row['n_generators'] for row in rows), 'generator')}, {above['ari_networks_gain']} of "
        f"{several(len(tuned), 'fine-tuned state')} agree more between networks than the control clustered afresh by "
        f"the start's method, and {above['ari_truth_gain']} more with the known types (95 % interval over generators "
        f"above zero).{carried}"
    )


def shared_sentence(rows: Rows) -> str:
    """What the shared labellings are, and how near they come to the votes."""
    whose = ("dataset", "model", "embedding", "k")
    n = len({tuple(row[name] for name in whose) for row in rows})
    votes = [row["ari_vote"] for row in rows if row["ari_vote"] is not None]
    near = f" Their ARI with the votes is {_span('ari_vote', votes)}." if votes else ""
    return (
        f"{several(n, 'labelling')} that all networks share by construction: agreement between networks does not "
        "judge them; known types do, the votes, and what every network's linear classifier cannot tell."
        f"{near}"
    )


def _span(name: str, values: Sequence[float]) -> str:
    low, high = written(name, min(values)), written(name, max(values))
    return low if low == high else f"{low} to {high}"

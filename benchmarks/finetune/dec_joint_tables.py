"""What the rows of `dec_joint.py` say, as Markdown: all of it, or a line for each condition."""

from __future__ import annotations

import json
from typing import Any

from dec_joint_summary import MEASURES, STARTS, WHERE, Row, choose, gains, summarise

from decortex.finetune import OWN_LABELS


def tables(rows: list[Row]) -> str:
    """Summary, gains and choice as Markdown, one pair of tables a group."""
    summary, differences = summarise(rows), gains(rows)
    lines: list[str] = []
    for where in dict.fromkeys(_where(row) for row in summary):
        lines += ["", ", ".join(f"{name} {value}" for name, value in zip(WHERE, where, strict=True)), ""]
        lines += _markdown(
            ("variant", "state", "method", "n_generators", *MEASURES, "moved", "statuses"),
            [row for row in summary if _where(row) == where],
        )
        lines += ["", "Differences within populations (95 %; seen with probability .8)", ""]
        lines += _markdown(
            ("variant", "of", "against", "n_generators", "interval_over", *MEASURES),
            [
                {**row, **{name: _with_interval(row, name) for name in MEASURES}}
                for row in differences
                if _where(row) == where
            ],
        )
    chosen = [json.dumps(row) for row in choose(summary)]
    return "\n".join([*lines, "", *chosen])


def brief(rows: list[Row]) -> str:
    """A line for each condition and variant, and one for each condition's plain methods; groups as in `tables`.

    Own labels against k-means on the control, which was named beforehand, and against the method that made the
    partition they start from, on the start; the fine-tuned network clustered afresh against the control, by the same
    method.
    """
    summary, differences = summarise(rows), gains(rows)
    found = {
        (*_where(row), row["variant"], row["against"]): row
        for row in differences
        if row["of"] == "own labels"
    }
    lines = ["Own labels: differences within populations (95 %; seen with probability .8)", ""]
    variants: list[Row] = []
    for row in summary:
        if row["method"] != OWN_LABELS:
            continue
        start = STARTS.get(row["variant"], "kmeans")
        control, before = (
            found.get((*_where(row), row["variant"], against))
            for against in ("control kmeans", f"start {start}")
        )
        variants.append(
            {
                **row,
                **{
                    f"{name} (control k-means)": _difference(control, name) for name in ("agreement", "truth")
                },
                **{f"{name} (start)": _difference(before, name) for name in ("agreement", "truth")},
            }
        )
    measures = [
        f"{name}{of}" for name in ("agreement", "truth") for of in ("", " (control k-means)", " (start)")
    ]
    lines += _markdown((*WHERE, "variant", "n_generators", *measures, "retained", "moved"), variants)
    lines += ["", "Plain methods: agreement of networks, ARI with the types", ""]
    plain: dict[tuple[Any, ...], Row] = {}
    for row in summary:
        if row["variant"] == "none":
            one = plain.setdefault(
                (*_where(row), row["state"]), {name: row[name] for name in (*WHERE, "state", "retained")}
            )
            one[row["method"]] = f"{_cell(row['agreement'])}, {_cell(row['truth'])}"
    methods = list(dict.fromkeys(row["method"] for row in summary if row["variant"] == "none"))
    lines += _markdown((*WHERE, "state", *methods, "retained"), list(plain.values()))
    lines += ["", "Clustered afresh, against the control by the same method", ""]
    afresh = [
        {**row, **{name: _with_interval(row, name) for name in ("agreement", "truth")}}
        for row in differences
        if row["of"].startswith("afresh")
    ]
    lines += _markdown((*WHERE, "variant", "against", "n_generators", "agreement", "truth"), afresh)
    lines += [
        "",
        "The same over all conditions and variants: mean (least, most); intervals above 0, below 0",
        "",
    ]
    return "\n".join(
        [*lines, *_over_conditions([row for row in differences if row["of"].startswith("afresh")])]
    )


def _over_conditions(afresh: list[Row]) -> list[str]:
    """Differences of every core and method over its conditions and variants, which may share populations."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in afresh:
        groups.setdefault((row["core"], row["against"]), []).append(row)
    lines = []
    for (core, against), found in groups.items():
        line: Row = {"core": core, "against": against, "n": len(found)}
        for name in ("agreement", "truth"):
            known = [row for row in found if row[name] is not None]
            values = [row[name] for row in known]
            if known:
                line[name] = f"{sum(values) / len(values):+.3f} ({min(values):+.3f}, {max(values):+.3f})"
            line[f"{name}: above, below"] = ", ".join(
                str(sum(row[end] is not None and sign * row[end] > 0 for row in known))
                for end, sign in ((f"{name}_low", 1), (f"{name}_high", -1))
            )
        lines.append({"agreement": None, "truth": None, **line})
    columns = ("core", "against", "n", "agreement", "agreement: above, below", "truth", "truth: above, below")
    return _markdown(columns, lines)


def _where(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in WHERE)


def _difference(row: Row | None, name: str) -> str:
    return "–" if row is None else _with_interval(row, name)


def _markdown(names: tuple[str, ...], rows: list[Row]) -> list[str]:
    cells = [" | ".join(_cell(row[name]) for name in names) for row in rows]
    return ["| " + " | ".join(names) + " |", "|---" * len(names) + "|", *(f"| {cell} |" for cell in cells)]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _with_interval(row: Row, name: str) -> str:
    low, high, seen = (row[f"{name}_{end}"] for end in ("low", "high", "detectable"))
    if row[name] is None or low is None:
        return _cell(row[name])
    return f"{row[name]:+.3f} ({low:+.3f} to {high:+.3f}; {seen:.3f})"

"""What the rows of `dec_joint.py` say, as Markdown: all of it, or a line for each condition."""

from __future__ import annotations

import json
from typing import Any

from dec_joint_summary import (
    CARRIED,
    CONDITION,
    FOLLOWED,
    MEASURES,
    MIXTURE,
    OF_BOTH,
    STARTS,
    WHERE,
    Row,
    choose,
    contrasts,
    gains,
    over_conditions,
    summarise,
)

from decortex.finetune import OWN_LABELS

# Measures of `brief`.
SHOWN = ("agreement", "truth")


def tables(rows: list[Row]) -> str:
    """Summary, gains and choice as Markdown, one pair of tables a group."""
    summary, differences = summarise(rows), gains(rows)
    lines: list[str] = []
    for where in dict.fromkeys(_group(row) for row in summary):
        lines += ["", ", ".join(f"{name} {value}" for name, value in zip(WHERE, where, strict=True)), ""]
        lines += _markdown(
            ("variant", "state", "method", "n_generators", *MEASURES, "moved", "statuses"),
            [row for row in summary if _group(row) == where],
        )
        lines += ["", "Differences within populations (95 %; seen with probability .8)", ""]
        lines += _markdown(
            ("variant", "of", "against", "n_generators", "interval_over", *MEASURES),
            [
                {**row, **{name: _with_interval(row, name) for name in MEASURES}}
                for row in differences
                if _group(row) == where
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
        (*_group(row), row["variant"], row["against"]): row
        for row in differences
        if row["of"] == "own labels"
    }
    lines = ["Own labels: differences within populations (95 %; seen with probability .8)", ""]
    variants: list[Row] = []
    for row in summary:
        if row["method"] == OWN_LABELS:
            start = f"start {STARTS.get(row['variant'], 'kmeans')}"
            against = {"control k-means": "control kmeans", "start": start}
            gained = {
                f"{name} ({column})": _with_interval(found.get((*_group(row), row["variant"], which)), name)
                for name in SHOWN
                for column, which in against.items()
            }
            variants.append({**row, **gained})
    measures = [f"{name}{of}" for name in SHOWN for of in ("", " (control k-means)", " (start)")]
    kept = ("retained_validation", "retained", "moved")
    lines += _markdown((*WHERE, "variant", "n_generators", *measures, *kept), variants)
    lines += _without_loss(variants, found)
    begun = [row for row in differences if row["of"].startswith((CARRIED, MIXTURE))]
    if begun:
        lines += [
            "",
            "What begins from the start's partition and needs no loss, against start and control",
            "",
        ]
        lines += _markdown(
            (*WHERE, "of", "against", "n_generators", *SHOWN),
            [{**row, **{name: _with_interval(row, name) for name in SHOWN}} for row in begun],
        )
    lines += ["", "Plain methods: agreement of networks, ARI with the types", ""]
    plain: dict[tuple[Any, ...], Row] = {}
    for row in summary:
        if row["variant"] == "none":
            one = plain.setdefault(
                (*_group(row), row["state"]), {name: row[name] for name in (*WHERE, "state", "retained")}
            )
            one[row["method"]] = f"{_cell(row['agreement'])}, {_cell(row['truth'])}"
    methods = list(dict.fromkeys(row["method"] for row in summary if row["variant"] == "none"))
    lines += _markdown(
        (*WHERE, "state", *methods, "retained"), [{**dict.fromkeys(methods), **one} for one in plain.values()]
    )
    lines += ["", "Clustered afresh, against the control by the same method", ""]
    afresh = [row for row in differences if row["of"].startswith("afresh")]
    levels = {
        (*_group(row), row["variant"], row["method"]): {f"{name} itself": row[name] for name in SHOWN}
        for row in summary
        if row["state"] == "fine_tuned_afresh"
    }
    shown = [
        {
            **row,
            **{name: _with_interval(row, name) for name in SHOWN},
            **levels[(*_group(row), row["variant"], row["of"].removeprefix("afresh "))],
        }
        for row in afresh
    ]
    itself = [f"{name} itself" for name in SHOWN]
    lines += _markdown((*WHERE, "variant", "against", "n_generators", *SHOWN, *itself), shown)
    lines += [
        "",
        "The same over spreads, m, K and variants: mean (least, most); intervals above 0, below 0",
        "",
    ]
    lines += _over_conditions(afresh)
    over = over_conditions(rows)
    if over:
        kind = tuple(name for name in WHERE if name not in CONDITION)
        lines += ["", "Means over conditions within generators (95 % over generators that have all)", ""]
        lines += _markdown(
            (*kind, "variant", "of", "against", "over", "n_conditions", "n_generators", *MEASURES),
            [{**row, **{name: _with_interval(row, name) for name in MEASURES}} for row in over],
        )
    both = [{**row, "agreement": _with_interval(row, "agreement")} for row in contrasts(rows)]
    if both:
        lines += ["", "Differences of agreement with types, less the same without (95 % over generators)", ""]
        lines += _markdown((*OF_BOTH, "variant", "of", "against", "n_generators", "agreement"), both)
    return "\n".join(lines)


def _without_loss(variants: list[Row], found: dict[tuple[Any, ...], Row]) -> list[str]:
    """Own labels against the control by the method of their start, and against what begins there without a loss."""
    lines = []
    for row in variants:
        start = STARTS.get(row["variant"], "kmeans")
        against = {
            "control by the start's method": f"control {start}",
            "carried to the control": f"{CARRIED} {start}",
            "mixture at the start": f"{MIXTURE} {start}",
            "mixture that follows": f"own labels of {FOLLOWED}",
        }
        gained = {
            f"{name} ({column})": _with_interval(found.get((*_group(row), row["variant"], which)), name)
            for name in SHOWN
            for column, which in against.items()
        }
        betas = row["betas"]
        weights = f"{betas[len(betas) // 2]:.3g} ({betas[0]:.3g} to {betas[-1]:.3g})" if betas else None
        lines.append({**row, **gained, "weight: median (range)": weights})
    columns = [name for name in (lines[0] if lines else ()) if "(" in name and name not in variants[0]]
    return [
        "",
        "Own labels against partitions that need no loss (95 %; seen with probability .8)",
        "",
        *_markdown((*WHERE, "variant", *columns), lines),
    ]


def _over_conditions(afresh: list[Row]) -> list[str]:
    """Differences of every kind of population and method over its conditions, which may share generators."""
    kind = tuple(name for name in WHERE if name not in CONDITION)
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in afresh:
        groups.setdefault((*(row[name] for name in kind), row["against"]), []).append(row)
    lines = []
    for key, found in groups.items():
        line: Row = {**dict(zip((*kind, "against"), key, strict=True)), "n": len(found)}
        for name in SHOWN:
            values = [row[name] for row in found if row[name] is not None]
            line[name] = (
                f"{sum(values) / len(values):+.3f} ({min(values):+.3f}, {max(values):+.3f})"
                if values
                else None
            )
            above = sum((row[f"{name}_low"] or 0) > 0 for row in found)
            below = sum((row[f"{name}_high"] or 0) < 0 for row in found)
            line[f"{name}: above, below"] = f"{above}, {below}"
        lines.append(line)
    columns = [column for name in SHOWN for column in (name, f"{name}: above, below")]
    return _markdown((*kind, "against", "n", *columns), lines)


def _group(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in WHERE)


def _markdown(names: tuple[str, ...], rows: list[Row]) -> list[str]:
    cells = [" | ".join(_cell(row[name]) for name in names) for row in rows]
    return ["| " + " | ".join(names) + " |", "|---" * len(names) + "|", *(f"| {cell} |" for cell in cells)]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _with_interval(row: Row | None, name: str) -> str:
    if row is None:
        return _cell(None)
    low, high, seen = (row.get(f"{name}_{end}") for end in ("low", "high", "detectable"))
    if row[name] is None or low is None:
        return _cell(row[name])
    return f"{row[name]:+.3f} ({low:+.3f} to {high:+.3f}{'' if seen is None else f'; {seen:.3f}'})"

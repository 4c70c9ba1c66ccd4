"""How a choice of K is printed: the decision, one row per K, what single criteria and people say."""

from __future__ import annotations

from typing import Any

from decortex_ops.cli.output import cell, out, print_rows
from decortex_ops.reports import curve_rows


def print_selection(one: dict[str, Any]) -> None:
    """Print one row of `queries.best_k`."""
    for text in types_said(one):
        out.print(text, highlight=False, markup=False, soft_wrap=True)
    rows, columns = curve_rows(one)
    decision = "no K is supported" if one["decision"] is None else f"K = {one['decision']}"
    print_rows(
        rows,
        columns,
        title=f"{one['dataset']}, {one['model']}, {one['embedding']}, {one['method_name']}: {decision}"
        f" ({one['reason']})",
    )
    single = ", ".join(f"{name} {'none' if k is None else k}" for name, k in sorted(one["single"].items()))
    lines = [f"single criteria: {single}"]
    if len(one["networks"]) > 1:
        alone = ", ".join(
            f"{own['model_seed']}: {cell(own['decision'])} ({own['reason']})" for own in one["networks"]
        )
        lines.append(f"each network alone, by seed: {alone}")
    lines += [
        f"{own['person']} chose {'none' if own['choice'] is None else own['choice']}: {own['why']}"
        for own in one["persons"]
    ]
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print()


def types_said(one: dict[str, Any]) -> list[str]:
    """Types that stand apart in each network of one row of `queries.best_k`: the first thing to read of it."""
    several = len({own["spec"] for own in one["types"]}) > 1
    said = [
        f"network {own['model_seed']}{', ' + own['spec'] if several else ''}: {own['sentence']}"
        for own in one["types"]
    ]
    if one["decision"] is None and any(own["status"] == "types" for own in one["types"]):
        said.append(
            "'no K is supported', below, says nothing against them: that rule refuses few, clear types."
        )
    return said


def selection_rows(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every value of `queries.best_k` as a row of its own: one per choice, K, criterion and null model.

    ``null_kind`` and what belongs to it are None for the criterion itself.
    """
    rows = []
    for one in found:
        whose = {
            name: one[name] for name in ("dataset", "model", "embedding", "method_name", "decision", "reason")
        }
        for count in one["counts"]:
            head = {**whose, "k": count["k"], "supported": count["supported"]}
            nothing = dict.fromkeys(("null_kind", "null_mean", "null_low", "null_high", "z", "p"))
            for criterion, measured in count["values"].items():
                rows.append({**head, "criterion": criterion, **measured, **nothing})
            for criterion, kinds in count["excess"].items():
                for kind, null in kinds.items():
                    bounds = {name: null[name] for name in list(nothing)[1:]}
                    value = {"value": null["observed"], "low": None, "high": None}
                    own = {"n_used": null["n_used"], "status": null["status"], "null_kind": kind}
                    rows.append({**head, "criterion": criterion, **value, **own, **bounds})
    return rows

"""One page about a frozen study: answers, figures, tables, methods and provenance, without a host of its own."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from decortex.columns import COLUMNS, written
from decortex.config import canonical_json
from decortex.errors import ConfigError, InputError
from decortex.figures import figure_bytes
from decortex_ops.reports.agreement_text import communities_sentence, geometry_sentence
from decortex_ops.reports.columns import (
    COMMUNITY_COLUMNS,
    GEOMETRY_COLUMNS,
    LABEL_PARTITIONS_COLUMNS,
    RESULT_COLUMNS,
    SHARED_COLUMNS,
    STATES_COLUMNS,
    STATS_COLUMNS,
    SUMMARY_COLUMNS,
    TABLE_SCORE_COLUMNS,
    parts,
)
from decortex_ops.reports.composites import clusters_parts
from decortex_ops.reports.figures import OF_TYPES, draw_figure
from decortex_ops.reports.k_table import curve_rows
from decortex_ops.reports.methods_text import flat, methods_text
from decortex_schemas import queries
from decortex_schemas.queries.answering import MARKS
from decortex_schemas.tables import changes_since_freezing, looking_once, say_changes

Row = dict[str, Any]

# Of what there is a figure for every K or variant, so many are drawn; the tables hold all.
MOST_FIGURES = 3


@dataclass(frozen=True)
class Picture:
    """A figure inside the page.

    Parameters
    ----------
    source : str
        The figure itself, as a data address; empty where there is nothing to draw.
    caption : str
        What it shows, in words.
    key : str
        Canonical JSON of the rows it shows.
    """

    source: str
    caption: str
    key: str


@looking_once()
def report(study: str) -> str:
    """Write the page of a frozen study.

    Returns
    -------
    str
        HTML; the same rows and versions give the same text. Names are escaped, nothing is fetched from anywhere.

    Raises
    ------
    ConfigError
        If the study is not frozen.
    """
    queries.require_frozen(study)
    about = queries.about_study(study)
    partitions = queries.partitions(study)
    page = Environment(
        loader=PackageLoader("decortex_ops.reports"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.filters["cell"] = cell
    page.filters["heading"] = heading
    page.filters["commands"] = commands
    page.filters["parts"] = parts
    tables = queries.study_tables(study)
    chosen = _chosen(study, partitions)
    counted = queries.types(study)
    choices = _choices_of_k(study)
    improved = queries.improvement(study)["summary"]
    results = [{**row, "method": row["method_name"]} for row in queries.results(study)]
    specifications = queries.specifications(study)
    return page.get_template("report.html.j2").render(
        study=study,
        about=about,
        answers=queries.answers(study),
        of_table=bool(tables),
        marks=MARKS,
        changes=say_changes(study, changes_since_freezing(study)),
        version=version("decortex"),
        results=results,
        against=" and ".join(sorted({row["scored_against"] for row in results})),
        result_columns=RESULT_COLUMNS,
        types=counted,
        trees=_some(
            [row for row in counted if row["levels"]],
            lambda row: picture(
                "tree",
                study,
                {name: row[name] for name in OF_TYPES},
                "Types that stand apart: p of every number of groups on held-out neurons, and the splits.",
            ),
        ),
        choices=[(one, *curve_rows(one)) for one in choices],
        criteria=[
            picture("criteria", study, _named(one), "Criteria over K; bands: null models; red: the decision.")
            for one in choices
        ],
        agreement=_agreement(study, chosen),
        subsamples=queries.agreement(study)["subsamples"],
        **_beside_partitions(study),
        shared=queries.shared_labellings(study),
        shared_columns=SHARED_COLUMNS,
        construction=queries.by_construction(study),
        tuned=bool(improved),
        improved=improved,
        summary_columns=SUMMARY_COLUMNS,
        states=queries.states(study) if queries.has_states(study) else [],
        states_columns=STATES_COLUMNS,
        price=_price(study, partitions) if improved else [],
        stats=queries.predictability(study),
        stats_columns=STATS_COLUMNS,
        table_scores=queries.table_scores(study),
        table_score_columns=TABLE_SCORE_COLUMNS,
        performance=_performance(study, chosen),
        labels=_labels(study, about),
        label_columns=LABEL_PARTITIONS_COLUMNS,
        maps=_maps(study, chosen),
        **clusters_parts(study, picture),
        methods=methods_text(specifications, about["asked"], of_table=bool(tables)),
        parameters=_parameters(specifications),
        mixed=queries.mixed_environments(study),
        versions=queries.computation_versions(study),
        environments=queries.environments([row["env_id"] for row in partitions]),
        recompute=_recompute(partitions[0]["key"]) if partitions else "",
    )


def picture(name: str, study: str, where: Mapping[str, Any], caption: str) -> Picture:
    """Draw one figure into the page; where there is nothing to draw, the page says why."""
    try:
        drawn = draw_figure(name, study, {column: str(value) for column, value in where.items()})
    except (ConfigError, InputError) as error:  # nothing to choose from, or nothing in it to draw
        return Picture("", f"{caption} Not drawn: {error}", "")
    about = drawn.about()
    content = base64.b64encode(figure_bytes(drawn.figure, "svg", about=about)).decode()
    return Picture(f"data:image/svg+xml;base64,{content}", caption, about["key"])


def cell(value: Any, name: str = "", row: Mapping[str, Any] | None = None) -> str:
    """One value of a table, with the decimals of its column (`decortex.columns`); a dash for what is undefined."""
    text = written(name, value, None if row is None else row.get(f"{name}_smallest"))
    return "–" if text == "-" else text


def heading(name: str) -> str:
    """What a column is called; one that is a criterion or a label carries its own name."""
    return COLUMNS[name].heading if name in COLUMNS else name.replace("_", " ")


def commands(text: str) -> Markup:
    """A text whose commands stand in backticks, with the commands as code and everything else escaped."""
    parts = [
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part)
        for i, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)


def _chosen(study: str, partitions: Sequence[Row]) -> list[Row]:
    """One partition without fine-tuning a method, at the K that speaks for the study."""
    found = queries.reference(study)
    k = None if found is None else int(found["k"])
    first: dict[tuple[Any, ...], Row] = {}
    for row in partitions:
        if row["finetune"] == "none" and row["k"] == k:
            first.setdefault((row["dataset"], row["model"], row["embedding"], row["method"]), row)
    return list(first.values())


def _labels(study: str, about: Row) -> list[Row]:
    """Clusters against label sets, without fine-tuning; none where no label set is registered."""
    known = any(queries.label_sets(row["dataset"]) for row in about["datasets"])
    return queries.against_labels(study)["partitions"] if known else []


def _named(row: Row) -> Row:
    return {
        "dataset": row["dataset"],
        "model": row["model"],
        "embedding": row["embedding"],
        "method": row["method_name"],
    }


def _agreement(study: str, chosen: Sequence[Row]) -> list[Picture]:
    names = ("dataset", "model", "embedding", "k", "finetune")
    groups = dict.fromkeys(tuple(row[name] for name in names) for row in chosen)
    return _some(
        groups,
        lambda group: picture(
            "agreement",
            study,
            dict(zip(names, group, strict=True)),
            "Adjusted Rand index of every two partitions; what was not compared stays white.",
        ),
    )


def _beside_partitions(study: str) -> dict[str, Any]:
    """What networks share beside partitions of one K: arrangement of the neurons, and communities where asked for."""
    geometry, communities = queries.geometries(study), queries.communities(study)
    return {
        "geometry": geometry,
        "geometry_columns": GEOMETRY_COLUMNS,
        "geometry_sentence": geometry_sentence(geometry) if geometry else "",
        "communities": communities,
        "communities_columns": COMMUNITY_COLUMNS,
        "communities_sentence": communities_sentence(communities) if communities else "",
    }


def _price(study: str, partitions: Sequence[Row]) -> list[Picture]:
    pictures = [
        picture(
            "front",
            study,
            {},
            "Agreement against the change of correlation, over beta; filled: on the front.",
        ),
        picture(
            "price",
            study,
            {},
            "Change against the equal-epoch control; grey: the margin that does not matter.",
        ),
    ]
    first: dict[str, Row] = {}
    for row in partitions:
        if row["finetune"] != "none":
            first.setdefault(row["finetune"], row)
    return pictures + _some(
        first.values(),
        lambda row: picture(
            "curves",
            study,
            {n: row[n] for n in queries.CHOICE},
            f"One fine-tuning by {row['finetune']}.",
        ),
    )


def _performance(study: str, chosen: Sequence[Row]) -> list[Picture]:
    """Scores by cluster: of networks, else every score of a table; none where neurons have neither."""
    caption = "every neuron by cluster; dot and bar: median and quartiles."
    asked = [(row, score) for row in chosen for score in queries.score_names(row["dataset"])]
    if not asked and not queries.study_tables(study):
        asked = [(row, "") for row in chosen]
    return _some(
        asked,
        lambda one: picture(
            "performance",
            study,
            {n: one[0][n] for n in queries.CHOICE} | ({"score": one[1]} if one[1] else {}),
            f"{one[1] or 'Correlation'} of {caption}",
        ),
    )


def _maps(study: str, chosen: Sequence[Row]) -> list[Picture]:
    pictures = []
    for row in chosen[:1]:
        ids = ("dataset", "model_spec_id", "model_seed", "embedding_spec_id")
        views = [
            view
            for view in queries.views(study)
            if view["done"] and all(view[name] == row["key"][name] for name in ids)
        ]
        for view in views[:MOST_FIGURES]:
            where = {n: row[n] for n in queries.CHOICE}
            where |= {"view": view["view"], "view_seed": view["view_seed"]}
            caption = "A picture, not a result: no cluster should be read off it."
            pictures.append(picture("map", study, where, caption))
    return pictures


def _some(items: Iterable[Any], make: Callable[[Any], Picture]) -> list[Picture]:
    """The first figures of many."""
    return [make(item) for item in list(items)[:MOST_FIGURES]]


def _parameters(specifications: Mapping[str, Sequence[Row]]) -> list[Row]:
    rows = []
    for kind, name, columns in (
        ("network", "model_name", ("network", "training")),
        ("embedding", "embedding_name", ("params",)),
        ("method", "method_name", ("params",)),
        ("fine-tuning", "finetune", ("params", "schedule")),
    ):
        for row in specifications["finetunings" if kind == "fine-tuning" else f"{kind}s"]:
            values = [
                {"name": f"{part}.{name}" if len(columns) > 1 else name, "value": value}
                for part in columns
                for name, value in flat(row[part] or {})
            ]
            rows.append({"kind": kind, "of": row[name], "values": values})
    return rows


def _recompute(key: Row) -> str:
    return f"decortex provenance DECFinetune '{canonical_json(key)}'"


def _choices_of_k(study: str) -> list[dict[str, Any]]:
    """Choices of K that are made; none where nobody asked, or their study is not frozen yet."""
    choosing = queries.choosing_study(study)
    frozen = {row["study"] for row in queries.study_counts() if row["frozen_at"] is not None}
    return queries.best_k(study) if choosing in frozen else []

"""Agreement of networks beside the agreement of surrogates without types. Read only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import Any

from decortex.evaluation.nulls import excess_over_null
from decortex_schemas.queries.basis import Row
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.tables import FinetuneSpec, require_study
from decortex_schemas.tables.evaluation import SeedAgreement, SeedNullFit

GROUP = ("dataset", "model_spec_id", "embedding_spec_id", "method_id", "k")


@one_at_a_time
def agreement_nulls(study: str) -> list[Row]:
    """Agreement between a frozen study's networks against every null model that somebody asked for.

    Returns
    -------
    list of dict
        One row per network specification, embedding, method, K and null model: `GROUP`, ``null_kind``, ``observed``
        (mean adjusted Rand index between networks, of partitions that are not fine-tuned), ``n_null`` (surrogates with
        a value), ``null_mean``, ``null_sd``, ``excess``, ``z``, ``p`` and ``status``, see
        `decortex.evaluation.nulls.excess_over_null`.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> [row["p"] for row in agreement_nulls("v4-sweep")]    # doctest: +SKIP
    """
    require_study(study)
    of = {"study": study}
    untouched = (SeedAgreement * FinetuneSpec.proj("kind") & of & "kind = 'none'").to_dicts()
    observed = {tuple(row[name] for name in GROUP): row["ari_seeds"] for row in untouched}
    drawn: dict[tuple[Any, ...], list[float | None]] = defaultdict(list)
    values = SeedNullFit.Value & of & {"criterion": "seed_agreement"}
    for row in values.to_dicts(order_by="KEY"):
        group = (*(row[name] for name in GROUP[:-1]), int(row["at_k"]), row["null_kind"])
        drawn[group].append(row["value"])
    return [
        {
            **dict(zip((*GROUP, "null_kind"), group, strict=True)),
            **asdict(excess_over_null(observed[group[:-1]], null_values)),
        }
        for group, null_values in sorted(drawn.items())
        if group[:-1] in observed
    ]

"""Do scores that came with a table follow its clusters? Read only, as `queries` is."""

from __future__ import annotations

from decortex_schemas.queries.basis import GROUP, Names, Row, defined_values, grouped, middle, values
from decortex_schemas.queries.catalogue import one_at_a_time, worst_status
from decortex_schemas.tables import asked_members, require_study
from decortex_schemas.tables.evaluation import TableScore, TableScoreAssociation


@one_at_a_time
def table_scores(study: str) -> list[Row]:
    """Is a score that came with a table tied to cluster? One row per method, K and score of a study.

    Parameters
    ----------
    study : str
        Its name; it need not be frozen.

    Returns
    -------
    list of dict
        Names of the row; ``score``; ``within``: what sessions are ('session', 'animal', 'none'); ``status``;
        ``n_partitions``, ``n_neurons``; ``epsilon2`` with ``epsilon2_low``, ``epsilon2_high`` and ``epsilon2_within``,
        means over partitions (starts); ``p_median`` and ``p_max`` of the permutation within sessions, and
        ``n_permutations``. Empty where the study's datasets are no tables with scores.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> table_scores("v4-sweep")    # doctest: +SKIP
    """
    require_study(study)
    own = (*GROUP, "table_score")
    kinds = {
        (row["dataset"], row["table_score"]): row["session_kind"]
        for row in TableScore.proj("session_kind").to_dicts()
    }
    found = grouped(
        TableScoreAssociation & asked_members(study),
        own,
        n="COUNT(*)",
        statuses=values("association_status"),
        n_neurons="MIN(n_neurons)",
        epsilon2="AVG(epsilon2_corrected)",
        epsilon2_low="AVG(epsilon2_low)",
        epsilon2_high="AVG(epsilon2_high)",
        epsilon2_within="AVG(epsilon2_within)",
        p=values("p_permutation"),
        p_max="MAX(p_permutation)",
        n_permutations="MIN(n_permutations)",
    )
    label, rows = Names(), []
    for key, one in found.items():
        first = dict(zip(own, key, strict=True))
        numbers = ("epsilon2", "epsilon2_low", "epsilon2_high", "epsilon2_within", "p_max")
        rows.append(
            {
                **label.of(first),
                "score": str(first["table_score"]),
                "within": kinds[first["dataset"], first["table_score"]],
                "status": worst_status(one["statuses"]),
                "n_partitions": int(one["n"]),
                "n_neurons": int(one["n_neurons"]),
                **{name: one[name] for name in numbers},
                "p_median": middle(defined_values(one, "p")),
                "n_permutations": int(one["n_permutations"]),
            }
        )
    return rows

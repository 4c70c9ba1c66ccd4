"""Columns of the tables that commands print, and that report and dashboard show: one list per table."""

from collections.abc import Sequence

# Columns that name a row: every part of a table that is printed in parts begins with them.
NAMING = frozenset(
    {
        "dataset",
        "model",
        "embedding",
        "method",
        "k",
        "finetune",
        "covariates",
        "model_seed",
        "state",
        "start",
        "env_id",
    }
    | {"cluster", "criterion"}
)
# Columns that A4 holds upright, in letters that are read.
MOST_BESIDE = 10


def parts(columns: Sequence[str], most: int = MOST_BESIDE) -> list[tuple[str, ...]]:
    """Columns of a table in parts that fit a page, each with the columns that name its rows.

    Parameters
    ----------
    columns : sequence of str
        All of them, in their order.
    most : int
        Columns of a part.

    Examples
    --------
    >>> parts(("method", "k", "a", "b", "c"), 4)
    [('method', 'k', 'a', 'b'), ('method', 'k', 'c')]
    """
    if len(columns) <= most:
        return [tuple(columns)]
    names = tuple(name for name in columns if name in NAMING)
    rest = [name for name in columns if name not in NAMING]
    room = max(1, most - len(names))
    return [(*names, *rest[i : i + room]) for i in range(0, len(rest), room)]


RESULT_COLUMNS = (
    "method",
    "k",
    "finetune",
    "status",
    "n_partitions",
    "ari_truth",
    "ari_seeds",
    "ari_seeds_before",
    "ari_clustering_seeds",
    "correlation_before",
    "correlation_after",
    "correlation_control",
    "share_changed",
    "silhouette",
    "largest_share",
    "epsilon2",
    "epsilon2_within",
    "p",
    "p_max",
)
# Effect and p of one set of covariates: these sessions, then the population.
ESTIMAND_COLUMNS = (
    "omega2",
    "omega2_low",
    "omega2_high",
    "p_sessions",
    "p_sessions_bh_max",
    "p_grid",
    "population",
    "p_population",
    "p_population_bh_max",
)
STATS_COLUMNS = ("method", "k", "finetune", "covariates", "status", "n_neurons", *ESTIMAND_COLUMNS)
# Scores that came with a table, against its clusters.
TABLE_SCORE_COLUMNS = (
    "method",
    "k",
    "score",
    "within",
    "n_neurons",
    "epsilon2",
    "epsilon2_low",
    "epsilon2_high",
    "epsilon2_within",
    "p_median",
    "p_max",
    "status",
)
# How far clusters follow sessions and animals.
FOLLOWING_COLUMNS = (
    "ami_session",
    "ami_animal",
    "cramers_v_corrected_session",
    "cramers_v_corrected_animal",
    "transfer_share_kept",
    "transfer_ari",
    "transfer_score_correlation",
)
CONFOUND_COLUMNS = ("method", "k", "finetune", *FOLLOWING_COLUMNS)
SUMMARY_COLUMNS = (
    "method",
    "k",
    "finetune",
    "n_networks",
    "ari_networks_before",
    "ari_networks_change",
    "ari_networks_low",
    "ari_networks_high",
    "silhouette_before",
    "silhouette_change",
    "silhouette_low",
    "silhouette_high",
)
STATES_COLUMNS = (
    "start_method",
    "k",
    "finetune",
    "state",
    "method",
    "n_networks",
    "ari_networks",
    "ari_networks_low",
    "ari_networks_high",
    "ari_networks_excess",
    "ari_networks_p",
    "share_changed",
    "ari_truth",
    "silhouette",
    "silhouette_excess",
    "silhouette_moved",
    "correlation_change",
    "correlation_low",
    "correlation_high",
    "null",
    "n_null",
)
# Clusters and embeddings against external labels.
LABEL_ANSWERS_COLUMNS = (
    "label_set",
    "dataset",
    "model",
    "embedding",
    "method",
    "k",
    "finetune",
    "n_networks",
    "ari_before",
    "ari_control",
    "ari_fine_tuned",
    "ari_fine_tuned_afresh",
    "ari_gain",
    "ari_gain_low",
    "ari_gain_high",
    "verdict",
)
LABEL_PARTITIONS_COLUMNS = (
    "label_set",
    "dataset",
    "model",
    "embedding",
    "method",
    "k",
    "status",
    "n_partitions",
    "n_neurons",
    "ari",
    "ari_null",
    "p_ari",
    "ami",
    "purity",
    "purity_null",
    "macro_f1",
    "balanced_accuracy",
    "chance_accuracy",
)
LABEL_DECODING_COLUMNS = (
    "label_set",
    "dataset",
    "model",
    "embedding",
    "decoder",
    "n_networks",
    "left_out",
    "n_groups",
    "macro_f1",
    "macro_f1_low",
    "macro_f1_high",
    "balanced_accuracy",
    "balanced_accuracy_low",
    "balanced_accuracy_high",
    "chance_accuracy",
    "p_decoding",
)
GEOMETRY_COLUMNS = (
    "embedding",
    "lower_quantile",
    "upper_quantile",
    "status",
    "n_networks",
    "n_neurons",
    "n_neuron_pairs",
    "rdm_correlation",
    "rdm_correlation_low",
    "rdm_correlation_high",
    "rdm_correlation_min",
    "rdm_null",
    "p_rdm",
    "rdm_rank_correlation",
)
COMMUNITY_COLUMNS = (
    "method",
    "k",
    "finetune",
    "community_status",
    "n_partitions",
    "n_communities",
    "n_communities_null",
    "ari_communities",
    "ari_communities_null",
    "firm_share",
    "firm_share_null",
    "modularity",
    "modularity_null",
    "p_modularity",
    "ari_truth",
)
DETECTABLE_COLUMNS = (
    "method",
    "k",
    "finetune",
    "n_networks",
    "change",
    "low",
    "high",
    "sd_networks",
    "detectable",
    "planted",
    "planted_share",
    "planted_change",
    "planted_truth",
    "strongest_detected",
)
GENERATORS_COLUMNS = (
    "start_method",
    "k",
    "finetune",
    "state",
    "method",
    "n_generators",
    "ari_networks",
    "ari_networks_gain",
    "ari_networks_gain_low",
    "ari_networks_gain_high",
    "ari_networks_gain_detectable",
    "ari_networks_over_carried",
    "ari_networks_over_carried_low",
    "ari_networks_over_carried_high",
    "ari_networks_over_carried_detectable",
    "ari_networks_excess",
    "ari_truth",
    "ari_truth_gain",
    "ari_truth_gain_low",
    "ari_truth_gain_high",
    "ari_truth_gain_detectable",
    "ari_truth_over_carried",
    "ari_truth_over_carried_low",
    "ari_truth_over_carried_high",
    "ari_truth_over_carried_detectable",
    "share_changed",
    "silhouette",
    "correlation_change",
    "correlation_low",
    "correlation_high",
)
SHARED_COLUMNS = (
    "k",
    "method",
    "labelling_status",
    "n_networks",
    "n_neurons",
    "n_alive",
    "balance",
    "confidence_mean",
    "cross_entropy",
    "cross_entropy_worst",
    "ari_vote",
    "ari_truth",
    "ari_truth_members",
)

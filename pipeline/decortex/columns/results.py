"""Columns of partitions: agreement, performance by cluster, and fine-tuning."""

from __future__ import annotations

from decortex.columns.kinds import Column, higher, p_value, word

_PARTITIONS: dict[str, Column] = {
    "dataset": word("dataset"),
    "model": word("network specification"),
    "model_seed": word("network", "seed that the network was trained from"),
    "embedding": word("embedding"),
    "method": word("method"),
    "method_name": word("method"),
    "k": word("K", "number of clusters"),
    "seed": word("start", "seed of the clustering"),
    "finetune": word("fine-tuning"),
    "status": word("status"),
    "n_partitions": word("partitions", "partitions behind the row: networks times starts"),
    "n_networks": word("networks", "networks behind the row"),
    "n_neurons": word("neurons", "neurons behind the row"),
    "n_animals": word("animals"),
    "n_sessions": word("sessions"),
    "largest_share": Column("largest cluster", "share of the neurons in it; near 1 agreement says little"),
    "silhouette": higher("silhouette", "mean silhouette in the embedding that was clustered, -1 to 1"),
    "silhouette_moved": higher(
        "silhouette, moved embedding", "in the fine-tuned embedding, where it rises by construction"
    ),
    "share_changed": Column("labels changed", "share of labels that are not the start's", 4),
}
_AGREEMENT: dict[str, Column] = {
    "ari_truth": higher(
        "ARI with known types", "adjusted Rand index with the known types; 1 the same, 0 chance"
    ),
    "ari_truth_control": higher(
        "ARI with known types, control",
        "of the control, which trained as long, clustered afresh: was the move good?",
    ),
    "ari_seeds": higher(
        "ARI between networks", "adjusted Rand index between networks trained from other seeds"
    ),
    "ari_seeds_before": higher(
        "ARI between networks, before",
        "what ari_seeds was before fine-tuning, of the same networks and starts: compare these two",
    ),
    "ari_clustering_seeds": higher("ARI between starts", "adjusted Rand index between starts on one network"),
    "ari_null": Column(
        "ARI of the null", "the same of surrogates without types, or of labels shuffled within animals"
    ),
    "p_null": p_value(
        "p against the null",
        "share of surrogates, the data with them, that agree as much; the largest of the null models",
    ),
    "ami_seeds": higher("AMI between networks", "adjusted mutual information; 0 is chance"),
    "ami_clustering_seeds": higher("AMI between starts"),
    "v_measure_seeds": higher("V between networks", "v_measure and fowlkes_mallows rise with K alone"),
    "fowlkes_mallows_seeds": higher("Fowlkes-Mallows between networks"),
    "matched_seeds": higher(
        "matched between networks", "share of the neurons in clusters that are matched one to one"
    ),
    "n_pairs_seeds": word("pairs of networks"),
    "ari_consensus": higher("ARI with the consensus", "mean against the partition that all vote for"),
    "support": higher("support", "share of the partitions that vote for a neuron's cluster, mean"),
    "worst_cluster": higher(
        "least stable cluster", "smallest mean Jaccard index of a cluster; below .5 it is not found again"
    ),
    "ari_subsamples": higher("ARI between subsamples", "between subsamples of 80 % of the neurons"),
    "ami_subsamples": higher("AMI between subsamples"),
    "v_measure_subsamples": higher("V between subsamples"),
    "fowlkes_mallows_subsamples": higher("Fowlkes-Mallows between subsamples"),
    "matched_subsamples": higher("matched between subsamples"),
    "n_pairs_subsamples": word("pairs of subsamples"),
    "n_fits_not_ok": word("clusterings that did not end well"),
    "ari_whole": higher("ARI with the whole", "of subsamples against the clustering of all neurons"),
    "neuron_stability": higher("stability of neurons", "share of subsamples that keep a neuron's cluster"),
    "n_clusters_recovered": word("clusters found again", "clusters with a mean Jaccard index of .75 or more"),
    "method_a": word("method"),
    "method_b": word("other method"),
    "ari_same": higher("ARI, same network", "between two methods on one network"),
    "ami_same": higher("AMI, same network"),
    "v_measure_same": higher("V, same network"),
    "fowlkes_mallows_same": higher("Fowlkes-Mallows, same network"),
    "matched_same": higher("matched, same network"),
    "n_pairs_same": word("pairs, same network"),
    "ari_other": higher("ARI, other network", "between two methods on different networks"),
    "ami_other": higher("AMI, other network"),
    "n_pairs_other": word("pairs, other network"),
    "model_a": word("network specification"),
    "model_b": word("other specification"),
    "ari_models": higher("ARI between specifications", "between networks of two specifications"),
    "ami_models": higher("AMI between specifications"),
    "v_measure_models": higher("V between specifications"),
    "fowlkes_mallows_models": higher("Fowlkes-Mallows between specifications"),
    "matched_models": higher("matched between specifications"),
    "n_pairs_models": word("pairs of specifications"),
}
_PERFORMANCE: dict[str, Column] = {
    "correlation_before": higher("test correlation, before", "mean test correlation to average"),
    "correlation_after": higher("test correlation, after", "the same after fine-tuning"),
    "correlation_control": higher(
        "test correlation, control", "of the network trained as long without a clustering loss"
    ),
    "test_correlation": higher("test correlation"),
    "mean_test_correlation": higher("mean test correlation"),
    "epsilon2": Column(
        "ε² of performance by cluster", "share of the rank variance of test correlations between clusters"
    ),
    "epsilon2_low": Column("ε², low", "lower end of its 95 % interval"),
    "epsilon2_high": Column("ε², high"),
    "epsilon2_within": Column("ε² within sessions", "the same for ranks within sessions"),
    "p": p_value(
        "p", "of a permutation within sessions (median over the row's partitions), or of one comparison"
    ),
    "p_max": p_value("p, largest", "the largest of the row's partitions"),
    "p_median": p_value("p, median", "the median of the row's partitions"),
    "covariates": word("covariates"),
    "omega2": Column(
        "ω² of performance by cluster",
        "share of the variance of test correlations between clusters, covariates held fixed",
    ),
    "omega2_low": Column("ω², low", "lower end of its 95 % interval"),
    "omega2_high": Column("ω², high"),
    "p_sessions": p_value("p, these sessions", "of the recorded neurons, permuted within sessions"),
    "p_sessions_bh_max": p_value("p over the study", "p_sessions corrected over the study, the largest"),
    "p_grid": p_value("p over all K", "of the recorded neurons, over all K and starts of the method"),
    "population": word(
        "population", "'ok' where animals or sessions are enough to speak of others; else why not"
    ),
    "p_population": p_value("p, population", "of animals or sessions that were not recorded"),
    "p_population_bh_max": p_value("p over the study, population", "corrected over the study, the largest"),
    "ami_session": Column(
        "AMI with sessions", "adjusted mutual information of clusters with sessions: 0 is none"
    ),
    "ami_animal": Column("AMI with animals", "the same with animals"),
    "cramers_v_corrected_session": Column("Cramér's V, sessions"),
    "cramers_v_corrected_animal": Column("Cramér's V, animals"),
    "transfer_share_kept": higher(
        "kept when left out", "share of a left-out animal's neurons that stay nearest to their own cluster"
    ),
    "transfer_ari": higher("ARI when left out"),
    "transfer_score_correlation": higher("scores predicted when left out"),
    "unit_kind": word("units"),
    "n_units": word("number of units"),
}
_FINETUNING: dict[str, Column] = {
    "control": higher("test correlation, control"),
    "difference": Column("Δ test correlation", "against the control that trained as long", 4, "higher"),
    "difference_over_sessions": Column(
        "Δ test correlation over sessions", "change against the control, mean over sessions", 4, "higher"
    ),
    "interval_low": Column("Δ, low", "lower end of its 95 % interval", 4),
    "interval_high": Column("Δ, high", "", 4),
    "p_equivalence": p_value("p of equivalence", "of lying outside the margin"),
    "equivalent": word("equivalent", "whether the change lies within the margin"),
    "worst_cluster_difference": Column("Δ of the worst cluster", "", 4, "higher"),
    "ari_networks": higher("ARI between networks", "mean adjusted Rand index of a network with the others"),
    "ari_networks_before": higher("ARI between networks, before"),
    "ari_networks_after": higher("ARI between networks, after"),
    "ari_networks_change": higher("change of ARI between networks", "with 95 % interval over networks"),
    "ari_networks_low": Column("ARI, low"),
    "ari_networks_high": Column("ARI, high"),
    "ari_networks_excess": higher("ARI above the null", "above the same state of surrogates without types"),
    "ari_networks_p": p_value("p against the null, agreement"),
    "silhouette_before": higher("silhouette, before"),
    "silhouette_after": higher("silhouette, after"),
    "silhouette_change": higher("change of the silhouette"),
    "silhouette_low": Column("silhouette, low"),
    "silhouette_high": Column("silhouette, high"),
    "epsilon2_before": Column("ε², before", "share of performance tied to cluster, corrected for chance"),
    "epsilon2_after": Column("ε², after"),
    "epsilon2_change": Column("change of ε²"),
    "silhouette_excess": higher("silhouette above the null"),
    "beta": Column("β", "weight of the clustering loss"),
    "on_front": word(
        "on the front", "whether no other fine-tuning is better in agreement and performance at once"
    ),
    "start_method": word("start's method", "method of the partition that fine-tuning began from"),
    "state": word("state"),
    "correlation_change": Column("change of test correlation", "against the control", 4, "higher"),
    "correlation_low": Column("correlation, low", "", 4),
    "correlation_high": Column("correlation, high", "", 4),
    "null": word("null model"),
    "n_null": word("surrogates"),
    "measure": word("measure"),
    "before": Column("before"),
    "before_null": Column("null, before", "the same on surrogates without types; after, change alike"),
    "after": Column("after"),
    "after_null": Column("null, after"),
    "after_z": Column("z, after"),
    "after_p": p_value("p, after"),
    "change": Column("change"),
    "change_null": Column("null, change"),
    "change_z": Column("z, change"),
    "change_p": p_value("p, change"),
    "sd_networks": Column("SD over networks", "of the jackknife's pseudo-values of the change"),
    "detectable": Column(
        "detectable change", "that a 95 % interval leaves above zero with probability .8", 3, "lower"
    ),
    "planted": word("planted", "the known types, or the vote of the untouched networks"),
    "planted_share": Column(
        "planted share",
        "smallest share of neurons moved to their type's cluster that is detected",
        3,
        "lower",
    ),
    "planted_change": Column("change by planting", "of the ARI between networks"),
    "planted_truth": Column("change by planting, truth", "of the ARI with what was planted"),
    "strongest_detected": higher(
        "strongest planting detected", "share of the draws; below .8 the study could show nothing"
    ),
}
_GENERATORS: dict[str, Column] = {
    "n_generators": word("generators", "datasets behind the row; they are the sample"),
    **{
        f"{name}_{ending}{end}": made
        for name, of in (("ari_networks", "ARI between networks"), ("ari_truth", "ARI with known types"))
        for ending, gained, over in (
            ("gain", "gain over the control", "over the control clustered afresh by the start's method"),
            (
                "over_carried",
                "gain over the carried start",
                "over the start's partition carried to the control",
            ),
        )
        for end, made in (
            ("", higher(f"{gained}, {of}", over)),
            ("_low", Column(f"{gained}, {of}, low", "lower end of its 95 % interval over generators")),
            ("_high", Column(f"{gained}, {of}, high")),
            ("_detectable", Column(f"{gained}, {of}, detectable", "with probability .8", 3, "lower")),
        )
    },
}
_SHARED: dict[str, Column] = {
    "labelling_status": word(
        "status of the labelling", "'one_cluster', 'few_neurons': no labelling to speak of"
    ),
    "n_alive": word("clusters left", "clusters that hold a neuron"),
    "balance": Column("balance", "entropy of the mean assignment over log K: 1 is equal sizes"),
    "confidence_mean": Column("confidence", "mean probability of a neuron's cluster"),
    "cross_entropy": Column(
        "cross-entropy", "of a network's linear classifier and the labelling, nats per neuron", 3, "lower"
    ),
    "cross_entropy_worst": Column("cross-entropy, worst", "of the network that tells least", 3, "lower"),
    "ari_vote": Column("ARI with the vote", "of this method's partitions, over networks and starts"),
    "ari_truth_members": higher(
        "ARI with known types, members", "mean over the partitions that were voted on"
    ),
}
RESULTS: dict[str, Column] = {
    **_PARTITIONS,
    **_AGREEMENT,
    **_PERFORMANCE,
    **_FINETUNING,
    **_GENERATORS,
    **_SHARED,
}

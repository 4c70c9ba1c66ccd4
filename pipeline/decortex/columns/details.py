"""Columns of labels, numbers of types and of clusters, neurons and in-silico tuning."""

from __future__ import annotations

from decortex.columns.kinds import Column, higher, p_value, word

_LABELS: dict[str, Column] = {
    "label_set": word("labels"),
    "ari": higher("ARI with the labels", "of neurons that have a label"),
    "p_ari": p_value(
        "p against shuffled labels", "share of shuffles that reach the index, median over partitions"
    ),
    "ami": higher("AMI with the labels"),
    "purity": higher("purity"),
    "purity_null": Column("purity, shuffled"),
    "macro_f1": higher(
        "macro F1", "of neurons left out with their animal; from clusters where there are methods"
    ),
    "macro_f1_low": Column("macro F1, low"),
    "macro_f1_high": Column("macro F1, high"),
    "balanced_accuracy": higher("balanced accuracy", "of the same neurons"),
    "balanced_accuracy_low": Column("balanced accuracy, low"),
    "balanced_accuracy_high": Column("balanced accuracy, high"),
    "chance_accuracy": Column("accuracy by chance"),
    "ari_before": higher("ARI with the labels, before"),
    "ari_control": higher("ARI with the labels, control"),
    "ari_fine_tuned": higher("ARI with the labels, after"),
    "ari_fine_tuned_afresh": higher("ARI with the labels, clustered afresh"),
    "ari_gain": higher("gain over the control", "after fine-tuning less control, interval over networks"),
    "ari_gain_low": Column("gain, low"),
    "ari_gain_high": Column("gain, high"),
    "verdict": word("verdict"),
    "decoder": word("decoder"),
    "left_out": word("left out"),
    "n_groups": word("groups"),
    "p_decoding": p_value("p of decoding"),
}
_TYPES: dict[str, Column] = {
    "n_types": word("types", "groups of neurons that stand apart on held-out neurons"),
    "at_least": word("at least", "whether the number rests on a single level"),
    "p_two": p_value("p of two", "of 'one group' against two, on neurons held out from all choices"),
    "p_smallest": p_value("smallest p", "over all levels of 'one group fewer stands apart'"),
    "spec": word("settings"),
    "target": word("target", "scores, or the embedding of another network"),
    "r2_clusters": higher("R², clusters", "share of the target's variance explained on held-out neurons"),
    "r2_axes": higher("R², axes", "by axes of equal freedom"),
    "r2_both": higher("R², both"),
    "clusters_add": higher("clusters add", "to axes of the same total freedom"),
    "clusters_add_p": p_value("p, clusters add", "one-sided"),
    "axes_add": higher("axes add", "to clusters"),
    "axes_add_p": p_value("p, axes add", "one-sided"),
    "n_clusters": word("clusters"),
    "first": word("first"),
    "second": word("second"),
    "n_first": word("neurons of the first"),
    "n_second": word("neurons of the second"),
    "p_holm": p_value("p (Holm)", "corrected over all pairs"),
    "depth": Column("depth", "density between the groups over that beside; below 1 there is a valley"),
    "n_beside": word("neurons beside"),
    "view": word("view"),
    "view_seed": word("seed of the view"),
    "done": word(
        "done", "rows computed; pending waits, reserved is in work, error failed, ignore is left out"
    ),
    "neighbours_kept": higher(
        "neighbours kept", "share of a neuron's nearest neighbours in the embedding that stay its nearest"
    ),
    "distance_spearman": higher(
        "distances kept", "rank correlation of distances in the picture with those in the embedding"
    ),
    "variance_share": higher(
        "variance kept", "share of the embedding's variance; of principal components only"
    ),
}
_NEURONS: dict[str, Column] = {
    "neuron_idx": word("neuron"),
    "session": word("session"),
    "unit_id": word("unit"),
    "animal": word("animal"),
    "area": word("area"),
    "cluster": word("cluster"),
    "page_cluster": word(
        "cluster on pages", "as pages number and colour it, following a cluster over K and networks"
    ),
    "id": word("id"),
    "size": word("neurons", "neurons of the cluster"),
    "share": Column("share", "of all neurons"),
    "spread": Column("spread", "root mean square distance from the cluster's centre"),
    "n_defined": word("with a score"),
    "mean": Column("mean"),
    "median": Column("median"),
    "sd": Column("SD"),
    "rank_biserial": Column("rank-biserial", "effect of a comparison of two clusters, -1 to 1"),
    "score": word("score"),
    "noise_drawn": word("noise"),
    "dispersion": Column("variance over mean"),
    "recorded_dispersion": Column("variance over mean, recordings"),
    "mean_response": Column("mean response"),
    "n_recorded": word("recorded"),
    "reliability": higher("reliability"),
    "n_reliability": word("neurons with a reliability"),
    "n_test_images": word("test images"),
    "n_shared_images": word("shown in training too"),
    "n_set_aside": word("set aside"),
    "sentence": word("in words"),
    "left": word("one side"),
    "right": word("the other"),
    "question": word("question"),
    "answer": word("answer"),
    "effect": Column("effect"),
    "low": Column("low", "lower end of the interval"),
    "high": Column("high"),
    "compared_with": word("compared with"),
    "agreement": word("ARI between networks [95 %]"),
    "correlation": word("Δ test correlation against control [95 %]"),
    "what": word("measure"),
}
# In-silico tuning of clusters: medians over neurons, means over networks.
_TUNING: dict[str, Column] = {
    "orientation_selectivity": Column("orientation selectivity", "0 to 1, median over the cluster's neurons"),
    "direction_selectivity": Column("direction selectivity", "0 to 1"),
    "period": Column("period", "of the preferred grating, pixels"),
    "modulation": Column("modulation", "F1/F0: above 1 simple, below 1 complex"),
    "radius": Column("radius", "of the preferred patch, pixels"),
    "suppression": Column("suppression", "by large patches, 0 to 1"),
    "sign": Column("sign", "from -1 (dark) to 1 (light)"),
    "matched": higher("matched", "share of neurons whose cluster the other networks share"),
    "n_discriminated": word(
        "told apart", "networks in which the cluster's own stimulus drives it more than any other"
    ),
    "n_stimuli": word("networks with stimuli"),
}
_CRITERIA: dict[str, Column] = {
    "supported": word("supported", "whether the rule accepts this K"),
    "against": word("against it", "why a K is not supported"),
    "who": word("criterion or network"),
    "choice": word("choice of K"),
    "stability": higher("stability", "adjusted Rand index between clusterings of subsamples"),
    "valley_share": higher("valleys", "share of neighbouring clusters with a gap between them"),
    "separated_groups": word("separated groups", "groups of clusters with gaps between them"),
    "prediction_strength": higher("prediction strength"),
    "gap": higher("gap", "gap statistic, nats"),
    "bic": Column("BIC", "", 3, "lower"),
    "held_out_likelihood": higher("held-out likelihood", "log-likelihood per neuron that was held out"),
    "method_agreement": higher("agreement of methods", "adjusted Rand index on one network"),
    "seed_agreement": higher("agreement between networks", "adjusted Rand index, at every K"),
}
# Representational geometry, and communities of co-association.
_GEOMETRY: dict[str, Column] = {
    "lower_quantile": Column("lower quantile", "distances up to this quantile count 0", 2),
    "upper_quantile": Column(
        "upper quantile",
        "and those from this one on 1: 0 and 1 is the whole geometry, equal ones who is near whom",
        2,
    ),
    "n_neuron_pairs": word(
        "pairs of neurons", "whose distances were compared: all, or a sample of many neurons"
    ),
    "rdm_correlation": higher(
        "RDM correlation", "of distances between neurons in two networks, mean over pairs of networks"
    ),
    "rdm_correlation_low": Column("RDM correlation, low", "95 % over networks; from three on"),
    "rdm_correlation_high": Column("RDM correlation, high"),
    "rdm_correlation_min": Column("RDM correlation, least", "of the two networks that agree least"),
    "rdm_rank_correlation": higher("RDM rank correlation", "Spearman's"),
    "rdm_null": Column("RDM correlation, permuted", "mean with neurons permuted within their sessions"),
    "p_rdm": p_value("p of the RDM correlation", "share of permutations that correlate as much"),
    "community_status": word("status of the communities"),
    "n_communities": word(
        "communities", "groups that share clusters more often than chance; an outcome, not the K asked for"
    ),
    "n_communities_null": Column("communities, independent", "mean of independent partitions", 1),
    "ari_communities": higher("ARI with the communities", "mean over the partitions"),
    "ari_communities_null": Column("ARI with the communities, independent"),
    "firm_share": higher(
        "firm", "share of neurons that are with their own community at least twice as often as with another"
    ),
    "firm_share_null": Column("firm, independent"),
    "modularity": higher("modularity", "of the co-association graph"),
    "modularity_null": Column(
        "modularity, independent",
        "of partitions whose neurons are permuted network by network within sessions",
    ),
    "p_modularity": p_value("p of the modularity", "share of independent partitions with as much"),
}
DETAILS: dict[str, Column] = {**_LABELS, **_TYPES, **_NEURONS, **_TUNING, **_CRITERIA, **_GEOMETRY}

"""What stands before and after a command's tables: the answer as a sentence, and what the columns mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from decortex_ops.cli.output import out

# Questions of `queries.answers`, by their place.
TYPES, AGREEMENT, ASSOCIATION, FINETUNING = range(4)

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "n_partitions": "partitions behind the row: networks times starts",
        "n_networks": "networks behind the row",
        "ari_truth": "adjusted Rand index with the known types; 1 the same, 0 chance",
        "ari_seeds": "the same between networks trained from other seeds",
        "ari_seeds_before": "what ari_seeds was before fine-tuning, of the same networks and starts: compare these two",
        "ari_clustering_seeds": "the same between starts on one network",
        "ari_null": "the same between networks on surrogates without types (`decortex agreement STUDY --ask`)",
        "p_null": "share of surrogates, the data with them, that agree as much; the largest of the null models",
        "ami_seeds": "adjusted mutual information; v_measure and fowlkes_mallows rise with K alone",
        "matched_seeds": "share of the neurons in clusters that are matched one to one",
        "ari_consensus": "mean against the partition that all vote for; support: share that votes for it, per neuron",
        "worst_cluster": "smallest mean Jaccard index of a cluster; below .5 it is not found again",
        "largest_share": "share of the neurons in the largest cluster; near 1 agreement says little",
        "correlation_before": "mean test correlation to average; correlation_after: after fine-tuning",
        "correlation_control": "of the network trained as long without a clustering loss",
        "silhouette": "mean silhouette in the embedding that was clustered, -1 to 1",
        "epsilon2": "share of the rank variance of test correlations between clusters; _within: in sessions",
        "p": "of its permutation within sessions, median over partitions; p_max: the largest",
        "omega2": "share of the variance of test correlations between clusters, covariates held fixed; 95 %",
        "p_sessions": "of the recorded neurons, permuted within sessions; _bh_max: corrected over the study",
        "p_grid": "of the recorded neurons, over all K and starts of the method",
        "population": "'ok' where animals or sessions are enough to speak of others; p_population: of them",
        "ami_session": "adjusted mutual information of clusters with sessions (animals): 0 is none",
        "transfer_share_kept": "share of a left-out animal's neurons that stay nearest to their own cluster",
        "difference_over_sessions": "change of the test correlation against the control, with 95 % interval",
        "equivalent": "whether the change lies within the margin; p_equivalence: of lying outside",
        "ari_networks_change": "change of the agreement between networks, with 95 % interval over networks",
        "on_front": "whether no other fine-tuning is better in agreement and performance at once",
        "ari_networks_excess": "above the same state of surrogates without types",
        "before_null": "the figure before fine-tuning on surrogates without types; after, change alike",
        "ari_subsamples": "between subsamples; ari_whole: against the clustering of all neurons",
        "ari_same": "between two methods on one network; ari_other: on different networks",
        "ari_models": "between networks of two specifications",
        "done": "rows computed; pending waits, reserved is in work, error failed, ignore is left out",
    }
)


def say_answer(study: str, question: int) -> None:
    """Print the answer to one of the five questions, as `decortex answers` gives it."""
    from decortex_schemas import queries

    row = queries.answers(study)[question]
    say(f"{row['question']} {row['answer'].upper()}: {row['sentence']}")


def say(sentence: str) -> None:
    """Print a sentence on a line of its own."""
    out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    out.print()


def print_legend(*tables: Iterable[str]) -> None:
    """Print what the columns of these tables mean, each once."""
    shown = dict.fromkeys(name for columns in tables for name in columns if name in MEANINGS)
    if not shown:
        return
    width = max(len(name) for name in shown)
    out.print()
    for name in shown:
        out.print(
            f"{name:<{width}}  {MEANINGS[name]}", highlight=False, markup=False, soft_wrap=True, style="dim"
        )

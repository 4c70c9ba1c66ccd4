"""From version 2: rows say the version of their computation, environments what decides bits; movies; fairer tests."""

from __future__ import annotations

from decortex_schemas.migrations.step import Column, Migration, OldTables, Step, add_columns, rename

# Tables whose computation gives the same values as at version 2 for the same inputs, as `decortex recompute` showed on
# a database of version 2 (tests/data/version_2): their rows are of version 1, as new ones. Partitions are among them,
# for their specification keeps the version of its algorithm. All other rows get 0: computed before versions were kept,
# and otherwise than today (tests of performance, quality, criteria, FEV of few images), or not known to be the same.
UNCHANGED = frozenset(
    {
        "__adjusted_p_value",
        "__cluster_confound",
        "__clustering",
        "__consensus_partition",
        "__continued_training",
        "__embedding",
        "__embedding_view",
        "__method_agreement",
        "__retained_performance",
        "__seed_agreement",
        "__subsample_clustering",
        "__trained_model",
    }
)

_ENVIRONMENT = (
    Column(
        "environment",
        "source_sha256",
        "char(64)",
        "char(64) NOT NULL",
        "diff_sha256",
        rows="'unknown'",
        comment="of the Python files that ran, however they were installed",
    ),
    Column(
        "environment",
        "blas_core",
        "varchar(64)",
        "varchar(64) NOT NULL",
        "blas",
        rows="'unknown'",
        comment="processor that BLAS chose its kernels for",
    ),
    Column(
        "environment",
        "cpu_capability",
        "varchar(32)",
        "varchar(32) NOT NULL",
        "blas_core",
        rows="'unknown'",
        comment="instructions that torch chose its kernels for",
    ),
    Column(
        "environment",
        "cuda",
        "varchar(32)",
        "varchar(32) NULL",
        "gpu",
        comment="version of CUDA, where there is a GPU",
    ),
)
_PROGRAMS = (
    Column(
        "worker_lease",
        "program",
        "varchar(16)",
        "varchar(16) NOT NULL",
        "ended",
        rows="''",
        default="''",
        comment="worker or scheduler; empty: another one, a notebook for example",
    ),
)
_DATA = (
    Column(
        "dataset",
        "frame_rate",
        "float64",
        "double NULL",
        "simulation_seed",
        comment="of movies: frames per second, Hz; null: images",
    ),
    Column(
        "dataset__session",
        "n_frames",
        "int64",
        "bigint NULL",
        "n_repeats",
        comment="of movies: frames over the clips of these trials",
    ),
    Column(
        "__performance",
        "frames_skipped",
        "int32",
        "int NULL",
        "n_trials",
        comment="of movies: frames at the start of every clip that are not scored",
    ),
    Column(
        "model_task",
        "state_dict",
        "varchar(255)",
        "varchar(255) NOT NULL",
        "source",
        rows="''",
        default="''",
        comment="dotted path of the state dict, where the file holds several",
    ),
)
_IMAGES = (
    Column(
        "__recording_summary",
        "n_repeated_images",
        "int32",
        "int NOT NULL",
        "n_shared_images",
        rows="-1",
        comment="test images shown twice or more, fewest of a session: FEV rests on them",
    ),
)
_NULLS = (
    Column(
        "null_dataset",
        "cores",
        "varchar(8)",
        "varchar(8) NOT NULL",
        "noise",
        rows="'kept'",
        comment="of networks trained on it: 'kept', the recordings' networks', or 'own'",
    ),
)
_FINETUNINGS = (
    Column(
        "__d_e_c_finetune",
        "n_alive",
        "int16",
        "smallint NULL",
        "distance_over_scale",
        comment="clusters that live, where they may die or the start has fewer than K",
    ),
    Column(
        "__d_e_c_finetune",
        "start_sha256",
        "char(64)",
        "char(64) NULL",
        "n_alive",
        comment="of the consensus that it started from; null: its Clustering's labels",
    ),
    Column(
        "__d_e_c_finetune",
        "peers_sha256",
        "char(64)",
        "char(64) NULL",
        "start_sha256",
        comment="of the networks' partitions that it learnt from",
    ),
    Column(
        "__d_e_c_finetune__epoch",
        "n_alive",
        "int16",
        "smallint NULL",
        "n_empty",
        comment="clusters that live, where they may die",
    ),
)
_TESTS = (
    Column(
        "__cluster_association",
        "covariate_slopes",
        "varchar(16)",
        "varchar(16) NOT NULL",
        "covariates_missing",
        rows="'common'",
        comment="'by_session' or 'common'",
    ),
    Column(
        "__cluster_association",
        "score_scale",
        "varchar(16)",
        "varchar(16) NOT NULL",
        "covariate_slopes",
        rows="'correlation'",
        comment="of effects, variances and contrasts: 'fisher_z' or 'correlation'",
    ),
    Column(
        "__cluster_performance",
        "permutation_statistic",
        "varchar(16)",
        "varchar(16) NOT NULL",
        "epsilon2_within",
        rows="'share'",
        comment="'studentised': ranks, every cluster with a variance of its own",
    ),
    Column(
        "__cluster_performance",
        "n_clusters_left_out",
        "int16",
        "smallint NOT NULL",
        "permutation_statistic",
        rows="0",
        comment="too small for a variance of their own; take no part in the permutation",
    ),
    Column(
        "__grid_association",
        "grid_statistic",
        "varchar(16)",
        "varchar(16) NOT NULL",
        "grid_correction",
        rows="'share'",
        comment="'studentised': every cluster with a variance of its own",
    ),
    Column(
        "__grid_association__member",
        "n_clusters_left_out",
        "int16",
        "smallint NOT NULL",
        "member_status",
        rows="0",
        comment="too small for a variance of their own; take no part in the test",
    ),
)

_INDICES = ("ari", "ami", "v_measure", "fowlkes_mallows", "matched", "n_pairs")
_NAMES = {
    "__embedding_view": {"distance_correlation": "distance_spearman"},
    "__k_criteria": {"figures_sha256": "values_sha256"},
    "__null_fit": {"figures_sha256": "values_sha256"},
    "__seed_null_fit": {"figures_sha256": "values_sha256"},
    "__seed_agreement": {
        "ari_restarts_min": "ari_clustering_seeds_min",
        **{f"{index}_restarts": f"{index}_clustering_seeds" for index in _INDICES},
    },
}


def _computation_versions(old: OldTables) -> None:
    """Give every computed table, which is one that keeps its environment, the version of its computation."""
    for table in old.tables("\\_\\_%"):
        if "env_id" in old.columns(table):
            Column(
                table,
                "computation_version",
                "int16",
                "smallint NOT NULL",
                "seconds",
                rows="1" if table in UNCHANGED else "0",
                default="1",
                comment="of the code that computed it, see `decortex_schemas.database.computation`",
            ).add(old)


def _free_reservations(old: OldTables) -> None:
    """Queue again what was in work: no process lives that holds it, and reservations go by lease from now on."""
    for queue in old.tables("~~%"):
        old.query(
            f"UPDATE {old.name(queue)} SET status = 'pending', reserved_time = NULL, version = '' "
            "WHERE status = 'reserved'"
        )


MIGRATION = Migration(
    to_version=3,
    steps=(
        Step(
            "environments",
            "environments get columns for what decides bits; 'unknown' in those that are registered",
            add_columns(_ENVIRONMENT),
        ),
        Step(
            "movies and state dicts",
            "datasets, sessions and scores get columns of movies (NULL: images), networks the path of their state dict",
            add_columns(_DATA),
        ),
        Step(
            "statistics of tests",
            "tests get columns that say how they were done; existing rows: common slopes, correlations, 'share'",
            add_columns(_TESTS),
        ),
        Step(
            "computation versions",
            "every computed row gets the version of its computation; existing rows 0 where today's code computes "
            "otherwise (`decortex stale` lists them), else 1",
            _computation_versions,
        ),
        Step(
            "repeated images",
            "summaries of recordings get the number of images that FEV rests on; existing rows -1, not counted",
            add_columns(_IMAGES),
        ),
        Step(
            "cores of null networks",
            "null datasets say whose core networks on them take; existing ones 'kept', that of the recordings' network",
            add_columns(_NULLS),
        ),
        Step(
            "variants of fine-tuning",
            "fine-tunings and their epochs get the number of clusters that live (NULL: none could die)",
            add_columns(_FINETUNINGS),
        ),
        Step(
            "names",
            "a Spearman correlation, values of criteria and clustering seeds are called so; nothing is computed again",
            rename({"study__restart": "study__clustering_seed"}, _NAMES),
        ),
        Step(
            "programs", "leases get a column for what holds them: worker or scheduler", add_columns(_PROGRAMS)
        ),
        Step("reservations", "keys that were in work are queued again", _free_reservations),
    ),
)

"""Functions of the public faces show a short example that runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from types import ModuleType

import pytest

# Faces whose functions take arrays (`decortex` itself: test_faces); what takes networks, recordings or a database is
# shown by tutorials, which run.
FACES = (
    "decortex.clustering",
    "decortex.embeddings",
    "decortex.evaluation",
    "decortex.evaluation.performance",
    "decortex.evaluation.agreement",
    "decortex.evaluation.assignment",
    "decortex.evaluation.labels",
    "decortex.evaluation.association",
    "decortex.evaluation.nulls",
    "decortex.evaluation.selection",
    "decortex.evaluation.splits",
    "decortex.evaluation.types_or_axes",
    "decortex.analysis",
    "decortex.data.tables",
    "decortex.figures",
    "decortex.finetune",
    "decortex.tuning",
)
# Parts of a larger computation, whose callers show an example; what takes a network, recordings, a file or rows of a
# study.
PARTS = {
    "decortex.clustering": {
        "exchanged_centres",
        "screened_starts",
    },
    "decortex.evaluation.performance": {
        "reliability_of",
    },
    "decortex.evaluation.assignment": {
        "cluster_distances",
    },
    "decortex.evaluation.labels": {
        "decode_clusters",
        "decode_labels",
        "read_label_rows",
    },
    "decortex.evaluation.association": {
        "adjusted_effect",
        "chance_bound",
        "covariate_columns",
        "freedman_lane_null",
        "studentised_null",
    },
    "decortex.evaluation.nulls": {
        "off_zero",
    },
    "decortex.evaluation.selection": {
        "count_criteria",
        "decide_k",
        "density_valleys",
        "excess",
        "first_within_one_error",
        "gap_statistic",
        "joint_surrogates",
        "judge_halves",
        "null_seed_agreement",
        "partition_criteria",
        "select_jointly",
    },
    "decortex.evaluation.types_or_axes": {
        "axes_sentence",
        "contrast",
        "decide",
        "fold_predictions",
        "held_out_errors",
        "indicators",
        "what_is_added",
    },
    "decortex.analysis": {
        "summarise",
    },
    "decortex.data.tables": {
        "neuron_table",
        "read_text_table",
    },
    "decortex.figures": {
        "agreement_front",
        "agreement_map",
        "cluster_stimuli",
        "figure_bytes",
        "finetuned_nulls",
        "k_criteria",
        "loss_curves",
        "paired_change",
        "performance_by_cluster",
        "study_summary",
        "surrogate_values",
        "view_map",
    },
    "decortex.finetune": {
        "build_term",
        "choose_noise",
        "compare_states",
        "continue_training",
        "draw_null",
        "embed",
        "finetune",
        "null_recordings",
        "readout_on_core",
        "recorded_dispersion",
        "surrogate_network",
    },
    "decortex.tuning": {
        "aligned_features",
        "discriminative_stimuli",
        "exciting_among",
        "linear_fields",
    },
}


def functions(face: str) -> dict[str, object]:
    module = importlib.import_module(face)
    return {
        name: getattr(module, name) for name in module.__all__ if inspect.isfunction(getattr(module, name))
    }


@pytest.mark.parametrize("face", FACES)
def test_every_function_shows_an_example(face: str) -> None:
    without = {name for name, function in functions(face).items() if ">>>" not in str(function.__doc__)}
    assert without == PARTS.get(face, set())


def test_examples_run() -> None:
    modules: set[ModuleType] = {
        importlib.import_module(function.__module__)
        for face in FACES
        for function in functions(face).values()
    }
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 250


def test_examples_are_short() -> None:
    for face in FACES:
        for name, function in functions(face).items():
            lines = re.findall(r"^\s*(?:>>>|\.\.\.) ", str(function.__doc__), flags=re.M)
            assert len(lines) <= 12, f"{face}.{name}: {len(lines)} lines"

"""External labels judge and never choose: nothing that clusters, fine-tunes, selects K or counts types can see them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
TABLES = "schemas/decortex_schemas/tables"
# What makes partitions and embeddings or chooses among them, and what a plan is turned into.
BLIND = (
    "pipeline/decortex/clustering",
    "pipeline/decortex/embeddings",
    "pipeline/decortex/finetune",
    "pipeline/decortex/models",
    "pipeline/decortex/evaluation/selection",
    "pipeline/decortex/evaluation/splits",
    "pipeline/decortex/evaluation/nulls",
    f"{TABLES}/clustering.py",
    f"{TABLES}/embeddings.py",
    f"{TABLES}/finetuning.py",
    f"{TABLES}/networks/networks.py",
    f"{TABLES}/studies/studies.py",
    f"{TABLES}/studies/frozen.py",
    f"{TABLES}/subsamples.py",
    f"{TABLES}/evaluation/number/k_criteria.py",
    f"{TABLES}/evaluation/number/k_selection.py",
    f"{TABLES}/evaluation/agreement/stability.py",
    f"{TABLES}/evaluation/number/joint_nulls.py",
    f"{TABLES}/evaluation/finetune_null.py",
    f"{TABLES}/evaluation/number/types.py",
    "schemas/decortex_schemas/queries/evaluation/k_selection.py",
)
# Modules of labels, and names that hold what they say; `true_types` are a simulation's own.
MODULES = ("evaluation.labels", "label_sets", "label_files", "external_labels")
NAMES = {
    "LabelSet",
    "LabelAgreement",
    "LabelDecoding",
    "labels_of",
    "true_types",
    "true_type",
    "against_labels",
}


def sources(where: str) -> list[Path]:
    path = ROOT / where
    assert path.exists(), where
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def reads_labels(source: str) -> list[str]:
    """What a module imports or names that belongs to external labels."""
    seen = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            seen += [node.module for one in MODULES if one in node.module]
            seen += [f"{node.module}.{one.name}" for one in node.names if one.name in NAMES]
            if node.module.endswith("decortex.evaluation"):
                seen += [one.name for one in node.names if one.name == "labels"]
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            seen.append(node.attr)
        elif isinstance(node, ast.Constant) and node.value in NAMES:
            seen.append(str(node.value))
    return seen


@pytest.mark.parametrize("where", BLIND)
def test_what_makes_or_chooses_partitions_reads_no_label(where: str) -> None:
    found = {path.name: read for path in sources(where) if (read := reads_labels(path.read_text("utf-8")))}
    assert found == {}


@pytest.mark.parametrize(
    "leak",
    [
        "from decortex.evaluation import labels",
        "from decortex.evaluation.labels import label_agreement",
        "from decortex_schemas.tables import LabelSet",
        "import decortex_schemas as schemas\nx = schemas.LabelSet()",
        "x = row['true_type']",
    ],
)
def test_a_leak_would_be_seen(leak: str) -> None:
    assert reads_labels(leak)

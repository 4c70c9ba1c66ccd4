"""Packages and their faces: what `__init__` offers exists, and nobody imports past a face."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import decortex

REPOSITORY = Path(__file__).resolve().parents[2]
ROOTS = {"decortex": "pipeline", "decortex_schemas": "schemas", "decortex_ops": "populate_scripts"}
# Modules that every package may use by their own name: errors, configuration, the rule for labels, distances, and
# where files of a user lie.
OPEN = {
    "decortex.errors",
    "decortex.config",
    "decortex.private_folder",
    "decortex.labels",
    "decortex.distances",
}
# The command line is a program, not a library: its packages offer no names.
PROGRAMS = ("decortex_ops.cli",)
STUBS = sorted(
    path for root, folder in ROOTS.items() for path in (REPOSITORY / folder / root).rglob("__init__.pyi")
)


def module_of(path: Path) -> str:
    """Dotted name of a file in one of the three roots."""
    root = next(folder for folder in ROOTS.values() if path.is_relative_to(REPOSITORY / folder))
    return ".".join(path.relative_to(REPOSITORY / root).with_suffix("").parts).removesuffix(".__init__")


def sources() -> Iterator[Path]:
    for root, folder in ROOTS.items():
        yield from (REPOSITORY / folder / root).rglob("*.py")
    for folder in ("benchmarks", "docs"):
        yield from (REPOSITORY / folder).rglob("*.py")


def is_file(module: str) -> bool:
    folder = REPOSITORY / ROOTS[module.split(".", maxsplit=1)[0]]
    return folder.joinpath(*module.split(".")).with_suffix(".py").is_file()


@pytest.mark.parametrize("stub", STUBS, ids=module_of)
def test_every_name_of_a_face_exists_and_is_listed_once(stub: Path) -> None:
    package = importlib.import_module(module_of(stub))
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    imported = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    listed = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    )
    assert sorted(imported) == sorted(listed) == sorted(package.__all__)
    assert len(set(listed)) == len(listed)
    for name in listed:
        getattr(package, name)


@pytest.mark.parametrize("stub", STUBS, ids=module_of)
def test_no_name_of_a_face_is_also_another_module_of_its_folder(stub: Path) -> None:
    """Importing that module first would put it in the place of what the face offers."""
    folder = stub.parent
    modules = {one.stem for one in folder.glob("*.py")} | {
        one.name for one in folder.iterdir() if one.is_dir()
    }
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            clashes = {alias.name for alias in node.names} & modules - {node.module}
            assert not clashes, f"{clashes} from .{node.module}"


def test_no_package_imports_past_the_face_of_another() -> None:
    deep = []
    for path in sources():
        inside = any(path.is_relative_to(REPOSITORY / folder) for folder in ROOTS.values())
        here = module_of(path.parent / "__init__.py") if inside else ""
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                not isinstance(node, ast.ImportFrom)
                or not node.module
                or node.module.split(".")[0] not in ROOTS
            ):
                continue
            package = node.module.rpartition(".")[0]
            if not is_file(node.module) or node.module in OPEN or node.module.startswith(PROGRAMS):
                continue
            if package in ROOTS or here == package or here.startswith(f"{package}."):
                continue
            names = [alias.name for alias in node.names]
            if not all(
                name.startswith("_") for name in names
            ):  # a benchmark that times a private loop says so
                deep.append(f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.module} {names}")
    assert not deep, "import from the package, not from a module in it:\n" + "\n".join(deep)


def test_read_checkpoint_is_where_a_notebook_looks_for_it() -> None:
    from decortex.models import read_checkpoint
    from decortex.models.checkpoints import read_checkpoint as same

    assert read_checkpoint is same


# What a notebook may rely on; a name that goes or changes its first arguments breaks somebody's work.
VERBS = {
    "ProgressLine": "(what, *, to, every, clock)",
    "agreement": "(a, b)",
    "analyse": "(source, columns, *, method, n_clusters, embedding, seed, wide, **given)",
    "assign": "(new, reference, labels, *, groups, seed, config)",
    "association": "(scores, labels, *, sessions, seed, n_permutations)",
    "choose_k": "(x, method, *, counts, config, raw, donors, progress, n_threads, **params)",
    "cluster": "(x, method, *, n_clusters, seed, **params)",
    "cluster_grid": "(x, method, *, n_clusters, seeds, **params)",
    "communities": "(partitions, *, seed, resolution, n_landmarks)",
    "consensus": "(partitions, n_clusters)",
    "count_types": "(x, *, donors, seed, config)",
    "embed": "(source, *, kind, **params)",
    "geometry_agreement": "(embeddings, settings, *, seed, blocks, n_permutations, largest_exact, sampled_pairs)",
    "load_network": "(path)",
    "measure_tuning": "(network, config, *, device, progress)",
    "open_recordings": "(path, **options)",
    "read_checkpoint": "(path, *, state_dict, embedding_key, mask_key, masks)",
    "simulate": "(*, seed, **params)",
    "split_test": "(x, labels, *, donors, seed, config)",
    "train": "(recordings, recipe, *, seed, **options)",
    "types_or_axes": "(x, target, *, blocks, categorical, standardise, seed, config)",
}
PACKAGES = ("clustering", "data", "embeddings", "evaluation", "figures", "finetune", "models", "tuning")


def words(function: Callable[..., object]) -> str:
    """Signature of a function without types and defaults."""
    parts, starred = [], False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts, starred = [*parts, "*"], True
        parts.append(f"**{parameter.name}" if parameter.kind is parameter.VAR_KEYWORD else parameter.name)
    return f"({', '.join(parts)})"


def test_the_verbs_of_a_notebook_and_their_arguments() -> None:
    assert set(decortex.__all__) == {*VERBS, *PACKAGES}
    found = {name: words(getattr(decortex, name)) for name in VERBS}
    assert found == VERBS
    assert all(inspect.getdoc(getattr(decortex, name)) for name in VERBS)
    assert all(len(found[name].split("*")[0].split(",")) <= 4 for name in VERBS)  # at most three positional


def test_examples_of_the_verbs_run() -> None:
    modules = {importlib.import_module(getattr(decortex, name).__module__) for name in VERBS}
    found = [doctest.testmod(module) for module in modules]
    assert sum(result.failed for result in found) == 0
    assert sum(result.attempted for result in found) >= 16
    assert [name for name in VERBS if ">>>" not in str(getattr(decortex, name).__doc__)] == []


def test_imports_in_the_docs_work() -> None:
    lines = {
        line.strip()
        for page in [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.fullmatch(r"from decortex[\w.]* import \w+(, \w+)*", line.strip())
    }
    assert len(lines) > 10
    for line in sorted(lines):
        module, _, names = line.removeprefix("from ").partition(" import ")
        found = importlib.import_module(module)
        missing = [
            name
            for name in names.split(", ")
            if not hasattr(found, name) and importlib.util.find_spec(f"{module}.{name}") is None
        ]
        assert not missing, f"{line}: {module} has no {', '.join(missing)}"

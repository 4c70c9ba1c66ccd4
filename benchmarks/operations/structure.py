"""The structure of the source tree in numbers: folders, circles, hand-kept lists, lines, what `decortex --help` costs.

    python benchmarks/operations/structure.py [ROOT]                      # details of a checkout: this one, or ROOT
    python benchmarks/operations/structure.py --before OTHER_CHECKOUT     # the table of docs/architecture.md

Minutes of `make test` are those of its last run in the checkout, which leaves a record.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeGuard
from xml.etree import ElementTree

TEST_RECORD = ".test-times.xml"  # as the Makefile names it
ROOTS = {"decortex": "pipeline", "decortex_schemas": "schemas", "decortex_ops": "populate_scripts"}


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a module that run: all but the blocks that only a type checker reads."""
    if isinstance(tree, ast.If) and ast.unparse(tree.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        children = [tree.test, *tree.orelse]
    else:
        yield tree
        children = list(ast.iter_child_nodes(tree))
    for child in children:
        yield from _running(child)


def _is_table(node: ast.AST) -> TypeGuard[ast.ClassDef]:
    """Whether a statement defines a table."""
    return isinstance(node, ast.ClassDef) and "schema" in {ast.unparse(one) for one in node.decorator_list}


def _is_list_of_public_names(node: ast.AST) -> TypeGuard[ast.Assign]:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def _tables_listed(node: ast.AST, known: Mapping[str, str]) -> set[str]:
    """Tables and parts that the elements of a literal name."""
    if isinstance(node, ast.Dict):
        elements = [*node.keys, *node.values]
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        elements = [
            inner for one in node.elts for inner in (one.elts if isinstance(one, ast.Tuple) else [one])
        ]
    else:
        return set()
    named = set()
    for one in elements:
        if isinstance(one, ast.Constant) and one.value in known:
            named.add(known[one.value])
        elif isinstance(one, (ast.Name, ast.Attribute)):
            first, _, part = ast.unparse(one).removeprefix("schemas.").partition(".")
            if first == known.get(first) and part == part.capitalize():
                named.add(".".join(filter(None, (first, part))))
    return named


class Tree:
    """Modules of a checkout and what each imports when it runs, in functions too; faces resolved to what defines."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = {
            ".".join(path.relative_to(root / folder).with_suffix("").parts).removesuffix(".__init__"): path
            for package, folder in ROOTS.items()
            for path in sorted((root / folder / package).rglob("*.py"))
        }
        self.imports = {module: set(self._imports(module)) - {module} for module in self.files}

    def _face(self, package: str) -> dict[str, str]:
        stub = self.files[package].with_name("__init__.pyi")
        if not stub.exists():
            return {}
        nodes = (node for node in ast.parse(stub.read_text()).body if isinstance(node, ast.ImportFrom))
        return {
            alias.name: f"{package}.{node.module or alias.name}" for node in nodes for alias in node.names
        }

    def _defining(self, package: str, name: str) -> str:
        face = self._face(package)
        if name in face:
            target = face[name]
            return self._defining(target, name) if self._is_package(target) and target != package else target
        return f"{package}.{name}" if f"{package}.{name}" in self.files else package

    def _is_package(self, module: str) -> bool:
        return module in self.files and self.files[module].name == "__init__.py"

    def _imports(self, module: str) -> Iterator[str]:
        for node in _running(ast.parse(self.files[module].read_text())):
            if not isinstance(node, ast.ImportFrom) or node.module not in self.files:
                continue
            for alias in node.names:
                name = (
                    self._defining(node.module, alias.name) if self._is_package(node.module) else node.module
                )
                if name in self.files and not self._is_package(name):
                    yield name

    def circles(self) -> list[list[str]]:
        """Groups of modules that import each other, by Tarjan's algorithm."""
        index: dict[str, int] = {}
        low: dict[str, int] = {}
        stack: list[str] = []
        found: list[list[str]] = []

        def visit(module: str) -> None:
            index[module] = low[module] = len(index)
            stack.append(module)
            for other in sorted(self.imports[module]):
                if other not in index:
                    visit(other)
                    low[module] = min(low[module], low[other])
                elif other in stack:
                    low[module] = min(low[module], index[other])
            if low[module] == index[module]:
                group = [stack.pop()]
                while group[-1] != module:
                    group.append(stack.pop())
                if len(group) > 1:
                    found.append(sorted(group))

        sys.setrecursionlimit(10_000)
        for module in sorted(self.files):
            if module not in index:
                visit(module)
        return found

    def tables(self) -> dict[str, str]:
        """Names that a table goes by, of its class and in MySQL, and the class of each."""
        prefix = {"Lookup": "#", "Manual": "", "Imported": "_", "Computed": "__", "Computation": "__"}
        known = {}
        for path in self.files.values():
            for node in filter(_is_table, ast.parse(path.read_text()).body):
                tier = ast.unparse(node.bases[-1]).rpartition(".")[2]
                in_mysql = re.sub(r"(?<!^)(?=[A-Z])", "_", node.name).lower()
                known[node.name] = known[f"{prefix.get(tier, '')}{in_mysql}"] = node.name
        return known

    def hand_kept_lists(self, least: int = 3) -> list[str]:
        """Literals that list ``least`` tables or more, as classes or in quotes: where a new table may be forgotten.

        A literal is a tuple, a list, a set or a dict whose elements, keys or values are tables or their parts, wherever
        it stands, in the programs beside the packages too. Left out are `__all__`, modules that define tables, and
        migrations, which say what older tables were and do not grow with new ones.
        """
        known = self.tables()
        programs = {path.name: path for path in sorted((self.root / "populate_scripts").glob("*.py"))}
        found = []
        for module, path in {**self.files, **programs}.items():
            tree = ast.parse(path.read_text())
            if ".migrations." in module or any(_is_table(node) for node in tree.body):
                continue
            public = {id(node.value) for node in tree.body if _is_list_of_public_names(node)}
            for node in ast.walk(tree):
                named = [] if id(node) in public else sorted(_tables_listed(node, known))
                if len(named) >= least:
                    found.append(f"{module}:{node.lineno} ({', '.join(named)})")
        return found

    def folders(self) -> list[tuple[str, int]]:
        """Modules per folder, most first."""
        count = Counter(
            str(path.parent.relative_to(self.root))
            for path in self.files.values()
            if path.name != "__init__.py"
        )
        return count.most_common()

    def longest(self) -> tuple[str, int]:
        """The file of most lines."""
        lines = {
            str(path.relative_to(self.root)): len(path.read_text().splitlines())
            for path in self.files.values()
        }
        return max(lines.items(), key=lambda item: item[1])

    def lines(self) -> dict[str, int]:
        """Lines of code per root."""
        total: Counter[str] = Counter()
        for module, path in self.files.items():
            total[module.partition(".")[0]] += len(path.read_text().splitlines())
        return dict(total)


def seconds_of_help(root: Path) -> float:
    """Processor seconds of `decortex --help`, the least of five."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(root / folder) for folder in ROOTS.values()),
    }
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "decortex_ops", "--help"], env=environment, check=True, capture_output=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


def minutes_of_tests(root: Path) -> float | None:
    """Minutes that the last `make test` of a checkout took, from the record it leaves; None where there is none."""
    record = root / TEST_RECORD
    if not record.exists():
        return None
    suites = ElementTree.parse(record).getroot().iter("testsuite")
    return round(sum(float(suite.get("time", "nan")) for suite in suites) / 60, 1)


def measures(root: Path) -> dict[str, str]:
    """What the table of docs/architecture.md says of one checkout, by row."""
    tree = Tree(root)
    lines = tree.lines()
    minutes = minutes_of_tests(root)
    return {
        "modules in the largest folder": str(tree.folders()[0][1]),
        "lines of the longest file": str(tree.longest()[1]),
        "circles of imports, deferred ones included": str(len(tree.circles())),
        "tables": str(len(set(tree.tables().values()))),
        "hand-kept lists of tables outside the tables": str(len(tree.hand_kept_lists())),
        "lines of science / tables / operations": " / ".join(f"{lines[package]:,}" for package in ROOTS),
        "processor seconds of `decortex --help`": f"{seconds_of_help(root):.1f}".removeprefix("0"),
        "minutes of `make test`": "not recorded" if minutes is None else str(minutes),
    }


def main() -> None:
    """Print the details of one checkout as a JSON object, or two checkouts as a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument(
        "--before", type=Path, help="another checkout: print a table of both, as documentation has it"
    )
    asked = parser.parse_args()
    root = asked.root.resolve()
    if asked.before is not None:
        before, after = measures(asked.before.resolve()), measures(root)
        print("| | before | after |\n|---|---|---|")
        print("\n".join(f"| {name} | {before[name]} | {after[name]} |" for name in after))
        return
    tree = Tree(root)
    details = {
        "largest folders": tree.folders()[:5],
        "longest file": tree.longest(),
        "circles": tree.circles(),
        "hand-kept lists": tree.hand_kept_lists(),
        "lines": tree.lines(),
        "seconds of --help": round(seconds_of_help(root), 2),
        "minutes of make test": minutes_of_tests(root),
    }
    print(json.dumps(details, indent=1))


if __name__ == "__main__":
    main()

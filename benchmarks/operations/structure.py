"""The structure of the source tree in numbers: folders, circles, lines, and what `decortex --help` costs.

python benchmarks/operations/structure.py [ROOT]     # ROOT: a checkout, to compare two
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOTS = {"decortex": "pipeline", "decortex_schemas": "schemas", "decortex_ops": "populate_scripts"}


class Tree:
    """Modules of a checkout and what each imports anywhere in it, faces resolved to the defining modules."""

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
        for node in ast.walk(ast.parse(self.files[module].read_text())):
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


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parents[2])
    root = parser.parse_args().root.resolve()
    tree = Tree(root)
    print(
        json.dumps(
            {
                "largest folders": tree.folders()[:5],
                "longest file": tree.longest(),
                "circles": tree.circles(),
                "lines": tree.lines(),
                "seconds of --help": round(seconds_of_help(root), 2),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()

"""Build hook: puts commit, digest of the sources (decortex_schemas/build.json) and example plans into the wheel."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FACTS = "schemas/decortex_schemas/database/environment/installed_code.py"


class CommitHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds what the packages do not hold; an editable installation asks its checkout instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Have the examples included, and a file with the facts of this build."""
        if version == "editable":
            return
        root = Path(self.root)
        spec = importlib.util.spec_from_file_location("installed_code", root / _FACTS)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name) / module.BUILD_FILE
        file.write_text(json.dumps(module.build_facts(root), indent=1) + "\n", encoding="utf-8")
        build_data["force_include"][str(root / "docs" / "plans")] = "decortex_ops/plans"
        build_data["force_include"][str(file)] = f"decortex_schemas/{module.BUILD_FILE}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the file."""
        if version != "editable":
            self.folder.cleanup()

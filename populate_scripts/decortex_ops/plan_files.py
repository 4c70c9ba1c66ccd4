"""Plans of studies as files: a path, or an example that comes with the installation (``example:v4-k``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from decortex.errors import ConfigError

EXAMPLE = "example:"
_HERE = Path(__file__).resolve().parent
# In a wheel they lie in the package, where the build puts them; in a checkout they are part of the documentation.
_FOLDERS = (_HERE / "plans", _HERE.parent.parent / "docs" / "plans")


def example_plans() -> dict[str, Path]:
    """Files of the examples by name."""
    folder = next((one for one in _FOLDERS if one.is_dir()), None)
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*.json"))}


def read_plan(named: str) -> dict[str, Any]:
    """Read a plan.

    Parameters
    ----------
    named : str
        Path of a JSON file, or ``example:NAME``.

    Returns
    -------
    dict
        What the file holds.

    Raises
    ------
    ConfigError
        If there is no such example or file, or the file cannot be read as a JSON object.
    """
    path = Path(named)
    if named.startswith(EXAMPLE):
        examples = example_plans()
        name = named.removeprefix(EXAMPLE)
        if name not in examples:
            raise ConfigError(
                f"there is no example {name!r}; there are {', '.join(examples)} (decortex study create NAME"
                f" {EXAMPLE}{next(iter(examples), 'NAME')})."
            )
        path = examples[name]
    if not path.is_file():
        raise ConfigError(
            f"there is no file {path}. A plan is a JSON file, which `decortex plan -o {path.name or 'plan.json'}`"
            f" writes from flags, or an example: {', '.join(EXAMPLE + one for one in example_plans())}."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"the plan {path} cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"the plan {path} should be a JSON object, but is a {type(values).__name__}.")
    values.pop("$schema", None)  # for editors
    return values

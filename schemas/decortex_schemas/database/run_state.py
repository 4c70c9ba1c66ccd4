"""Where runs that last keep their state while they compute, so that a killed one goes on. No table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from decortex.config import config_hash
from decortex.models import training
from decortex_schemas.database.environment import environment_hash
from decortex_schemas.database.server import store_folder

# A state that no epoch has touched for longer is of a run that nobody will take up.
STALE_DAYS = 30


def state_folder() -> Path:
    """Folder of the states (``DECORTEX_STATE``); by default in the store, where every worker finds it.

    Private to the user: another user's workers begin their runs anew.
    """
    named = os.environ.get("DECORTEX_STATE")
    if named:
        return Path(named).expanduser().resolve()
    return store_folder() / f".state-{os.getuid()}"


def run_state(table: str, key: dict[str, Any], **inputs: Any) -> training.StateFile:
    """State of the run of one key, named by all that its result depends on.

    Parameters
    ----------
    table : str
        Name of the computed table.
    key : dict
        Primary key.
    **inputs
        Digests and parameters that the run starts from: strings, numbers, lists, dicts.

    Returns
    -------
    StateFile
        A run on other inputs, or in another software environment (a row names one), has another name and
        begins anew.
    """
    named = {name: value if isinstance(value, str) else int(value) for name, value in key.items()}
    content = {"table": table, "key": named, "inputs": inputs, "environment": environment_hash()}
    return training.StateFile(state_folder(), config_hash(content))


def discard_stale_states() -> int:
    """Remove this user's states that no epoch has touched for a month; returns how many."""
    return training.discard_stale(state_folder(), max_age_days=STALE_DAYS)

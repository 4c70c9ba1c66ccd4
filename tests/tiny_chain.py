"""The smallest chain that is computed as the large ones are: an imported network, its embedding, its partitions.

No training: filling it takes seconds, files of the store and every kind of make included.
"""

from __future__ import annotations

import pickle
from typing import Any

from other_processes import Lab

DECLARE = """
import numpy as np, torch
from pathlib import Path
from decortex_schemas.register.plans.defaults import register_defaults
from decortex_schemas.register.plans import PlanFile, declare_plan
from decortex_schemas.register.checkpoints import register_checkpoint
register_defaults()
rng = np.random.default_rng(7)
centres = rng.normal(size=(3, 5))
path = Path({folder!r}) / 'network.pth'
torch.save({{'features': torch.tensor(centres[np.arange(45) % 3] + 0.3 * rng.normal(size=(45, 5)))}}, path)
register_checkpoint(path, name='tiny', embedding_key='features')
declare_plan('tiny', PlanFile.from_params(dict(
    networks=[dict(dataset='tiny', imported='tiny')],
    embeddings=[dict(name='raw', params=dict(kind='raw')), dict(name='l2', params=dict(kind='l2'))],
    methods=[dict(method='kmeans'), dict(method='gmm', params=dict(covariance='diag'))],
    counts=[2, 3],
    seeds=[0],
)))
"""
# Rows by table when all is computed.
ROWS = {
    "TrainedModel": 1,
    "EmbeddingView": 2,
    "Embedding": 2,
    "Clustering": 8,
    "DECFinetune": 8,
    "ClusterQuality": 8,
    "ClusterConfound": 8,
    "TypeCount": 2,
}
# Everything that is a result, by table, without when, where and how long.
DUMP = """
import pickle, sys
import numpy as np
from decortex_schemas.database.schema import computed_tables
circumstance = {'env_id', 'db_user', 'host_name', 'started_at', 'seconds', 'epoch_seconds'}
def plain(value):
    if hasattr(value, 'load'):
        value = value.load()
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value
found = {}
for table in computed_tables():
    for part in [table, *(getattr(table, n) for n in sorted(vars(table)) if n[0].isupper())]:
        rows = part().to_dicts(order_by='KEY')
        found[part.__qualname__] = [{k: plain(v) for k, v in r.items() if k not in circumstance} for r in rows]
sys.stdout.write(pickle.dumps(found).hex())
"""

Rows = dict[str, list[dict[str, Any]]]


def declare_tiny(lab: Lab) -> None:
    """Declare the tables, and ask for the chain."""
    lab.folder.mkdir(exist_ok=True)
    lab.python(DECLARE.format(folder=str(lab.folder)))


def dump(lab: Lab) -> Rows:
    """Every computed row, files included."""
    found: Rows = pickle.loads(bytes.fromhex(lab.python(DUMP)))
    return found


def jobs(lab: Lab) -> dict[str, int]:
    """Jobs by state, over all queues."""
    tables = [row[0] for row in lab.query("SHOW TABLES") if row[0].startswith("~~")]
    union = " UNION ALL ".join(f"SELECT status FROM `{name}`" for name in tables)
    return dict(lab.query(f"SELECT status, COUNT(*) FROM ({union}) AS every GROUP BY status"))


def fill_tiny(lab: Lab) -> None:
    """Queue and compute with one worker until nothing is left."""
    lab.python("from small_lab import fill; fill()")

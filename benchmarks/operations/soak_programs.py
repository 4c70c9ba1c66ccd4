"""Programs that a soak runs in processes of the lab: declare a study; look at what the database holds."""

# Takes the number of the study and the folder of its network.
DECLARE = """
import numpy as np, torch
from pathlib import Path
import decortex_schemas as schemas
from decortex_schemas.register import PlanFile, declare_plan, register_checkpoint, register_defaults
schemas.connect()
register_defaults()
number, folder = {number}, Path({folder!r})
rng = np.random.default_rng(number)
centres = rng.normal(size=(5, 8))
path = folder / f'network-{{number}}.pth'
torch.save({{'features': torch.tensor(centres[np.arange(240) % 5] + 0.4 * rng.normal(size=(240, 8)))}}, path)
name = f'soak-{{number}}'
register_checkpoint(path, name=name, embedding_key='features')
declare_plan(name, PlanFile.from_params(dict(
    networks=[dict(dataset=name, imported=name)],
    embeddings=[dict(name='raw', params=dict(kind='raw')), dict(name='l2', params=dict(kind='l2'))],
    methods=[
        dict(method='kmeans', params=dict(n_init=1)),
        dict(method='gmm', params=dict(covariance='diag', n_init=1)),
    ],
    counts=list(range(2, 12)),
    seeds=list(range(4)),
)))
"""

# Runs in a process of the lab's environment; writes what the database holds to the file named in its first argument.
LOOK = """
import json, sys
import datajoint as dj
import decortex_schemas as schemas
from decortex_schemas.database import computed_tables, instance_of, queue_of
from decortex_schemas.database.store import check_files, orphans
schemas.connect()
found = {'rows': {}, 'missing': {}, 'errors': [], 'reserved': 0}
for table in computed_tables():
    own = instance_of(table)
    errors = queue_of(table) & "status = 'error'"
    found['rows'][table.__name__] = own.keys()
    found['missing'][table.__name__] = len(
        (own.key_source - own.proj()).restrict(dj.Not(errors.proj()), semantic_check=False)
    )
    found['errors'] += [f"{table.__name__}: {row['error_message']}" for row in errors.to_dicts()]
    found['reserved'] += len(queue_of(table) & "status = 'reserved'")
faults, n_files = check_files()
found['damaged'] = [str(fault) for fault in faults]
found['files'] = n_files
found['orphaned_files'] = len(orphans())
json.dump(found, open(sys.argv[1], 'w'), default=str)
"""

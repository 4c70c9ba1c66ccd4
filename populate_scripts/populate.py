"""Fill one stage of the chain with DataJoint's own populate(): python populate.py STAGE, as often as you like.

A stage is a module of `decortex_schemas.tables` (networks, embeddings, clustering, finetuning ...) or its folder
evaluation; without one, all stages are filled in the order of the chain. Every computed table belongs to a stage.
"""

import sys

import decortex_schemas as schemas
from decortex_schemas.database import computed_tables, stage_of

if __name__ == "__main__":
    asked = sys.argv[1:]
    stages = list(dict.fromkeys(stage_of(table) for table in computed_tables()))
    unknown = sorted(set(asked) - set(stages))
    if unknown:
        print(f"{', '.join(unknown)}: no such stage; there are {', '.join(stages)}.", file=sys.stderr)
        sys.exit(2)
    schemas.connect()
    for table in computed_tables():
        if not asked or stage_of(table) in asked:
            table.populate(reserve_jobs=True, display_progress=True)

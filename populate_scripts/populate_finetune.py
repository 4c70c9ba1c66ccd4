"""Fine-tune the networks that studies ask for, and train their equal-epoch controls."""

import decortex_schemas as schemas

schemas.connect()
schemas.ContinuedTraining.populate(reserve_jobs=True, display_progress=True)
schemas.DECFinetune.populate(reserve_jobs=True, display_progress=True)

"""Train (or import) every network that a study asks for, and score it. Start it as often as you like."""

import decortex_schemas as schemas

schemas.connect()
schemas.TrainedModel.populate(reserve_jobs=True, display_progress=True)
schemas.Performance.populate(reserve_jobs=True, display_progress=True)

"""Turn the readout weights of every trained network into the embeddings and views that studies ask for."""

import decortex_schemas as schemas

schemas.connect()
schemas.Embedding.populate(reserve_jobs=True, display_progress=True)
schemas.EmbeddingView.populate(reserve_jobs=True, display_progress=True)

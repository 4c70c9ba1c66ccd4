"""Registration: datasets, checkpoints, plans and defaults become rows."""

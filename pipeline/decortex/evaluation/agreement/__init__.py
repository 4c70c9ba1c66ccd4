"""Agreement between partitions of the same neurons, and what partitions have in common."""

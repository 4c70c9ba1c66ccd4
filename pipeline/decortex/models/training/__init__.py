"""Training of a network: the epoch loop, its configuration and its pieces."""

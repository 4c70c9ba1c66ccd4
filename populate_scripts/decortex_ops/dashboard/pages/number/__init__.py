"""Pages on the number of clusters and types."""

"""Commands that read partitions: clusters, axes, labels, types, new neurons."""

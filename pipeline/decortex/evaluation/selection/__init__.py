"""The number of clusters that the data support, which may be none."""

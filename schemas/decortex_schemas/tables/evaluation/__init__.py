"""The tables of evaluation: quality, performance, agreement, the number of clusters."""

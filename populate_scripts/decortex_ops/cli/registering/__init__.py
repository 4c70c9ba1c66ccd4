"""Commands that register data sets, networks, tables and labels by name."""

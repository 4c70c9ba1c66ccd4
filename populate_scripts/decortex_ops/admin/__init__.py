"""Administration of a database: roles, backup and restore."""

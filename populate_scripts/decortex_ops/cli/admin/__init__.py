"""Commands of an administrator: accounts, database, store, backup."""

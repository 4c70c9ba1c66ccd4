"""Tables of decortex: definitions and thin make(). Importing needs no database; `connect()` does."""

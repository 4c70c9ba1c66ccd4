"""The database under the tables: connection, store, codecs, provenance, leases, queues."""

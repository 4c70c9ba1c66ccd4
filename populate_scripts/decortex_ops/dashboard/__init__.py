"""The dashboard: what is in the database, opened by link, changing nothing. Needs the extra ``dash``."""

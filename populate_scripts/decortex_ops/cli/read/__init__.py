"""Commands that read results: tables, figures, report, export."""

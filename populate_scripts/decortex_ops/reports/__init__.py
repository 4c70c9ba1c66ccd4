"""What people read of a frozen study: figures, report, methods text, export."""

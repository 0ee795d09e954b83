"""DuckDB in processes of its own: what it computes never holds the interpreter that answers."""

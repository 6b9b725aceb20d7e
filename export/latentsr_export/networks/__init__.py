"""Networks that the exporter knows, one family a file."""

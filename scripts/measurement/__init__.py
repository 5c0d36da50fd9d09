"""Shared by the measuring scripts: programs, the exporter, its peers, and tables."""

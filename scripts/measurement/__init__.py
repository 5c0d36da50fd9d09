"""What the measuring scripts share: programs, the exporter, its peers, and tables."""

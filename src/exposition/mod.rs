//! Snapshot and registry become the text that Prometheus scrapes, plain or compressed.

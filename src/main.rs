//! The `cloudflare-origin-region-exporter` command.

fn main() {}

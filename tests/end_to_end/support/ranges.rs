//! The range files of the demo.

use std::fmt::Write as _;

use cloudflare_origin_region_exporter::simulator::{Simulator, demo};

/// The configuration that uses them.
pub(crate) fn configuration(api: &Simulator) -> String {
    let mut text = "verify:\n  vendor_ranges:\n    enabled: true\n    sources:\n".to_owned();
    for file in demo::range_files() {
        let source = api.file_url(file.path);
        writeln!(text, "      {}: \"{source}\"", file.vendor).unwrap();
    }
    text
}

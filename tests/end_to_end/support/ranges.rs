//! The vendors' range files of the demo.

use std::fmt::Write as _;

use cloudflare_origin_region_exporter::simulator::{Simulator, StaticFile, World, demo};

/// Lets the simulation serve the files.
pub(crate) fn serve(world: &mut World) {
    for file in demo::range_files() {
        let served = StaticFile {
            content_type: "application/json".to_owned(),
            body: file.json.into(),
            etag: None,
        };
        world.files.insert(file.path.to_owned(), served);
    }
}

/// The configuration's lines that use them.
pub(crate) fn configuration(api: &Simulator) -> String {
    let mut text = "verify:\n  vendor_ranges:\n    enabled: true\n    sources:\n".to_owned();
    for file in demo::range_files() {
        let source = api.file_url(file.path);
        writeln!(text, "      {}: \"{source}\"", file.vendor).unwrap();
    }
    text
}

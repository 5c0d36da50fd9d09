//! The two families with a line for each mapping, which are most of a large exposition.

use std::fmt::Write;

use super::text::{Samples, UnixSeconds};
use crate::domain::{Mapping, ZoneMappings};
use crate::metric_families::{self, Family};

type Writer = fn(&Mapping, &[&str], &mut Samples<'_>);

/// The families in the order of the exposition, with the functions that render their samples.
const WRITERS: [(&Family, Writer); 2] = [
    (&metric_families::MAPPING_INFO, |_, labels, out| {
        out.add(labels, 1);
    }),
    (
        &metric_families::MAPPING_LAST_MODIFIED,
        |mapping, labels, out| {
            if let Some(time) = mapping.modified_on {
                out.add(labels, UnixSeconds(time));
            }
        },
    ),
];

/// The number of families.
pub(super) const FAMILIES: usize = WRITERS.len();

/// The approximate length of all lines of one mapping, in bytes, if the rendered labels of its zone
/// are `labels`.
pub(super) fn typical_len(labels: &str) -> usize {
    /// Names, an address, a vendor and a region, a time.
    const OTHERS: usize = 130;
    FAMILIES * (labels.len() + OTHERS)
}

/// The families in the order of the exposition.
pub(super) fn all() -> impl ExactSizeIterator<Item = &'static Family> {
    WRITERS.iter().map(|(family, _)| *family)
}

/// Appends a zone's lines of the family at `index` of [`all`]. `labels` are the rendered labels of
/// the zone.
pub(super) fn push_lines(out: &mut String, index: usize, mappings: &ZoneMappings, labels: &str) {
    let Some((family, write)) = WRITERS.get(index) else {
        return;
    };
    let mut samples = Samples::new(out, family, labels);
    let mut ip = String::new();
    for mapping in mappings.as_slice() {
        ip.clear();
        // Writing to a `String` cannot fail.
        let _ = write!(ip, "{}", mapping.origin_ip);
        let own = [&ip, mapping.vendor.as_str(), mapping.region.as_str()];
        write(mapping, &own, &mut samples);
    }
}

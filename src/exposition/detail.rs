//! The two families with one line for each mapping: most of a large exposition.

use super::numbers::{push_ip, push_unix_seconds};
use super::text::joined_labels;
use crate::domain::{Mapping, Region, Vendor, ZoneMappings};
use crate::metric_families::{self, Family};

/// The families in the order of the exposition, and their values.
const FAMILY_VALUES: [(&Family, Value); 2] = [
    (&metric_families::MAPPING_INFO, Value::One),
    (&metric_families::MAPPING_LAST_MODIFIED, Value::LastModified),
];

/// The value of a sample.
#[derive(Debug, Clone, Copy)]
enum Value {
    One,
    /// A mapping without a time has no sample.
    LastModified,
}

pub(super) const FAMILIES: usize = FAMILY_VALUES.len();

/// The families in the order of the exposition.
pub(super) fn all() -> impl ExactSizeIterator<Item = &'static Family> {
    FAMILY_VALUES.iter().map(|(family, _)| *family)
}

/// Appends a zone's lines of the family at `index` of [`all`]. `labels` are the rendered labels of
/// the zone.
pub(super) fn push_lines(out: &mut Vec<u8>, index: usize, mappings: &ZoneMappings, labels: &str) {
    let Some((family, value)) = FAMILY_VALUES.get(index) else {
        return;
    };
    let start = [family.name, "{", labels, ",origin_ip=\""].concat();
    // What follows an address up to the next one is appended at once, except for the value.
    let mut places = Places::default();
    let before = out.len();
    out.extend_from_slice(start.as_bytes());
    for mapping in mappings.as_slice() {
        match (value, mapping.modified_on) {
            (Value::One, _) => {
                push_ip(out, mapping.origin_ip);
                let rest = places.rest(mapping, |end| [end, "1\n", &start].concat(), family);
                out.extend_from_slice(rest.as_bytes());
            }
            (Value::LastModified, Some(time)) => {
                push_ip(out, mapping.origin_ip);
                let rest = places.rest(mapping, str::to_owned, family);
                out.extend_from_slice(rest.as_bytes());
                push_unix_seconds(out, time);
                out.push(b'\n');
                out.extend_from_slice(start.as_bytes());
            }
            (Value::LastModified, None) => {}
        }
    }
    // The start of a line that does not follow.
    out.truncate((out.len() - start.len()).max(before));
}

/// What follows the address, by vendor and region. A zone has few of them.
#[derive(Debug, Default)]
struct Places<'a> {
    rests: Vec<(&'a Vendor, &'a Region, String)>,
}

impl<'a> Places<'a> {
    /// What follows the address of a mapping. `make` makes it from the labels.
    fn rest(
        &mut self,
        mapping: &'a Mapping,
        make: impl FnOnce(&str) -> String,
        family: &Family,
    ) -> &str {
        let (vendor, region) = (&mapping.vendor, &mapping.region);
        let known = self
            .rests
            .iter()
            .position(|(known_vendor, known_region, _)| {
                // Mappings of one read share their strings, so this is usually the same string.
                (std::ptr::eq(known_region.as_str(), region.as_str()) || *known_region == region)
                    && *known_vendor == vendor
            });
        let index = known.unwrap_or_else(|| {
            // Starts with the closing quote of the address.
            let values = [vendor.as_str(), region.as_str()];
            let end = ["\"", &joined_labels(family, "", &values), "} "].concat();
            self.rests.push((vendor, region, make(&end)));
            self.rests.len() - 1
        });
        self.rests.get(index).map_or("", |(_, _, rest)| rest)
    }
}

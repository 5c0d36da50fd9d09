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
    let mut places = Places::default();
    for mapping in mappings.as_slice() {
        let time = match (value, mapping.modified_on) {
            (Value::One, _) => None,
            (Value::LastModified, None) => continue,
            (Value::LastModified, time) => time,
        };
        out.extend_from_slice(start.as_bytes());
        push_ip(out, mapping.origin_ip);
        out.extend_from_slice(places.labels(family, mapping).as_bytes());
        match time {
            Some(time) => push_unix_seconds(out, time),
            None => out.push(b'1'),
        }
        out.push(b'\n');
    }
}

/// The ends of lines, up to the value, by vendor and region. A zone has few of them.
#[derive(Debug, Default)]
struct Places<'a> {
    ends: Vec<(&'a Vendor, &'a Region, String)>,
}

impl<'a> Places<'a> {
    fn labels(&mut self, family: &Family, mapping: &'a Mapping) -> &str {
        let (vendor, region) = (&mapping.vendor, &mapping.region);
        let known = self
            .ends
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
            self.ends.push((vendor, region, end));
            self.ends.len() - 1
        });
        self.ends.get(index).map_or("", |(_, _, end)| end.as_str())
    }
}

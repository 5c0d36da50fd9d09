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

/// What differs from line to line, rendered: less than a tenth of the lines. Rendering it takes most
/// of the time of rendering the lines.
#[derive(Debug)]
pub(super) struct DetailTexts {
    mappings: Box<[MappingText]>,
    /// The address and the time of each mapping, one after the other.
    texts: Box<[u8]>,
    /// What is between address and value, by vendor and region.
    places: Box<[String]>,
}

/// The texts of a mapping.
#[derive(Debug)]
struct MappingText {
    ip_len: u8,
    /// 0 if there is no time.
    time_len: u8,
    /// The index of the vendor and region.
    place: u16,
}

impl DetailTexts {
    pub(super) fn new(mappings: &ZoneMappings) -> Self {
        let mut texts = Vec::new();
        let mut places = Places::default();
        let mappings = mappings.as_slice().iter().map(|mapping| {
            let start = texts.len();
            push_ip(&mut texts, mapping.origin_ip);
            let time = texts.len();
            if let Some(modified_on) = mapping.modified_on {
                push_unix_seconds(&mut texts, modified_on);
            }
            // A zone has at most some thousand mappings, and these texts are short.
            MappingText {
                ip_len: u8::try_from(time - start).unwrap_or_default(),
                time_len: u8::try_from(texts.len() - time).unwrap_or_default(),
                place: u16::try_from(places.index(mapping)).unwrap_or_default(),
            }
        });
        Self {
            mappings: mappings.collect(),
            texts: texts.into_boxed_slice(),
            places: places.ends.into_iter().map(|(_, _, end)| end).collect(),
        }
    }

    /// Appends the lines of the family at `index` of [`all`]. `labels` are the rendered labels of
    /// the zone.
    pub(super) fn push_lines(&self, out: &mut Vec<u8>, index: usize, labels: &str) {
        let Some((family, value)) = FAMILY_VALUES.get(index) else {
            return;
        };
        let start = [family.name, "{", labels, ",origin_ip=\""].concat();
        let whole_ends: Vec<String> = match value {
            // What follows an address up to the next one is appended at once.
            Value::One => {
                let ends = self.places.iter();
                ends.map(|end| [end, "1\n", &start].concat()).collect()
            }
            Value::LastModified => Vec::new(),
        };
        let before = out.len();
        out.extend_from_slice(start.as_bytes());
        let mut texts = &*self.texts;
        for mapping in &self.mappings {
            let (ip, rest) = split(texts, mapping.ip_len);
            let (time, rest) = split(rest, mapping.time_len);
            texts = rest;
            let place = usize::from(mapping.place);
            match value {
                Value::One => {
                    out.extend_from_slice(ip);
                    out.extend_from_slice(whole_ends.get(place).map_or(b"", String::as_bytes));
                }
                Value::LastModified if time.is_empty() => {}
                Value::LastModified => {
                    out.extend_from_slice(ip);
                    out.extend_from_slice(self.places.get(place).map_or(b"", String::as_bytes));
                    out.extend_from_slice(time);
                    out.push(b'\n');
                    out.extend_from_slice(start.as_bytes());
                }
            }
        }
        // The start of a line that does not follow.
        out.truncate((out.len() - start.len()).max(before));
    }
}

fn split(texts: &[u8], len: u8) -> (&[u8], &[u8]) {
    texts.split_at_checked(len.into()).unwrap_or_default()
}

/// What is between address and value, by vendor and region. A zone has few of them.
#[derive(Debug, Default)]
struct Places<'a> {
    ends: Vec<(&'a Vendor, &'a Region, String)>,
}

impl<'a> Places<'a> {
    fn index(&mut self, mapping: &'a Mapping) -> usize {
        let (vendor, region) = (&mapping.vendor, &mapping.region);
        let known = self
            .ends
            .iter()
            .position(|(known_vendor, known_region, _)| {
                // Mappings of one read share their strings, so this is usually the same string.
                (std::ptr::eq(known_region.as_str(), region.as_str()) || *known_region == region)
                    && *known_vendor == vendor
            });
        known.unwrap_or_else(|| {
            // Starts with the closing quote of the address. The labels of both families are equal.
            let values = [vendor.as_str(), region.as_str()];
            let labels = joined_labels(&metric_families::MAPPING_INFO, "", &values);
            self.ends
                .push((vendor, region, ["\"", &labels, "} "].concat()));
            self.ends.len() - 1
        })
    }
}

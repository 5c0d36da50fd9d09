//! The rows of a vendor's file: read one by one, bounded, and reduced to prefix and region.

use std::fmt;
use std::marker::PhantomData;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

use super::table::{Range, VendorTable};
use crate::domain::{Region, Vendor, usual_region};

/// The most rows of a file: more than any vendor publishes. The largest file has 26,000 that count.
/// This bounds the memory that a file can take.
pub(super) const MAX_ROWS: usize = 1_000_000;

/// The rows of a list that are kept.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) ranges: Vec<Range>,
    pub(super) rejected: usize,
}

impl Rows {
    /// Adds a row. `prefix` may be missing or invalid, and `region` may mean none.
    pub(super) fn add(&mut self, vendor: &Vendor, prefix: Option<&str>, region: Option<&str>) {
        match prefix.and_then(|prefix| prefix.parse::<IpNet>().ok()) {
            Some(net) => self.ranges.push(Range {
                net: net.trunc(),
                region: region.and_then(|region| named_region(vendor, region)),
                is_edge: false,
            }),
            None => self.rejected += 1,
        }
    }

    /// Adds the rows of a list as those of an edge service.
    pub(super) fn extend_edge(&mut self, list: Self) {
        self.rejected += list.rejected;
        self.ranges
            .extend(list.ranges.into_iter().map(|range| Range {
                is_edge: true,
                region: None,
                ..range
            }));
    }

    /// Adds the rows of a list with one region.
    pub(super) fn extend(&mut self, list: Self, vendor: &Vendor, region: &str) {
        let region = named_region(vendor, region);
        self.rejected += list.rejected;
        self.ranges
            .extend(list.ranges.into_iter().map(|range| Range {
                region: region.clone(),
                ..range
            }));
    }

    pub(super) fn into_table(self, published: Option<Timestamp>) -> VendorTable {
        VendorTable::new(self.ranges, published, self.rejected)
    }
}

/// The usual identifier of a region; `None` for words that mean no region.
fn named_region(vendor: &Vendor, name: &str) -> Option<Region> {
    if name.eq_ignore_ascii_case("global") {
        None
    } else {
        Region::parse(&usual_region(vendor, name)).ok()
    }
}

/// Reads a list row by row. `keep` adds each row to the result.
pub(super) fn fold_rows<'de, D, R>(
    deserializer: D,
    keep: fn(R, &mut Rows),
) -> Result<Rows, D::Error>
where
    D: Deserializer<'de>,
    R: Deserialize<'de>,
{
    struct Fold<R> {
        keep: fn(R, &mut Rows),
        row: PhantomData<R>,
    }

    impl<'de, R: Deserialize<'de>> Visitor<'de> for Fold<R> {
        type Value = Rows;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rows, A::Error> {
            let mut rows = Rows::default();
            while let Some(row) = list.next_element()? {
                (self.keep)(row, &mut rows);
                if rows.ranges.len() > MAX_ROWS {
                    return Err(A::Error::custom(format_args!("more than {MAX_ROWS} rows")));
                }
            }
            Ok(rows)
        }
    }

    deserializer.deserialize_seq(Fold {
        keep,
        row: PhantomData,
    })
}

//! The rows of a vendor's file: read one by one, bounded, and reduced to prefix and region.

use std::fmt;
use std::marker::PhantomData;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Deserializer, Error as _, SeqAccess, Visitor};

use super::table::{Place, VendorTable};
use crate::domain::{Region, Vendor, usual_region};

/// The most rows of a file: more than any vendor publishes. The largest file has 26,000 that count.
/// This bounds the memory that a file can take.
pub(super) const MAX_ROWS: usize = 1_000_000;

/// The rows of a list that are kept.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<(IpNet, Place)>,
    pub(super) rejected: usize,
}

impl Rows {
    /// Adds a row. Its prefix may be missing or invalid.
    pub(super) fn add(&mut self, prefix: Option<&str>, place: Place) {
        match prefix.and_then(|prefix| prefix.parse::<IpNet>().ok()) {
            Some(net) => self.rows.push((net.trunc(), place)),
            None => self.rejected += 1,
        }
    }

    /// Adds the rows of a list.
    pub(super) fn append(&mut self, list: Self) {
        self.rows.extend(list.rows);
        self.rejected += list.rejected;
    }

    /// The rows of a list, all at one place.
    pub(super) fn at(mut self, place: &Place) -> Self {
        for (_, of_row) in &mut self.rows {
            of_row.clone_from(place);
        }
        self
    }

    pub(super) fn into_table(self, published: Option<Timestamp>) -> VendorTable {
        VendorTable::new(self.rows, published, self.rejected)
    }
}

/// The place of a region in a vendor's spelling. Some words mean no region.
pub(super) fn place(vendor: &Vendor, region: &str) -> Place {
    let is_named = !region.eq_ignore_ascii_case("global");
    let region = Region::parse(&usual_region(vendor, region)).ok();
    let region = region.filter(|_| is_named);
    region.map_or(Place::Nowhere, Place::Region)
}

/// A row of a list in a vendor's file.
pub(super) trait Row: DeserializeOwned {
    /// Adds its prefixes to `rows`, if they count.
    fn keep(self, rows: &mut Rows);
}

/// Reads a list row by row.
pub(super) fn fold_rows<'de, R: Row, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Rows, D::Error> {
    struct Fold<R>(PhantomData<R>);

    impl<'de, R: Row> Visitor<'de> for Fold<R> {
        type Value = Rows;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rows, A::Error> {
            let mut rows = Rows::default();
            while let Some(row) = list.next_element::<R>()? {
                row.keep(&mut rows);
                if rows.rows.len() > MAX_ROWS {
                    return Err(A::Error::custom(format_args!("more than {MAX_ROWS} rows")));
                }
            }
            Ok(rows)
        }
    }

    deserializer.deserialize_seq(Fold::<R>(PhantomData))
}

//! The rows of a vendor's file: read one by one, bounded, and reduced to prefix and region.

use std::fmt;
use std::marker::PhantomData;

use indexmap::IndexSet;
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
    nets: Vec<(IpNet, Place)>,
    /// Each region once: a row has only its index.
    regions: IndexSet<Region>,
    rejected: usize,
}

impl Rows {
    /// No rows yet, but some that were rejected.
    pub(super) fn with_rejected(rejected: usize) -> Self {
        Self {
            rejected,
            ..Self::default()
        }
    }

    /// The place of a region in a vendor's spelling. Some words mean no region.
    pub(super) fn place(&mut self, vendor: &Vendor, region: &str) -> Place {
        if region.eq_ignore_ascii_case("global") {
            return Place::Nowhere;
        }
        match Region::parse(&usual_region(vendor, region)) {
            Ok(region) => self.place_of(region),
            Err(_) => Place::Nowhere,
        }
    }

    /// The place of a region.
    pub(super) fn place_of(&mut self, region: Region) -> Place {
        let (index, _) = self.regions.insert_full(region);
        // No vendor has that many regions.
        u16::try_from(index).map_or(Place::Nowhere, Place::Region)
    }

    /// Adds a row. Its prefix may be missing or invalid.
    pub(super) fn add(&mut self, prefix: Option<&str>, place: Place) {
        match prefix.and_then(|prefix| prefix.parse::<IpNet>().ok()) {
            Some(net) => self.add_net(net, place),
            None => self.rejected += 1,
        }
    }

    /// Adds a row with a valid prefix.
    pub(super) fn add_net(&mut self, net: IpNet, place: Place) {
        self.nets.push((net.trunc(), place));
    }

    /// Adds the rows of a list.
    pub(super) fn append(&mut self, list: Self) {
        let places: Vec<_> = list.regions.into_iter().map(|r| self.place_of(r)).collect();
        let here = |place| match place {
            Place::Region(index) => places.get(usize::from(index)).copied().unwrap_or(place),
            place => place,
        };
        let rows = list.nets.into_iter();
        self.nets
            .extend(rows.map(|(net, place)| (net, here(place))));
        self.rejected += list.rejected;
    }

    /// Adds the rows of a list, all at one place.
    pub(super) fn append_at(&mut self, list: Self, place: Place) {
        let rows = list.nets.into_iter();
        self.nets.extend(rows.map(|(net, _)| (net, place)));
        self.rejected += list.rejected;
    }

    pub(super) fn len(&self) -> usize {
        self.nets.len()
    }

    pub(super) fn into_table(self, published: Option<Timestamp>) -> VendorTable {
        VendorTable::new(self.nets, self.regions, published, self.rejected)
    }
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
                if rows.len() > MAX_ROWS {
                    return Err(A::Error::custom(format_args!("more than {MAX_ROWS} rows")));
                }
            }
            Ok(rows)
        }
    }

    deserializer.deserialize_seq(Fold::<R>(PhantomData))
}

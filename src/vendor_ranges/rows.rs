//! The rows of a vendor's file: read one by one, bounded, and reduced to prefix and region.

use std::fmt;
use std::marker::PhantomData;

use indexmap::IndexSet;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Deserializer, Error as _, SeqAccess, Visitor};

use super::table::{Place, Prefixes, VendorTable};
use crate::domain::{Region, Vendor, usual_region};

/// The most rows of a list: more than any vendor publishes. The largest file has 26,000 that count.
/// With the limit on the bytes of a file, this bounds the memory that it can take.
pub(super) const MAX_ROWS: usize = 1_000_000;

/// The rows of a file that are kept.
#[derive(Debug, Default)]
pub(super) struct Rows {
    prefixes: Prefixes,
    /// Each region once: a prefix has only its index.
    regions: IndexSet<Region>,
    rejected: usize,
}

/// The prefixes of a list whose place is not known yet, because it may follow the list.
#[derive(Debug, Default)]
pub(super) struct Nets {
    nets: Vec<IpNet>,
    rejected: usize,
}

impl Rows {
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
        match parse(prefix) {
            Some(net) => self.add_net(net, place),
            None => self.rejected += 1,
        }
    }

    /// Adds the rows of a list.
    pub(super) fn append(&mut self, list: Self) {
        let regions = list.regions.into_iter();
        let places: Vec<_> = regions.map(|region| self.place_of(region)).collect();
        for (net, place) in list.prefixes {
            let place = match place {
                Place::Region(index) => places.get(usize::from(index)).copied(),
                place => Some(place),
            };
            self.add_net(net, place.unwrap_or(Place::Nowhere));
        }
        self.rejected += list.rejected;
    }

    /// Adds the prefixes of a list, all at one place.
    pub(super) fn append_at(&mut self, list: Nets, place: Place) {
        for net in list.nets {
            self.add_net(net, place);
        }
        self.rejected += list.rejected;
    }

    /// Adds a row with a valid prefix.
    pub(super) fn add_net(&mut self, net: IpNet, place: Place) {
        self.prefixes
            .entry(net)
            .and_modify(|known| known.merge(place))
            .or_insert(place);
    }

    pub(super) fn into_prefixes(self) -> Prefixes {
        self.prefixes
    }

    pub(super) fn into_table(self, published: Option<Timestamp>) -> VendorTable {
        VendorTable {
            prefixes: self.prefixes,
            regions: self.regions.into_iter().collect(),
            published,
            rejected: self.rejected,
        }
    }
}

impl Nets {
    /// Adds a prefix, which may be missing or invalid.
    pub(super) fn add(&mut self, prefix: Option<&str>) {
        match parse(prefix) {
            Some(net) => self.nets.push(net),
            None => self.rejected += 1,
        }
    }
}

fn parse(prefix: Option<&str>) -> Option<IpNet> {
    Some(prefix?.parse::<IpNet>().ok()?.trunc())
}

/// A row of a list in a vendor's file.
pub(super) trait Row: DeserializeOwned {
    /// What is kept of such rows.
    type List: Default;

    /// Adds its prefixes to `list`, if they count.
    fn keep(self, list: &mut Self::List);
}

/// Reads a list row by row.
pub(super) fn fold_rows<'de, R: Row, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<R::List, D::Error> {
    struct Fold<R>(PhantomData<R>);

    impl<'de, R: Row> Visitor<'de> for Fold<R> {
        type Value = R::List;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<R::List, A::Error> {
            let mut list = R::List::default();
            for _ in 0..=MAX_ROWS {
                match rows.next_element::<R>()? {
                    Some(row) => row.keep(&mut list),
                    None => return Ok(list),
                }
            }
            Err(A::Error::custom(format_args!("more than {MAX_ROWS} rows")))
        }
    }

    deserializer.deserialize_seq(Fold::<R>(PhantomData))
}

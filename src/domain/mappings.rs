//! The mappings of one zone.

use jiff::Timestamp;

use super::{OriginIp, Region, Vendor};

/// One origin of a zone and the cloud region in which Cloudflare believes it to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The origin's address.
    pub origin_ip: OriginIp,
    /// The cloud vendor.
    pub vendor: Vendor,
    /// The vendor's region.
    pub region: Region,
    /// When the mapping was last written; the API does not always say.
    pub modified_on: Option<Timestamp>,
}

/// All mappings of a zone as of one complete reading: sorted by address, each address once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ZoneMappings {
    sorted: Box<[Mapping]>,
}

/// Two rows name one address and disagree on its vendor or region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the address {0} is listed twice with different vendors or regions")]
pub struct ConflictingRows(pub OriginIp);

impl ZoneMappings {
    /// Sorts the rows and merges those that name one address and agree on vendor and region; of
    /// two times of change the later one counts.
    pub fn from_rows(mut rows: Vec<Mapping>) -> Result<Self, ConflictingRows> {
        rows.sort_by(|a, b| (a.origin_ip, b.modified_on).cmp(&(b.origin_ip, a.modified_on)));
        for pair in rows.windows(2) {
            if let [a, b] = pair
                && a.origin_ip == b.origin_ip
                && (&a.vendor, &a.region) != (&b.vendor, &b.region)
            {
                return Err(ConflictingRows(a.origin_ip));
            }
        }
        rows.dedup_by_key(|row| row.origin_ip);
        Ok(Self {
            sorted: rows.into_boxed_slice(),
        })
    }

    /// The mappings in the order of their addresses, IPv4 first.
    pub fn as_slice(&self) -> &[Mapping] {
        &self.sorted
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The mapping of one address.
    pub fn get(&self, ip: OriginIp) -> Option<&Mapping> {
        let at = self
            .sorted
            .binary_search_by_key(&ip, |m| m.origin_ip)
            .ok()?;
        self.sorted.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ip: &str, region: &str, modified_on: Option<&str>) -> Mapping {
        Mapping {
            origin_ip: OriginIp::parse(ip).unwrap(),
            vendor: Vendor::Aws,
            region: Region::parse(region).unwrap(),
            modified_on: modified_on.map(|t| t.parse().unwrap()),
        }
    }

    #[test]
    fn rows_are_sorted_by_address_and_found_by_it() {
        let rows = vec![
            row("2001:db8::1", "a", None),
            row("192.0.2.10", "b", None),
            row("192.0.2.9", "c", None),
        ];
        let zone = ZoneMappings::from_rows(rows).unwrap();
        let shown: Vec<_> = zone
            .as_slice()
            .iter()
            .map(|m| m.origin_ip.to_string())
            .collect();
        assert_eq!(shown, ["192.0.2.9", "192.0.2.10", "2001:db8::1"]);
        let found = zone.get(OriginIp::parse("192.0.2.10").unwrap()).unwrap();
        assert_eq!(found.region.as_str(), "b");
        assert_eq!(zone.get(OriginIp::parse("192.0.2.11").unwrap()), None);
    }

    #[test]
    fn one_address_in_two_spellings_is_one_mapping_with_the_later_time() {
        let zone = ZoneMappings::from_rows(vec![
            row("192.0.2.1", "a", None),
            row("::ffff:192.0.2.1", "a", Some("2026-03-01T12:00:00Z")),
            row("::FFFF:c000:0201", "a", Some("2026-02-01T12:00:00Z")),
        ])
        .unwrap();
        assert_eq!(
            zone.as_slice(),
            [row("192.0.2.1", "a", Some("2026-03-01T12:00:00Z"))]
        );
    }

    #[test]
    fn rows_that_disagree_are_an_error() {
        let rows = vec![
            row("2001:db8::1", "a", None),
            row("2001:DB8::0:1", "b", None),
        ];
        assert_eq!(
            ZoneMappings::from_rows(rows),
            Err(ConflictingRows(OriginIp::parse("2001:db8::1").unwrap()))
        );
    }
}

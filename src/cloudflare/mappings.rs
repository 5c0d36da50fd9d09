//! Origin cloud region mappings.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::attempt::Request;
use super::client::Client;
use super::envelope::{self, BodyProblem, Interner, Lenient, List};
use super::list::ListCall;
use super::{ApiError, CallBudget, Operation};
use crate::domain::{Mapping, OriginIp, Vendor, ZoneId, ZoneMappings};

/// The API's maximum (API reference, "origin cloud regions").
pub const MAPPINGS_PER_PAGE: u64 = 100;
/// The code of "the zone setting does not exist" (API reference).
const NOT_MAPPED: u32 = 1142;

/// A zone's mappings from one complete read.
pub type MappingList = List<ZoneMappings>;

impl MappingList {
    /// The mappings in the body of one page, parsed as in [`Client::list_mappings`]. Fails with a
    /// description if it is not a valid response or its rows contradict each other.
    pub fn from_page(body: &[u8]) -> Result<Self, String> {
        let mut interner = Interner::default();
        let (page, _) = envelope::page(body, |row| read(row, &mut interner))
            .map_err(|problem| problem.to_string())?;
        Ok(Self {
            rows: collect(page.rows)?,
            rejected: page.rejected,
        })
    }
}

impl Client {
    /// All mappings of a zone, read 100 per request.
    pub async fn list_mappings(
        &self,
        zone: &ZoneId,
        call: &CallBudget,
    ) -> Result<MappingList, ApiError> {
        let url = self.zone_url(zone, "origin/cloud_regions");
        self.list::<ListMappings, _>(&url, call, collect).await
    }

    /// The mapping of one address; `None` if the API reports that there is none.
    pub async fn get_mapping(
        &self,
        zone: &ZoneId,
        ip: OriginIp,
        call: &CallBudget,
    ) -> Result<Option<Mapping>, ApiError> {
        let url = self.zone_url(zone, &format!("origin/cloud_regions/{ip}"));
        let request = Request::new(Operation::GetMapping, &url).expecting(ApiError::is_not_found);
        let answer = self.get(request, call, |body| {
            let row: &RawValue = envelope::result(body)?;
            let mapping = read(row, &mut Interner::default()).map_err(BodyProblem::Malformed)?;
            if mapping.origin_ip == ip {
                Ok(mapping)
            } else {
                Err(BodyProblem::Malformed(format!(
                    "the answer is about {}, not {ip}",
                    mapping.origin_ip
                )))
            }
        });
        match answer.await {
            Ok(mapping) => Ok(Some(mapping)),
            Err(error) if error.is_not_found() && error.codes.contains(&NOT_MAPPED) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn collect(rows: Vec<Mapping>) -> Result<ZoneMappings, String> {
    ZoneMappings::from_rows(rows).map_err(|error| error.to_string())
}

pub(super) struct ListMappings;

#[derive(Deserialize)]
struct MappingRow<'a> {
    #[serde(borrow)]
    origin_ip: Cow<'a, str>,
    #[serde(borrow)]
    vendor: Cow<'a, str>,
    #[serde(borrow)]
    region: Cow<'a, str>,
    modified_on: Lenient<Timestamp>,
}

impl ListCall for ListMappings {
    const OPERATION: Operation = Operation::ListMappings;
    const PER_PAGE: Option<u64> = Some(MAPPINGS_PER_PAGE);

    type Row = Mapping;
    type Key = OriginIp;

    fn read(row: &RawValue, interner: &mut Interner) -> Result<(OriginIp, Mapping), String> {
        let mapping = read(row, interner)?;
        Ok((mapping.origin_ip, mapping))
    }
}

fn read(row: &RawValue, interner: &mut Interner) -> Result<Mapping, String> {
    let row: MappingRow<'_> = envelope::row(row, "an object with origin_ip, vendor and region")?;
    let invalid = |field, problem: &dyn fmt::Display| format!("{field} {problem}");
    Ok(Mapping {
        origin_ip: OriginIp::parse(&row.origin_ip).map_err(|e| invalid("origin_ip", &e))?,
        vendor: Vendor::parse(&row.vendor).map_err(|e| invalid("vendor", &e))?,
        region: interner
            .region(&row.region)
            .map_err(|e| invalid("region", &e))?,
        modified_on: row.modified_on.0,
    })
}

#[cfg(test)]
mod tests {
    use super::super::envelope::{RejectedRows, Rows};
    use super::super::pagination::PageInfo;
    use super::*;

    fn page(body: &[u8]) -> Result<(Rows<Mapping>, PageInfo), BodyProblem> {
        let mut interner = Interner::default();
        envelope::page(body, |row| read(row, &mut interner))
    }

    fn rows(rows: &str) -> Rows<Mapping> {
        let body = format!(r#"{{"success":true,"result":[{rows}]}}"#);
        page(body.as_bytes()).unwrap().0
    }

    #[test]
    fn the_documented_lists() {
        let body = include_bytes!("../../tests/data/cloudflare/list-two.json");
        let (two, info) = page(body).unwrap();
        assert_eq!((two.count(), info.total_count), (2, Some(2)));
        let [first, second] = &two.rows[..] else {
            panic!("{two:?}")
        };
        assert_eq!(first.vendor, Vendor::Aws);
        assert_eq!(second.origin_ip.to_string(), "2001:db8::1");
        assert_eq!(second.modified_on, "2026-03-01T12:30:00Z".parse().ok());
        let body = include_bytes!("../../tests/data/cloudflare/list-empty.json");
        let (empty, info) = page(body).unwrap();
        assert_eq!((empty.count(), info.total_count), (0, Some(0)));
    }

    #[test]
    fn a_bad_row_is_counted_and_named_and_harms_no_other() {
        let read = rows(
            r#"{"origin_ip":"192.0.2.1","vendor":"aws","region":"us-east-1"},
               {"origin_ip":"not\u0000an\nip","vendor":"aws","region":"us-east-1"},
               {"origin_ip":"192.0.2.2","region":"us-east-1"},
               {"origin_ip":"192.0.2.3","vendor":"aws","region":""},
               {"origin_ip":"192.0.2.3","vendor":7,"region":"x"},
               null, [], 7, "x",
               {"origin_ip":"192.0.2.4","vendor":"gcp","region":"us-central1","new":{"a":[1]}}"#,
        );
        assert_eq!((read.count(), read.rows.len()), (10, 2));
        assert_eq!(read.rejected.count, 8);
        let first = &read.rejected.examples[0];
        assert!(
            first.starts_with("origin_ip is not an IPv4 or IPv6 address"),
            "{first}"
        );
        for example in &read.rejected.examples {
            assert!(!example.contains(char::is_control), "{example:?}");
        }
    }

    #[test]
    fn examples_are_bounded_and_the_count_is_exact() {
        let bad = vec![format!("\"{}\"", "x".repeat(5000)); 500].join(",");
        let read = rows(&bad);
        assert_eq!(read.rejected.count, 500);
        assert_eq!(read.rejected.examples.len(), RejectedRows::MAX_EXAMPLES);
        assert!(read.rejected.examples.iter().all(|shown| shown.len() < 300));
    }

    #[test]
    fn a_time_that_cannot_be_read_is_no_time() {
        for time in ["null", "7", r#""yesterday""#, "{}", r#""""#] {
            let read = rows(&format!(
                r#"{{"origin_ip":"192.0.2.1","vendor":"aws","region":"r","modified_on":{time}}}"#
            ));
            assert_eq!(read.rows[0].modified_on, None, "{time}");
        }
    }

    #[test]
    fn equal_regions_share_one_text() {
        let read = rows(
            r#"{"origin_ip":"192.0.2.1","vendor":"aws","region":"r-1"},
               {"origin_ip":"192.0.2.2","vendor":"aws","region":"r-1"}"#,
        );
        let [a, b] = &read.rows[..] else {
            panic!("{read:?}")
        };
        assert!(std::ptr::eq(a.region.as_str(), b.region.as_str()));
    }
}

//! Zones of an account.

use std::borrow::Cow;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::attempt::Request;
use super::client::Client;
use super::envelope::{self, BodyProblem, Interner, Lenient, Rows, shown};
use super::list::ListCall;
use super::{ApiError, CallBudget, Operation};
use crate::domain::{Zone, ZoneId, ZoneName};

/// The API's maximum (API reference, "List Zones").
pub const ZONES_PER_PAGE: u64 = 50;
/// The most bytes of a status or plan name to keep.
const LABEL_LIMIT: usize = 100;

impl Client {
    /// All zones that the credentials can see, without duplicates, read 50 per request. A change of
    /// the number of unreadable rows is logged as a warning.
    pub async fn list_zones(&self, call: &CallBudget) -> Result<Rows<Zone>, ApiError> {
        let url = self.url(&["zones"]);
        let list = self.list::<ListZones, _>(&url, call, unique).await?;
        let rejected = &list.rejected;
        if self.unreadable_zones_changed(rejected.count) && rejected.count > 0 {
            tracing::warn!(
                account = %self.account(),
                count = rejected.count,
                examples = ?rejected.examples,
                "some zones of the list cannot be read and are left out"
            );
        }
        Ok(list)
    }

    /// One zone.
    pub async fn get_zone(&self, zone: &ZoneId, call: &CallBudget) -> Result<Zone, ApiError> {
        let url = self.url(&["zones", zone.as_str()]);
        let request = Request::new(Operation::GetZone, &url);
        self.get(request, call, |body| {
            let row: &RawValue = envelope::result(body)?;
            let read = ListZones::read(row, &mut Interner::default());
            read.map(|(_, zone)| zone).map_err(BodyProblem::Malformed)
        })
        .await
    }
}

pub(super) struct ListZones;

#[derive(Deserialize)]
struct ZoneRow<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    status: Lenient<String>,
    plan: Lenient<Plan>,
    account: Lenient<Owner>,
}

#[derive(Deserialize)]
struct Plan {
    name: String,
}

#[derive(Deserialize)]
struct Owner {
    id: String,
}

impl ListCall for ListZones {
    const OPERATION: Operation = Operation::ListZones;
    const PER_PAGE: Option<u64> = Some(ZONES_PER_PAGE);
    /// A hundred thousand zones.
    const MAX_PAGES: u64 = 2000;
    type Row = Zone;
    type Key = ZoneId;

    fn read(row: &RawValue, interner: &mut Interner) -> Result<(ZoneId, Zone), String> {
        let row: ZoneRow<'_> = envelope::row(row, "a zone with id and name")?;
        let id = ZoneId::parse(&row.id).map_err(|error| format!("the id {error}"))?;
        let name = ZoneName::parse(&row.name)
            .map_err(|error| format!("the name of {} {error}", shown(&row.id)))?;
        let mut label = |text: Option<String>| -> Arc<str> {
            let text = text.unwrap_or_default();
            let end = text.floor_char_boundary(LABEL_LIMIT);
            interner.text(text.get(..end).unwrap_or_default().trim())
        };
        let zone = Zone {
            id: id.clone(),
            name,
            status: label(row.status.0),
            plan: label(row.plan.0.map(|plan| plan.name)),
            // It is used in paths, so it must have the form of an identifier.
            owner: row
                .account
                .0
                .filter(|owner| ZoneId::parse(&owner.id).is_ok())
                .map(|owner| interner.text(owner.id.trim())),
        };
        Ok((id, zone))
    }
}

/// The zones without duplicates; rows with the same identifier must be equal.
fn unique(rows: Vec<Zone>) -> Result<Vec<Zone>, String> {
    let mut unique = IndexMap::with_capacity(rows.len());
    for zone in rows {
        let first = unique.entry(zone.id.clone()).or_insert(zone.clone());
        if *first != zone {
            return Err("two rows have one id and differ otherwise".to_owned());
        }
    }
    Ok(unique.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Zone, String> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        ListZones::read(raw, &mut Interner::default()).map(|(_, zone)| zone)
    }

    #[test]
    fn a_zone_as_documented() {
        let zone = read(
            r#"{"id": "023e105f4ecef8ad9ca31a8372d0c353", "name": "example.com",
                "status": "active", "paused": false, "type": "full", "development_mode": 0,
                "plan": {"name": "Pro Plan", "legacy_id": "pro"},
                "account": {"id": "01a7362d577a6c3019a474fd6f485823", "name": "Example"}}"#,
        )
        .unwrap();
        assert_eq!(zone.name.as_str(), "example.com");
        assert!(zone.is_active());
        assert_eq!(&*zone.plan, "Pro Plan");
        assert_eq!(
            zone.owner.as_deref(),
            Some("01a7362d577a6c3019a474fd6f485823")
        );
    }

    #[test]
    fn only_id_and_name_are_needed() {
        for rest in [
            "",
            r#","status":null,"plan":null,"account":null"#,
            r#","status":1,"plan":[],"account":{"id":"../x"}"#,
        ] {
            let zone = read(&format!(r#"{{"id":"abc","name":"Example.com"{rest}}}"#)).unwrap();
            assert_eq!((&*zone.status, &*zone.plan, zone.owner), ("", "", None));
        }
        let long = "ä".repeat(200);
        let zone = read(&format!(r#"{{"id":"abc","name":"x","status":"{long}"}}"#)).unwrap();
        assert_eq!(zone.status.len(), LABEL_LIMIT);
    }

    #[test]
    fn what_is_no_zone_is_named() {
        for bad in [
            "7",
            "{}",
            r#"{"id":"abc"}"#,
            r#"{"id":"a/b","name":"x"}"#,
            r#"{"id":"abc","name":" "}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_repeated_row_counts_once_and_one_that_differs_is_a_contradiction() {
        let zone = |id: &str| Zone::unknown(ZoneId::parse(id).unwrap());
        assert_eq!(
            unique(vec![zone("b"), zone("a"), zone("b")]),
            Ok(vec![zone("b"), zone("a")])
        );
        let mut other = zone("a");
        other.status = "active".into();
        assert!(unique(vec![zone("a"), other]).is_err());
    }
}

//! Writes many mappings with one call. Each item succeeds or fails by itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::answer::{Failure, Outcome, success};
use super::mappings::{self, Wish};
use super::world::{SimulatedZone, SupportedRegions};

/// The maximum number of items in one call (API reference).
const MOST_ITEMS: usize = 100;

#[derive(Default, Serialize)]
struct BatchResult {
    succeeded: Vec<Item>,
    failed: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    origin_ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Item {
    fn failed(origin_ip: String, failure: &Failure) -> Self {
        let messages: Vec<&str> = failure.errors.iter().map(|e| e.message.as_ref()).collect();
        Self {
            origin_ip,
            vendor: None,
            region: None,
            error: Some(messages.join("; ")),
        }
    }
}

/// An address in a batch to delete. The API's reference does not show the request body, so both
/// likely forms are accepted.
#[derive(Deserialize)]
#[serde(untagged)]
enum Doomed {
    Address(String),
    Object { origin_ip: String },
}

/// `PUT …/cloud_regions/batch`
pub(super) fn put(
    zone: &mut SimulatedZone,
    supported: &SupportedRegions,
    body: &[u8],
    now: Timestamp,
) -> Outcome {
    let wishes: Vec<Wish> = items(body)?;
    let mut result = BatchResult::default();
    for wish in wishes {
        match mappings::store(zone, supported, &wish, now) {
            Ok(mapping) => result.succeeded.push(Item {
                origin_ip: mapping.origin_ip.to_string(),
                vendor: Some(mapping.vendor.to_string()),
                region: Some(mapping.region.to_string()),
                error: None,
            }),
            Err(failure) => result.failed.push(Item::failed(wish.origin_ip, &failure)),
        }
    }
    Ok(success(result))
}

/// `DELETE …/cloud_regions/batch`
pub(super) fn delete(zone: &mut SimulatedZone, body: &[u8]) -> Outcome {
    let doomed: Vec<Doomed> = items(body)?;
    let mut result = BatchResult::default();
    for item in doomed {
        let (Doomed::Address(text) | Doomed::Object { origin_ip: text }) = item;
        let removed = mappings::address(&text)
            .and_then(|ip| zone.mappings.remove(&ip).ok_or_else(mappings::not_mapped));
        match removed {
            Ok(mapping) => result.succeeded.push(Item {
                origin_ip: mapping.origin_ip.to_string(),
                vendor: Some(mapping.vendor.to_string()),
                region: Some(mapping.region.to_string()),
                error: None,
            }),
            Err(failure) => result.failed.push(Item::failed(text, &failure)),
        }
    }
    Ok(success(result))
}

fn items<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<Vec<T>, Failure> {
    let items: Vec<T> = Failure::parse(body)?;
    if items.is_empty() || items.len() > MOST_ITEMS {
        return Err(Failure::bad_body(format!(
            "a batch has 1 to {MOST_ITEMS} items"
        )));
    }
    Ok(items)
}

//! A change of the history.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Invalid, decode, encode};
use crate::domain::{ZoneId, ZoneName, timestamp};
use crate::history::{Actor, Change, Details};

/// A change without its identifier, which is the key.
#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(with = "timestamp")]
    time: Timestamp,
    zone: ZoneName,
    zone_id: ZoneId,
    details: Details,
    actor: Option<Actor>,
}

pub(in super::super) fn encode_change(change: &Change) -> Vec<u8> {
    let Change {
        time,
        zone,
        zone_id,
        details,
        actor,
        ..
    } = change.clone();
    encode(&Record {
        time,
        zone,
        zone_id,
        details,
        actor,
    })
}

pub(in super::super) fn decode_change(id: u64, bytes: &[u8]) -> Result<Change, Invalid> {
    let record: Record = decode(bytes)?;
    Ok(Change {
        id,
        time: record.time,
        zone: record.zone,
        zone_id: record.zone_id,
        details: record.details,
        actor: record.actor,
    })
}

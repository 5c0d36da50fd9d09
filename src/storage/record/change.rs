//! A change of the history.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Invalid, decode, encode};
use crate::domain::{ZoneId, ZoneName, timestamp};
use crate::history::{Actor, Change, Details};

/// A change without its identifier, which is the key.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Change")]
struct Record {
    #[serde(skip)]
    id: u64,
    #[serde(with = "timestamp")]
    time: Timestamp,
    zone: ZoneName,
    zone_id: ZoneId,
    details: Details,
    actor: Option<Actor>,
}

#[derive(Serialize, Deserialize)]
struct Stored(#[serde(with = "Record")] Change);

pub(in super::super) fn encode_change(change: &Change) -> Vec<u8> {
    encode(&Stored(change.clone()))
}

pub(in super::super) fn decode_change(id: u64, bytes: &[u8]) -> Result<Change, Invalid> {
    let Stored(change) = decode(bytes)?;
    Ok(Change { id, ..change })
}

//! A zone's identity, which changes rarely, and its activity, which changes with each poll.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::StoredZone;
use super::{Invalid, MAX_ERROR_BYTES, MAX_TEXT_BYTES, bounded, cut, decode, encode};
use crate::cloudflare::Reason;
use crate::domain::{AccountName, Zone, ZoneId, ZoneName, timestamp};
use crate::findings::TieredCache;
use crate::snapshot::{ChangeCounts, LastPoll, StaleAfter, ZoneState};

/// A zone without its activity and mappings.
#[derive(Serialize, Deserialize)]
struct Identity<'a> {
    /// Identifies the zone in activity records.
    number: u32,
    name: ZoneName,
    status: &'a str,
    plan: &'a str,
    owner: Option<&'a str>,
    account: AccountName,
    #[serde(with = "timestamp")]
    found: Timestamp,
    #[serde(with = "timestamp::option")]
    left: Option<Timestamp>,
    tiered_cache: TieredCache,
}

/// What a poll changes in a zone.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Activity<'a> {
    /// The number of the zone.
    pub(in super::super) number: u32,
    polls: u64,
    #[serde(borrow)]
    errors: Vec<(&'a str, u64)>,
    rejected_rows: u64,
    changes: Option<ChangeCounts>,
    last_poll: Option<Poll<'a>>,
    last_success: Option<Moment>,
    failing_since: Option<Moment>,
}

#[derive(Serialize, Deserialize)]
struct Poll<'a> {
    #[serde(with = "timestamp")]
    ended: Timestamp,
    nanoseconds: u64,
    error: Option<&'a str>,
}

/// A time in a zone's activity. Mostly it is the end of the last poll.
#[derive(Serialize, Deserialize)]
enum Moment {
    LastPoll,
    At(#[serde(with = "timestamp")] Timestamp),
}

pub(in super::super) fn encode_zone(number: u32, stored: &StoredZone) -> Vec<u8> {
    let zone = &stored.state.zone;
    let text = |text| cut(text, MAX_TEXT_BYTES);
    encode(&Identity {
        number,
        name: zone.name.clone(),
        status: text(&zone.status),
        plan: text(&zone.plan),
        owner: zone.owner.as_deref().map(text),
        account: stored.state.account.clone(),
        found: stored.found,
        left: stored.left,
        tiered_cache: stored.state.tiered_cache,
    })
}

/// Decodes a zone without its activity and mappings. Returns its number, too.
pub(in super::super) fn decode_zone(id: &str, bytes: &[u8]) -> Result<(u32, StoredZone), Invalid> {
    let record: Identity<'_> = decode(bytes)?;
    let text = |text| bounded(text, MAX_TEXT_BYTES).map(Arc::from);
    let zone = Zone {
        id: ZoneId::parse(id).map_err(|_| Invalid::Value("not an identifier of a zone"))?,
        name: record.name,
        status: text(record.status)?,
        plan: text(record.plan)?,
        owner: record.owner.map(text).transpose()?,
    };
    let state = ZoneState::new(zone, record.account, Duration::ZERO, StaleAfter::Never);
    let stored = StoredZone {
        state: ZoneState {
            tiered_cache: record.tiered_cache,
            ..state
        },
        found: record.found,
        left: record.left,
    };
    Ok((record.number, stored))
}

/// Appends the zone's activity to a list of activities.
pub(in super::super) fn encode_activity(number: u32, state: &ZoneState, list: &mut Vec<u8>) {
    let ended = state.last_poll.as_ref().map(|poll| poll.ended);
    let moment = |time: Timestamp| {
        if Some(time) == ended {
            Moment::LastPoll
        } else {
            Moment::At(time)
        }
    };
    let errors = state.errors.iter();
    list.extend(encode(&Activity {
        number,
        polls: state.polls,
        errors: errors
            .map(|(reason, count)| (reason.as_str(), *count))
            .collect(),
        rejected_rows: state.rejected_rows,
        changes: state.changes,
        last_poll: state.last_poll.as_ref().map(|poll| Poll {
            ended: poll.ended,
            nanoseconds: u64::try_from(poll.duration.as_nanos()).unwrap_or(u64::MAX),
            error: poll.error.as_ref().map(|error| cut(error, MAX_ERROR_BYTES)),
        }),
        last_success: state.last_success.map(moment),
        failing_since: state.failing_since.map(moment),
    }));
}

/// Decodes a list of activities, in order.
pub(in super::super) fn decode_activities(mut bytes: &[u8]) -> Result<Vec<Activity<'_>>, Invalid> {
    let mut activities = Vec::new();
    while !bytes.is_empty() {
        let (activity, rest) = postcard::take_from_bytes(bytes)?;
        bytes = rest;
        activities.push(activity);
    }
    Ok(activities)
}

impl Activity<'_> {
    /// Replaces the activity of its zone.
    pub(in super::super) fn apply(self, zone: &mut ZoneState) -> Result<(), Invalid> {
        let last_poll = match self.last_poll {
            Some(poll) => {
                let error = poll.error.map(|error| bounded(error, MAX_ERROR_BYTES));
                Some(LastPoll {
                    ended: poll.ended,
                    duration: Duration::from_nanos(poll.nanoseconds),
                    error: error.transpose()?.map(str::to_owned),
                })
            }
            None => None,
        };
        let ended = last_poll.as_ref().map(|poll| poll.ended);
        let moment = |moment| match moment {
            Moment::At(time) => Ok(time),
            Moment::LastPoll => ended.ok_or(Invalid::Value("a zone was never polled")),
        };
        zone.last_success = self.last_success.map(moment).transpose()?;
        zone.failing_since = self.failing_since.map(moment).transpose()?;
        zone.last_poll = last_poll;
        zone.changes = self.changes;
        zone.polls = self.polls;
        // Reasons that this version does not know are left out.
        let errors = self.errors.into_iter();
        zone.errors = errors
            .filter_map(|(word, count)| Some((Reason::parse(word)?, count)))
            .collect();
        zone.rejected_rows = self.rejected_rows;
        Ok(())
    }
}

//! A zone's identity, which changes rarely, and its activity, which changes with each poll.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::StoredZone;
use super::{Invalid, MAX_ERROR_BYTES, MAX_TEXT_BYTES, Time, bounded, cut, decode, encode, time};
use crate::cloudflare::Reason;
use crate::domain::{AccountName, Zone, ZoneId, ZoneName};
use crate::findings::TieredCache;
use crate::snapshot::{ChangeCounts, LastPoll};

/// A zone without its activity and mappings.
#[derive(Debug, Serialize, Deserialize)]
struct Identity<'a> {
    number: u32,
    name: &'a str,
    status: &'a str,
    plan: &'a str,
    owner: Option<&'a str>,
    account: &'a str,
    found: Time,
    left: Option<Time>,
    tiered_cache: (Option<bool>, Option<bool>),
}

/// What a poll changes in a zone.
#[derive(Debug, Serialize, Deserialize)]
struct ActivityRecord<'a> {
    number: u32,
    polls: u64,
    #[serde(borrow)]
    errors: Vec<(&'a str, u64)>,
    rejected_rows: u64,
    changes: Option<(u64, u64, u64)>,
    last_poll: Option<Poll<'a>>,
    last_success: Option<Moment>,
    failing_since: Option<Moment>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Poll<'a> {
    ended: Time,
    nanoseconds: u64,
    error: Option<&'a str>,
}

/// A time in a zone's activity. Mostly it is the end of the last poll.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Moment {
    LastPoll,
    At(Time),
}

/// A zone as its record holds it, without its activity and mappings.
#[derive(Debug, PartialEq)]
pub(in super::super) struct ZoneRecord {
    /// Identifies the zone in activity records.
    pub(in super::super) number: u32,
    pub(in super::super) zone: StoredZone,
}

/// The latest activity of the zone with this number.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Activity {
    pub(in super::super) number: u32,
    pub(in super::super) polls: u64,
    pub(in super::super) errors: BTreeMap<Reason, u64>,
    pub(in super::super) rejected_rows: u64,
    pub(in super::super) changes: Option<ChangeCounts>,
    pub(in super::super) last_poll: Option<LastPoll>,
    pub(in super::super) last_success: Option<Timestamp>,
    pub(in super::super) failing_since: Option<Timestamp>,
}

pub(in super::super) fn encode_zone(number: u32, stored: &StoredZone) -> Vec<u8> {
    let zone = &stored.zone;
    let text = |text| cut(text, MAX_TEXT_BYTES);
    encode(&Identity {
        number,
        name: zone.name.as_str(),
        status: text(&zone.status),
        plan: text(&zone.plan),
        owner: zone.owner.as_deref().map(text),
        account: stored.account.as_str(),
        found: stored.found.into(),
        left: stored.left.map(Time::from),
        tiered_cache: (
            stored.tiered_cache.enabled,
            stored.tiered_cache.smart_enabled,
        ),
    })
}

pub(in super::super) fn decode_zone(id: ZoneId, bytes: &[u8]) -> Result<ZoneRecord, Invalid> {
    let record: Identity<'_> = decode(bytes)?;
    let text = |text| bounded(text, MAX_TEXT_BYTES).map(Arc::from);
    let zone = Zone {
        id,
        name: ZoneName::parse(record.name)?,
        status: text(record.status)?,
        plan: text(record.plan)?,
        owner: record.owner.map(text).transpose()?,
    };
    let (enabled, smart_enabled) = record.tiered_cache;
    Ok(ZoneRecord {
        number: record.number,
        zone: StoredZone {
            zone,
            account: AccountName::parse(record.account)?,
            found: record.found.try_into()?,
            left: time(record.left)?,
            last_poll: None,
            last_success: None,
            failing_since: None,
            mappings: None,
            findings: None,
            tiered_cache: TieredCache {
                enabled,
                smart_enabled,
            },
            changes: None,
            polls: 0,
            errors: BTreeMap::new(),
            rejected_rows: 0,
        },
    })
}

/// Appends the zone's activity to a list of activities.
pub(in super::super) fn encode_activity(number: u32, stored: &StoredZone, list: &mut Vec<u8>) {
    let ended = stored.last_poll.as_ref().map(|poll| poll.ended);
    let moment = |time: Timestamp| {
        if Some(time) == ended {
            Moment::LastPoll
        } else {
            Moment::At(time.into())
        }
    };
    let errors = stored.errors.iter();
    list.extend(encode(&ActivityRecord {
        number,
        polls: stored.polls,
        errors: errors
            .map(|(reason, count)| (reason.as_str(), *count))
            .collect(),
        rejected_rows: stored.rejected_rows,
        changes: stored
            .changes
            .map(|counts| (counts.added, counts.removed, counts.changed)),
        last_poll: stored.last_poll.as_ref().map(|poll| Poll {
            ended: poll.ended.into(),
            nanoseconds: u64::try_from(poll.duration.as_nanos()).unwrap_or(u64::MAX),
            error: poll
                .error
                .as_deref()
                .map(|error| cut(error, MAX_ERROR_BYTES)),
        }),
        last_success: stored.last_success.map(moment),
        failing_since: stored.failing_since.map(moment),
    }));
}

/// Decodes a list of activities, in order.
pub(in super::super) fn decode_activities(mut bytes: &[u8]) -> Result<Vec<Activity>, Invalid> {
    let mut activities = Vec::new();
    while !bytes.is_empty() {
        let (record, rest) = postcard::take_from_bytes(bytes)?;
        bytes = rest;
        activities.push(activity(record)?);
    }
    Ok(activities)
}

fn activity(record: ActivityRecord<'_>) -> Result<Activity, Invalid> {
    let last_poll = match record.last_poll {
        Some(poll) => Some(LastPoll {
            ended: poll.ended.try_into()?,
            duration: Duration::from_nanos(poll.nanoseconds),
            error: match poll.error {
                Some(error) => Some(bounded(error, MAX_ERROR_BYTES)?.to_owned()),
                None => None,
            },
        }),
        None => None,
    };
    let ended = last_poll.as_ref().map(|poll| poll.ended);
    let moment = |moment| match moment {
        Some(Moment::At(time)) => Timestamp::try_from(time).map(Some),
        Some(Moment::LastPoll) => ended
            .map(Some)
            .ok_or(Invalid::Value("a zone was never polled")),
        None => Ok(None),
    };
    Ok(Activity {
        number: record.number,
        polls: record.polls,
        errors: record
            .errors
            .iter()
            // Reasons that this version does not know are left out.
            .filter_map(|(word, count)| Some((Reason::parse(word)?, *count)))
            .collect(),
        rejected_rows: record.rejected_rows,
        changes: record
            .changes
            .map(|(added, removed, changed)| ChangeCounts {
                added,
                removed,
                changed,
            }),
        last_success: moment(record.last_success)?,
        failing_since: moment(record.failing_since)?,
        last_poll,
    })
}

impl Activity {
    /// Copies the activity into its zone.
    pub(in super::super) fn apply(self, zone: &mut StoredZone) {
        zone.polls = self.polls;
        zone.errors = self.errors;
        zone.rejected_rows = self.rejected_rows;
        zone.changes = self.changes;
        zone.last_poll = self.last_poll;
        zone.last_success = self.last_success;
        zone.failing_since = self.failing_since;
    }
}

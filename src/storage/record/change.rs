//! A change of the history.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Invalid, MAX_TEXT_BYTES, Time, bounded, cut, decode, encode, time};
use crate::domain::{HostName, OriginIp, Region, Vendor, ZoneId, ZoneName};
use crate::findings::Check;
use crate::history::{Actor, Change, ChangeKind, Details, FindingKind};

#[derive(Debug, Serialize, Deserialize)]
struct Record<'a> {
    time: Time,
    zone: &'a str,
    zone_id: &'a str,
    kind: &'a str,
    origin_ip: Option<IpAddr>,
    vendor: Option<&'a str>,
    region: Option<&'a str>,
    previous_vendor: Option<&'a str>,
    previous_region: Option<&'a str>,
    modified_on: Option<Time>,
    finding: Option<&'a str>,
    check: Option<&'a str>,
    host: Option<&'a str>,
    #[serde(borrow)]
    actor: Option<(&'a str, &'a str, &'a str, Time)>,
}

pub(in super::super) fn encode_change(change: &Change) -> Vec<u8> {
    let details = &change.details;
    let text = |text| cut(text, MAX_TEXT_BYTES);
    let actor = change.actor.as_ref().map(|actor| {
        (
            text(&actor.kind),
            text(&actor.name),
            text(&actor.context),
            actor.time.into(),
        )
    });
    encode(&Record {
        time: change.time.into(),
        zone: change.zone.as_str(),
        zone_id: change.zone_id.as_str(),
        kind: details.kind.as_str(),
        origin_ip: details.origin_ip.map(OriginIp::addr),
        vendor: details.vendor.as_ref().map(Vendor::as_str),
        region: details.region.as_ref().map(Region::as_str),
        previous_vendor: details.previous_vendor.as_ref().map(Vendor::as_str),
        previous_region: details.previous_region.as_ref().map(Region::as_str),
        modified_on: details.modified_on.map(Time::from),
        finding: details.finding.map(FindingKind::as_str),
        check: details.check.map(Check::as_str),
        host: details.host.as_ref().map(HostName::as_str),
        actor,
    })
}

pub(in super::super) fn decode_change(id: u64, bytes: &[u8]) -> Result<Change, Invalid> {
    let record: Record<'_> = decode(bytes)?;
    let vendor = |text: Option<&str>| text.map(Vendor::parse).transpose();
    let region = |text: Option<&str>| text.map(Region::parse).transpose();
    let kind = ChangeKind::parse(record.kind).ok_or(Invalid::Value("unknown kind of change"))?;
    let details = Details {
        kind,
        origin_ip: record.origin_ip.map(OriginIp::from),
        vendor: vendor(record.vendor)?,
        region: region(record.region)?,
        previous_vendor: vendor(record.previous_vendor)?,
        previous_region: region(record.previous_region)?,
        modified_on: time(record.modified_on)?,
        finding: known(record.finding, FindingKind::parse)?,
        check: known(record.check, Check::parse)?,
        host: known(record.host, HostName::parse)?,
    };
    let text = |text| bounded(text, MAX_TEXT_BYTES).map(str::to_owned);
    let actor = match record.actor {
        Some((kind, name, context, time)) => Some(Actor {
            kind: text(kind)?,
            name: text(name)?,
            context: text(context)?,
            time: time.try_into()?,
        }),
        None => None,
    };
    Ok(Change {
        id,
        time: record.time.try_into()?,
        zone: ZoneName::parse(record.zone)?,
        zone_id: ZoneId::parse(record.zone_id)?,
        details,
        actor,
    })
}

fn known<T>(
    word: Option<&str>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Invalid> {
    match word {
        Some(word) => parse(word)
            .map(Some)
            .ok_or(Invalid::Value("unknown word in a change")),
        None => Ok(None),
    }
}

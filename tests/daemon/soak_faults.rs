//! Random faults of every kind for the compressed week.

use std::time::Duration;

use bytes::Bytes;
use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation, RetryAfter};
use fastrand::Rng;
use serde_json::json;

use crate::support::TOKEN;

/// A fault that occurs a few times, for one operation or for all.
pub(crate) fn fault(random: &mut Rng) -> Fault {
    let kind = kind(random);
    // If the zone list lacks an existing zone, the zone disappears and its counters restart.
    let hides_rows = matches!(
        kind,
        FaultKind::BadRow(_) | FaultKind::DuplicateRow { .. } | FaultKind::RepeatedRows
    );
    let mut fault = Fault::new(kind).times(random.u64(1..30));
    let operations = [
        Operation::ListMappings,
        Operation::ListMappings,
        Operation::ListZones,
        Operation::DnsRecords,
        Operation::SupportedRegions,
    ];
    if hides_rows {
        fault = fault.on(Operation::ListMappings);
    } else if let Some(operation) = operations.get(random.usize(..7)) {
        fault = fault.on(*operation);
    }
    fault
}

fn kind(random: &mut Rng) -> FaultKind {
    let status = [401, 403, 404, 500, 502, 503][random.usize(..6)];
    let kinds = [
        FaultKind::Status(status, None),
        FaultKind::ApiError(400, 10000, format!("Invalid {TOKEN}")),
        FaultKind::TooManyRequests(RetryAfter::Seconds(1)),
        FaultKind::Delay(Duration::from_millis(300)),
        FaultKind::Hang,
        FaultKind::CutBeforeHead,
        FaultKind::CutInHead,
        FaultKind::CutInBody,
        FaultKind::Reset,
        FaultKind::Raw(Bytes::from_static(b"SSH-2.0-x\r\n")),
        FaultKind::ChunkedGarbage,
        FaultKind::Http10,
        FaultKind::Garbage,
        FaultKind::Html,
        FaultKind::EmptyBody,
        FaultKind::TruncatedJson,
        FaultKind::Redirect("https://elsewhere.example/".to_owned()),
        FaultKind::HugeBody(20 << 20),
        FaultKind::GzipBomb(20 << 20),
        FaultKind::CorruptGzip,
        FaultKind::Slow(Duration::from_millis(20)),
        FaultKind::Unsuccessful,
        FaultKind::NullResult,
        FaultKind::NoResultInfo,
        FaultKind::UnknownFields,
        FaultKind::BadRow(json!({"origin_ip": "x"})),
        FaultKind::DuplicateRow {
            agreeing: random.bool(),
        },
        FaultKind::TotalCount(random.i64(-3..3)),
        FaultKind::ShiftingTotal(1),
        FaultKind::RepeatedRows,
        FaultKind::ShortPage,
        FaultKind::EndlessPages,
    ];
    kinds[random.usize(..kinds.len())].clone()
}

//! Intentional failures.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::route::Operation;

/// A failure: what goes wrong, for which requests, and how often. By default every request to the
/// API fails, forever. If several faults match a request, the one that was added first applies.
#[derive(Debug, Clone)]
pub struct Fault {
    pub(super) kind: FaultKind,
    pub(super) operation: Option<Operation>,
    pub(super) zone: Option<String>,
    pub(super) credential: Option<String>,
    pub(super) page: Option<usize>,
    pub(super) skip: u64,
    pub(super) times: Option<u64>,
    pub(super) again: bool,
    /// The number of matching requests so far.
    seen: u64,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum FaultKind {
    /// This status, with the given body or that of an API error.
    Status(u16, Option<String>),
    /// This status with an API error of this code and message.
    ApiError(u16, u32, String),
    /// A 429 that does not come from the rate limit.
    TooManyRequests(RetryAfter),
    /// The regular response, delayed.
    Delay(Duration),
    /// No response, ever.
    Hang,
    /// The connection ends before the response begins.
    CutBeforeHead,
    /// The connection ends within the response's headers.
    CutInHead,
    /// The connection ends within the response's body.
    CutInBody,
    /// The connection is reset instead of closed, within the response's headers.
    Reset,
    /// These bytes instead of the whole response, including the status line. Then the connection
    /// ends.
    Raw(Bytes),
    /// A chunked body whose chunk sizes are not numbers.
    ChunkedGarbage,
    /// The regular response as an HTTP/1.0 server sends it: the end of the connection ends the
    /// body.
    Http10,
    /// 200 with bytes that are not text.
    Garbage,
    /// 200 with the page of a captive portal.
    Html,
    /// 200 with an empty body.
    EmptyBody,
    /// The regular JSON, cut in half with a matching length.
    TruncatedJson,
    /// The regular response with another content type.
    ContentType(String),
    /// 302 to this address.
    Redirect(String),
    /// 200 with a body of this many bytes.
    HugeBody(u64),
    /// 200 with a compressed body that decompresses to this many bytes.
    GzipBomb(u64),
    /// 200 with a body that is declared as gzip but is not.
    CorruptGzip,
    /// The regular response, byte by byte, with this pause before each.
    Slow(Duration),
    /// The regular response with `success: false` and an error, but the regular status.
    Unsuccessful,
    /// The regular response with `result: null`.
    NullResult,
    /// The regular response without `result_info`.
    NoResultInfo,
    /// The regular response without `errors` and `messages`.
    NoMessages,
    /// Unknown fields everywhere.
    UnknownFields,
    /// This row replaces the last one of the page.
    BadRow(Value),
    /// The last row of the page repeats the first one, with a different spelling of its address.
    DuplicateRow {
        /// Whether both rows name the same region.
        agreeing: bool,
    },
    /// `total_count` is off by this much, equally on every page.
    TotalCount(i64),
    /// `total_count` is off by this much more on each further page.
    ShiftingTotal(i64),
    /// `total_pages` is off by this much.
    TotalPages(i64),
    /// Every page contains the rows of the first one.
    RepeatedRows,
    /// The page lacks its last row.
    ShortPage,
    /// Every page is full, and there is always a next one.
    EndlessPages,
}

/// How a 429 specifies when to retry.
#[derive(Debug, Clone)]
pub enum RetryAfter {
    /// After this many seconds.
    Seconds(u64),
    /// At a date this long after the response.
    Date(Duration),
    /// Not at all.
    Absent,
    /// As this text.
    Text(String),
}

impl Fault {
    /// Makes every request fail in this way.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            operation: None,
            zone: None,
            credential: None,
            page: None,
            skip: 0,
            times: None,
            again: false,
            seen: 0,
        }
    }

    /// Limits the fault to this operation.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Limits the fault to the zone with this name or identifier.
    #[must_use]
    pub fn zone(mut self, name_or_id: &str) -> Self {
        self.zone = Some(name_or_id.to_owned());
        self
    }

    /// Limits the fault to the credential with this identifier.
    #[must_use]
    pub fn credential(mut self, id: &str) -> Self {
        self.credential = Some(id.to_owned());
        self
    }

    /// Limits the fault to this page of a listing.
    #[must_use]
    pub fn page(mut self, page: usize) -> Self {
        self.page = Some(page);
        self
    }

    /// Lets this many matching requests succeed first.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Fails this many requests, then no more.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Starts over after the specified number of failures, including the requests that succeed
    /// first.
    #[must_use]
    pub fn again(mut self) -> Self {
        self.again = true;
        self
    }
}

/// The properties of a request that a fault can match.
pub(super) struct Subject<'a> {
    pub(super) operation: Operation,
    pub(super) zone_id: &'a str,
    pub(super) zone_name: &'a str,
    pub(super) credential: &'a str,
    pub(super) page: Option<usize>,
}

/// Finds the fault that applies to a request. Every fault that matches up to that one counts the
/// request.
pub(super) fn strike(faults: &mut [Fault], subject: &Subject<'_>) -> Option<FaultKind> {
    let fault = faults.iter_mut().find_map(|fault| {
        let strikes = fault.fits(subject) && fault.is_its_turn();
        strikes.then_some(fault)
    })?;
    Some(fault.kind.clone())
}

impl Fault {
    /// Counts a matching request, and returns whether it fails.
    fn is_its_turn(&mut self) -> bool {
        let times = self.times.unwrap_or(u64::MAX);
        let end = self.skip.saturating_add(times);
        let turn = if self.again {
            self.seen % end.max(1)
        } else {
            self.seen
        };
        self.seen += 1;
        (self.skip..end).contains(&turn)
    }

    fn fits(&self, subject: &Subject<'_>) -> bool {
        let is_zone = |wish: &String| [subject.zone_id, subject.zone_name].contains(&wish.as_str());
        self.operation.is_none_or(|wish| wish == subject.operation)
            && self.zone.as_ref().is_none_or(is_zone)
            && self
                .credential
                .as_ref()
                .is_none_or(|id| id == subject.credential)
            && self.page.is_none_or(|wish| Some(wish) == subject.page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject<'_> = Subject {
        operation: Operation::ListMappings,
        zone_id: "abc",
        zone_name: "example.com",
        credential: "token-1",
        page: Some(2),
    };

    fn strikes(fault: Fault) -> bool {
        strike(&mut [fault], &SUBJECT).is_some()
    }

    #[test]
    fn a_fault_strikes_what_it_was_made_for() {
        let fault = || Fault::new(FaultKind::Hang);
        assert!(strikes(fault()));
        assert!(strikes(fault().on(Operation::ListMappings)));
        assert!(!strikes(fault().on(Operation::ListZones)));
        assert!(strikes(fault().zone("abc")));
        assert!(strikes(fault().zone("example.com")));
        assert!(!strikes(fault().zone("example.org")));
        assert!(strikes(fault().credential("token-1")));
        assert!(!strikes(fault().credential("token-2")));
        assert!(strikes(fault().page(2)));
        assert!(!strikes(fault().page(1)));
    }

    fn turns(fault: Fault, count: usize) -> String {
        let mut faults = [fault];
        let struck = (0..count).map(|_| strike(&mut faults, &SUBJECT).is_some());
        struck
            .map(|struck| if struck { 'x' } else { '.' })
            .collect()
    }

    #[test]
    fn a_fault_passes_some_requests_and_is_used_up_or_begins_anew() {
        let fault = || Fault::new(FaultKind::Hang);
        assert_eq!(turns(fault(), 3), "xxx");
        assert_eq!(turns(fault().after(1), 4), ".xxx");
        assert_eq!(turns(fault().after(1).times(2), 5), ".xx..");
        assert_eq!(turns(fault().after(2).times(1).again(), 7), "..x..x.");
        assert_eq!(turns(fault().times(0).again(), 2), "..");
    }
}

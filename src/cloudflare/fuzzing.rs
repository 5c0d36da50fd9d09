//! The parsers of API responses as plain functions of bytes, for the separate crate in `fuzz/`,
//! which cannot see the wire types. Each function panics if its parser breaks a promise.

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::MappingList;
use super::audit_log::read_page;
use super::cloudflare_ips::read_ranges;
use super::dns_records::ListDnsRecords;
use super::envelope::{self, ApiErrors, Interner, RejectedRows};
use super::headers::{LONGEST_PAUSE, pause_after_429, quota};
use super::list::ListCall;
use super::load_balancers::{ListLoadBalancers, ListPools};
use super::mappings::ListMappings;
use super::pagination::Walk;
use super::rules::{ListCloudConnectorRules, ListPageRules, read_ruleset};
use super::tiered_cache::{RegionsRow, read_setting};
use super::token::TokenRow;
use super::zones::ListZones;

/// Parses a body as the response to every call.
pub fn answer(body: &[u8]) {
    list::<ListMappings>(body);
    MappingList::from_page(body).ok();
    list::<ListZones>(body);
    list::<ListDnsRecords>(body);
    list::<ListLoadBalancers>(body);
    list::<ListPools>(body);
    list::<ListCloudConnectorRules>(body);
    list::<ListPageRules>(body);
    read_ruleset(body).ok();
    read_ranges(body).ok();
    read_page(body, true).ok();
    if let Ok(row) = envelope::result::<RegionsRow>(body) {
        row.into_regions();
    }
    read_setting(body).ok();
    if let Ok(row) = envelope::result::<TokenRow>(body) {
        row.into_status();
    }
    let errors = ApiErrors::read(body);
    one_short_line(&envelope::shown(&errors.text));
}

/// Parses the rate limit headers; one line each for `Retry-After`, `Date`, `Ratelimit` and
/// `Ratelimit-Policy`.
pub fn headers(lines: &[u8]) {
    let names = ["retry-after", "date", "ratelimit", "ratelimit-policy"];
    let mut headers = HeaderMap::new();
    for (name, line) in names.into_iter().zip(lines.split(|&byte| byte == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    assert!(pause_after_429(&headers, Timestamp::UNIX_EPOCH) <= LONGEST_PAUSE);
    if let Some(quota) = quota(&headers) {
        assert!(quota.reset <= LONGEST_PAUSE);
        quota.is_nearly_spent(1200);
    }
}

fn list<L: ListCall>(body: &[u8]) {
    let mut interner = Interner::default();
    if let Ok((page, info)) = envelope::page(body, |row| L::read(row, &mut interner)) {
        assert!(page.rejected.examples.len() <= RejectedRows::MAX_EXAMPLES);
        for example in &page.rejected.examples {
            one_short_line(example);
        }
        let mut walk = Walk::new(L::PER_PAGE, L::MAX_PAGES);
        let count = page.count();
        let keys = page.rows.into_iter().map(|(key, _)| key);
        walk.accept(count, info, keys).ok();
    }
}

/// External text that is shown can neither flood nor forge a log.
fn one_short_line(shown: &str) {
    assert!(shown.len() <= 4096, "{} bytes are shown", shown.len());
    assert!(!shown.contains(char::is_control), "{shown:?}");
}

//! Cloudflare's own address ranges.

use ipnet::IpNet;
use serde::Deserialize;

use super::attempt::Request;
use super::client::Client;
use super::envelope::{self, BodyProblem};
use super::{ApiError, CallBudget, Operation};

impl Client {
    /// The ranges of Cloudflare's own addresses.
    pub async fn cloudflare_ips(&self, call: &CallBudget) -> Result<Vec<IpNet>, ApiError> {
        let url = self.url(&["ips"]);
        let request = Request::new(Operation::CloudflareIps, &url);
        self.get(request, call, read_ranges).await
    }
}

#[derive(Deserialize)]
struct Ranges {
    ipv4_cidrs: Vec<String>,
    #[serde(default)]
    ipv6_cidrs: Vec<String>,
}

/// Returns all ranges or none: a missing one would turn Cloudflare's addresses into origins.
pub(super) fn read_ranges(body: &[u8]) -> Result<Vec<IpNet>, BodyProblem> {
    let ranges: Ranges = envelope::result(body)?;
    let texts = ranges.ipv4_cidrs.iter().chain(&ranges.ipv6_cidrs);
    let ranges: Result<Vec<IpNet>, _> = texts.map(|text| text.parse()).collect();
    let problem = |text: &str| BodyProblem::Malformed(text.to_owned());
    let ranges = ranges.map_err(|_| problem("the answer has a range that cannot be read"))?;
    if ranges.is_empty() {
        return Err(problem("the answer has no ranges"));
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_answer_and_what_is_none() {
        let ranges = read_ranges(
            br#"{"success": true, "result": {"etag": "x", "ipv4_cidrs": ["199.27.128.0/21"],
                "ipv6_cidrs": ["2400:cb00::/32"]}}"#,
        )
        .unwrap();
        assert_eq!(ranges.len(), 2);
        for result in [
            r#"{"ipv4_cidrs": []}"#,
            r#"{"ipv4_cidrs": ["199.27.128.0"]}"#,
            "{}",
        ] {
            let body = format!(r#"{{"success": true, "result": {result}}}"#);
            assert!(read_ranges(body.as_bytes()).is_err(), "{result}");
        }
    }
}

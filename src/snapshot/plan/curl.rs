//! A plan as curl commands.

use serde::Serialize;

use super::PlanRow;
use crate::findings::ZonePlan;

/// The most mappings in one call.
const BATCH: usize = 100;

#[derive(Serialize)]
struct Mapping<'a> {
    origin_ip: String,
    vendor: &'a str,
    region: &'a str,
}

/// A shell script with the calls of all plans. What they leave undecided is in comments.
pub fn curl_script(plans: &[PlanRow], base_url: &str) -> String {
    let mut text = "#!/bin/sh\n\
         # Needs CLOUDFLARE_API_TOKEN with the permission to edit the zones' settings.\n\
         # A call can fail in part: its answer lists under result.failed what was not changed.\n\
         set -eu\n"
        .to_owned();
    for row in plans.iter().filter(|row| !row.plan.is_empty()) {
        text.push_str(&row.comment());
        for call in curl_calls(&row.zone_id, &row.plan, base_url) {
            text.push_str(&call);
        }
    }
    text
}

/// One call per hundred mappings. Addresses, vendors and regions are plain words, so nothing needs
/// quoting beyond the single quotes around the body.
pub fn curl_calls(zone_id: &str, plan: &ZonePlan, base_url: &str) -> Vec<String> {
    let base = base_url.trim_end_matches('/').replace('\'', "%27");
    let url = format!("{base}/zones/{zone_id}/origin/cloud_regions/batch");
    let puts = plan.put.chunks(BATCH).map(|batch| {
        let body: Vec<_> = batch
            .iter()
            .map(|put| Mapping {
                origin_ip: put.origin_ip.to_string(),
                vendor: put.vendor.as_str(),
                region: put.region.as_str(),
            })
            .collect();
        call("PUT", &url, &body)
    });
    let deletes = plan.delete.chunks(BATCH).map(|batch| {
        let body: Vec<_> = batch
            .iter()
            .map(|delete| delete.origin_ip.to_string())
            .collect();
        call("DELETE", &url, &body)
    });
    puts.chain(deletes).collect()
}

fn call(method: &str, url: &str, body: &impl Serialize) -> String {
    // Rows of strings always serialize.
    let body = serde_json::to_string(body).unwrap_or_default();
    format!(
        "curl --silent --show-error --fail-with-body --request {method} '{url}' \\\n  \
         --header \"Authorization: Bearer $CLOUDFLARE_API_TOKEN\" \\\n  \
         --header 'Content-Type: application/json' \\\n  \
         --data '{body}'\necho\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OriginIp, Region, Vendor};
    use crate::findings::{Delete, Put};

    fn put(ip: &str) -> Put {
        Put {
            origin_ip: OriginIp::parse(ip).unwrap(),
            vendor: Vendor::Aws,
            region: Region::parse("us-east-1").unwrap(),
            because: "missing: expected by dns".to_owned(),
            is_mapped: false,
        }
    }

    fn row(zone: &str, put: Vec<Put>, delete: &[&str]) -> PlanRow {
        let delete = delete.iter().map(|ip| Delete {
            origin_ip: OriginIp::parse(ip).unwrap(),
            because: "unused: no source names the address".to_owned(),
        });
        PlanRow {
            zone: zone.to_owned(),
            zone_id: "abc".to_owned(),
            plan: ZonePlan {
                put,
                delete: delete.collect(),
                undecided: Vec::new(),
            },
        }
    }

    #[test]
    fn a_call_takes_a_hundred_mappings_and_holds_no_secret() {
        let many = (0..150).map(|n| put(&format!("192.0.2.{n}"))).collect();
        let text = curl_script(
            &[row("a.example", many, &["2001:db8::1"])],
            "https://api.example/v4/",
        );
        let calls: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("curl"))
            .collect();
        assert_eq!(calls.len(), 3, "{text}");
        let url = "'https://api.example/v4/zones/abc/origin/cloud_regions/batch'";
        assert!(calls.iter().all(|line| line.contains(url)), "{text}");
        assert!(text.contains("--data '[\"2001:db8::1\"]'"), "{text}");
        assert!(text.contains("Bearer $CLOUDFLARE_API_TOKEN\""), "{text}");
    }

    #[test]
    fn a_name_from_outside_stays_in_its_comment() {
        let text = curl_script(
            &[row("a\nrm -rf /", vec![put("192.0.2.1")], &[])],
            "https://x",
        );
        assert!(text.lines().all(|line| !line.starts_with("rm")), "{text}");
    }
}

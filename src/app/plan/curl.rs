//! A plan as curl commands.

use std::fmt::Write as _;

use serde::Serialize;

use super::one_line;
use crate::snapshot::PlanRow;

/// The most mappings of one call.
const BATCH: usize = 100;

#[derive(Serialize)]
struct Mapping<'a> {
    origin_ip: String,
    vendor: &'a str,
    region: &'a str,
}

/// One command for each hundred mappings. Addresses, vendors and regions are plain words, so that
/// none needs quoting beyond the single quotes around the body.
pub(super) fn render(plans: &[PlanRow], base_url: &str) -> String {
    let mut text = "#!/bin/sh\n\
         # Needs CLOUDFLARE_API_TOKEN with the permission to edit the zones' settings.\n\
         # A call can fail in part: its answer lists under result.failed what was not changed.\n\
         set -eu\n"
        .to_owned();
    for PlanRow {
        zone,
        zone_id,
        plan,
    } in plans
    {
        if plan.is_empty() {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n# {}", one_line(zone));
        for undecided in &plan.undecided {
            let origin = undecided.origin_ip.map(|ip| format!("{ip}: "));
            let origin = origin.unwrap_or_default();
            let _ = writeln!(
                text,
                "# undecided: {origin}{}",
                one_line(&undecided.because)
            );
        }
        let base = base_url.trim_end_matches('/').replace('\'', "%27");
        let url = format!("{base}/zones/{zone_id}/origin/cloud_regions/batch");
        for batch in plan.put.chunks(BATCH) {
            let body: Vec<_> = batch
                .iter()
                .map(|put| Mapping {
                    origin_ip: put.origin_ip.to_string(),
                    vendor: put.vendor.as_str(),
                    region: put.region.as_str(),
                })
                .collect();
            call(&mut text, "PUT", &url, &body);
        }
        for batch in plan.delete.chunks(BATCH) {
            let body: Vec<_> = batch
                .iter()
                .map(|delete| delete.origin_ip.to_string())
                .collect();
            call(&mut text, "DELETE", &url, &body);
        }
    }
    text
}

fn call(text: &mut String, method: &str, url: &str, body: &impl Serialize) {
    // Rows of texts always serialise.
    let body = serde_json::to_string(body).unwrap_or_default();
    let _ = writeln!(
        text,
        "curl --silent --show-error --fail-with-body --request {method} '{url}' \\\n  \
         --header \"Authorization: Bearer $CLOUDFLARE_API_TOKEN\" \\\n  \
         --header 'Content-Type: application/json' \\\n  \
         --data '{body}'\necho"
    );
}

#[cfg(test)]
mod tests {
    use super::super::tests::{put, row};
    use super::*;

    #[test]
    fn a_call_takes_a_hundred_mappings_and_holds_no_secret() {
        let many = (0..150)
            .map(|n| put(&format!("192.0.2.{n}"), false))
            .collect();
        let text = render(
            &[row("a.example", many, &["2001:db8::1"])],
            "https://api.example/v4/",
        );
        let calls: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("curl"))
            .collect();
        assert_eq!(calls.len(), 3, "{text}");
        let url = "'https://api.example/v4/zones/id-of-a-example/origin/cloud_regions/batch'";
        assert!(calls.iter().all(|line| line.contains(url)), "{text}");
        assert!(text.contains("--data '[\"2001:db8::1\"]'"), "{text}");
        assert!(text.contains("Bearer $CLOUDFLARE_API_TOKEN\""), "{text}");
    }

    #[test]
    fn a_name_from_outside_stays_in_its_comment() {
        let text = render(
            &[row("a\nrm -rf /", vec![put("192.0.2.1", false)], &[])],
            "https://x",
        );
        assert!(text.lines().all(|line| !line.starts_with("rm")), "{text}");
    }
}

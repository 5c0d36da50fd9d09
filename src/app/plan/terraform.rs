//! Renders a plan as Terraform configuration.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use crate::snapshot::PlanRow;

const RESOURCE: &str = "cloudflare_origin_cloud_region";

/// Renders one resource with `for_each` per zone, and an import block for each existing mapping
/// that changes. What Terraform cannot do becomes a comment.
pub(super) fn render(plans: &[PlanRow]) -> String {
    let mut text = "# Needs the provider cloudflare/cloudflare, 5.20 or newer.\n".to_owned();
    let mut used = HashSet::new();
    for row in plans.iter().filter(|row| !row.plan.is_empty()) {
        text.push_str(&row.comment());
        for delete in &row.plan.delete {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "# delete {}: remove it from your configuration, or use --format=curl",
                delete.origin_ip
            );
        }
        if !row.plan.put.is_empty() {
            let name = resource_name(row, &mut used);
            // Writing to a String cannot fail.
            let _ = write_zone(&mut text, row, &name);
        }
    }
    text
}

/// An identifier that is unique in the plan.
fn resource_name(row: &PlanRow, used: &mut HashSet<String>) -> String {
    let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let mut name = format!("zone_{}", plain(&row.zone));
    if !used.insert(name.clone()) {
        name = format!("{name}_{}", plain(&row.zone_id));
        used.insert(name.clone());
    }
    name
}

/// Writes the resource with the mappings of a zone, and the imports of those that exist.
fn write_zone(text: &mut String, row: &PlanRow, name: &str) -> fmt::Result {
    writeln!(text, "resource {} {} {{", quoted(RESOURCE), quoted(name))?;
    writeln!(text, "  for_each = {{")?;
    for put in &row.plan.put {
        let (vendor, region) = (quoted(put.vendor.as_str()), quoted(put.region.as_str()));
        let ip = quoted(&put.origin_ip.to_string());
        writeln!(
            text,
            "    {ip} = {{ vendor = {vendor}, region = {region} }}"
        )?;
    }
    writeln!(text, "  }}")?;
    writeln!(text, "  zone_id   = {}", quoted(&row.zone_id))?;
    writeln!(text, "  origin_ip = each.key")?;
    writeln!(text, "  vendor    = each.value.vendor")?;
    writeln!(text, "  region    = each.value.region")?;
    writeln!(text, "}}")?;
    for put in row.plan.put.iter().filter(|put| put.is_mapped) {
        let ip = put.origin_ip.to_string();
        let id = format!("{}/{ip}", row.zone_id);
        writeln!(text, "import {{")?;
        writeln!(text, "  to = {RESOURCE}.{name}[{}]", quoted(&ip))?;
        writeln!(text, "  id = {}", quoted(&id))?;
        writeln!(text, "}}")?;
    }
    Ok(())
}

/// A string literal of Terraform, in which nothing is a template.
fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' | '\\' => literal.extend(['\\', character]),
            '$' | '%' if characters.peek() == Some(&'{') => literal.extend([character, character]),
            character if character.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(literal, "\\u{:04x}", u32::from(character));
            }
            character => literal.push(character),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::super::tests::{put, row};
    use super::*;

    #[test]
    fn the_configuration_parses_and_holds_what_the_plan_puts() {
        let plans = [
            row(
                "a.example",
                vec![put("192.0.2.1", false), put("2001:db8::1", true)],
                &["192.0.2.9"],
            ),
            row("a-example", vec![put("192.0.2.3", true)], &[]),
            row("9.example", Vec::new(), &[]),
            row("new\nline \"quoted\"", vec![put("192.0.2.4", false)], &[]),
        ];
        let text = render(&plans);
        let body: hcl::Body =
            hcl::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let labels: Vec<_> = body
            .blocks()
            .filter(|block| block.identifier() == "resource")
            .map(|block| block.labels().last().unwrap().as_str().to_owned())
            .collect();
        assert_eq!(labels.len(), 3, "{text}");
        assert_eq!(labels.iter().collect::<HashSet<_>>().len(), 3, "{labels:?}");
        let json: serde_json::Value = hcl::from_str(&text).unwrap();
        let zone = &json["resource"][RESOURCE]["zone_a_example"];
        assert_eq!(
            zone["for_each"],
            serde_json::json!({
                "192.0.2.1": {"vendor": "aws", "region": "us-east-1"},
                "2001:db8::1": {"vendor": "aws", "region": "us-east-1"},
            })
        );
        assert_eq!(zone["zone_id"], "id-of-a-example");
        let imports: Vec<_> = body
            .blocks()
            .filter(|block| block.identifier() == "import")
            .collect();
        assert_eq!(imports.len(), 2, "only what exists: {text}");
        assert!(text.contains("zone_a_example[\"2001:db8::1\"]"), "{text}");
        assert!(text.contains("id-of-a-example/2001:db8::1"), "{text}");
    }

    #[test]
    fn a_literal_means_its_text() {
        for text in [
            "plain",
            "\"quoted\" \\ \\n",
            "new\nline\t\u{7f}\u{85}",
            "${a} $${b} %{c} $ % $$",
            "é 💡",
            "",
        ] {
            let literal = quoted(text);
            let read: serde_json::Value = hcl::from_str(&format!("a = {literal}\n"))
                .unwrap_or_else(|error| panic!("{error}: {literal}"));
            assert_eq!(read["a"], text, "{literal}");
        }
    }
}

//! Renders a plan as Terraform configuration.

use std::collections::HashSet;
use std::fmt::Write as _;

use hcl::expr::{Traversal, Variable};
use hcl::{Block, Body, Expression, Identifier, Object};

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
            // A body of blocks, strings and objects always serialises.
            text.push_str(&hcl::to_string(&body(row, &name)).unwrap_or_default());
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

fn body(row: &PlanRow, name: &str) -> Body {
    let mut origins = Object::new();
    for put in &row.plan.put {
        let mut place = Object::new();
        place.insert(
            Identifier::sanitized("vendor").into(),
            Expression::from(put.vendor.as_str()),
        );
        place.insert(
            Identifier::sanitized("region").into(),
            Expression::from(put.region.as_str()),
        );
        let key = Expression::from(put.origin_ip.to_string());
        origins.insert(key.into(), Expression::Object(place));
    }
    let each = |path: &[&str]| {
        let each = Traversal::builder(Variable::sanitized("each"));
        let each = path
            .iter()
            .fold(each, |each, part| each.attr(Identifier::sanitized(part)));
        Expression::from(each.build())
    };
    let resource = Block::builder("resource")
        .add_label(RESOURCE)
        .add_label(name)
        .add_attribute(("for_each", Expression::Object(origins)))
        .add_attribute(("zone_id", row.zone_id.as_str()))
        .add_attribute(("origin_ip", each(&["key"])))
        .add_attribute(("vendor", each(&["value", "vendor"])))
        .add_attribute(("region", each(&["value", "region"])))
        .build();
    let mut body = Body::builder().add_block(resource);
    for put in row.plan.put.iter().filter(|put| put.is_mapped) {
        let ip = put.origin_ip.to_string();
        let to = Traversal::builder(Variable::sanitized(RESOURCE))
            .attr(Identifier::sanitized(name))
            .index(Expression::from(ip.as_str()))
            .build();
        let import = Block::builder("import")
            .add_attribute(("to", Expression::from(to)))
            .add_attribute(("id", format!("{}/{ip}", row.zone_id)))
            .build();
        body = body.add_block(import);
    }
    body.build()
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
        let body: Body = hcl::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
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
}

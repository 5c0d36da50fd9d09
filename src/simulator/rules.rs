//! Origin Rules, Cloud Connector rules and page rules. Each is stored as the API writes it.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::answer::{Failure, Outcome, success};
use super::listing::Query;
use super::world::{SimulatedZone, stable_id};
use super::zones::LONG_AGO;

/// `GET …/rulesets/phases/http_request_origin/entrypoint`
pub(super) fn origin_rules(zone: &SimulatedZone) -> Outcome {
    let rules = zone.origin_rules.as_ref().ok_or_else(|| {
        Failure::new(
            StatusCode::NOT_FOUND,
            10003,
            "could not find entrypoint ruleset in the \"http_request_origin\" phase",
        )
    })?;
    Ok(success(json!({
        "id": stable_id(zone.zone.id.as_str()),
        "name": "default",
        "description": "",
        "kind": "zone",
        "phase": "http_request_origin",
        "version": "1",
        "last_updated": LONG_AGO,
        "rules": rules,
    })))
}

/// `PUT …/rulesets/phases/http_request_origin/entrypoint`
pub(super) fn set_origin_rules(zone: &mut SimulatedZone, body: &[u8]) -> Outcome {
    #[derive(serde::Deserialize)]
    struct Wish {
        rules: Vec<Value>,
    }
    let wish: Wish = Failure::parse(body)?;
    let mut rules = with_ids(wish.rules)?;
    for fields in rules.iter_mut().filter_map(Value::as_object_mut) {
        let id = fields.get("id").cloned().unwrap_or_default();
        fields.entry("ref").or_insert(id);
        fields.entry("enabled").or_insert(json!(true));
        fields.insert("version".to_owned(), json!("1"));
        fields.insert("last_updated".to_owned(), json!(LONG_AGO));
    }
    zone.origin_rules = Some(rules);
    origin_rules(zone)
}

/// `GET …/cloud_connector/rules`
pub(super) fn cloud_connector(zone: &SimulatedZone) -> Vec<u8> {
    success(&zone.cloud_connector_rules)
}

/// `PUT …/cloud_connector/rules`
pub(super) fn set_cloud_connector(zone: &mut SimulatedZone, body: &[u8]) -> Outcome {
    zone.cloud_connector_rules = with_ids(Failure::parse(body)?)?;
    Ok(cloud_connector(zone))
}

/// `GET …/pagerules`: the disabled rules, unless `status` is given.
pub(super) fn page_rules(zone: &SimulatedZone, query: &Query<'_>) -> Vec<u8> {
    let status = query.get("status").unwrap_or("disabled");
    let shown = zone.page_rules.iter();
    let shown = shown.filter(|rule| rule.get("status").and_then(Value::as_str) == Some(status));
    success(shown.collect::<Vec<_>>())
}

/// `POST …/pagerules`
pub(super) fn create_page_rule(zone: &mut SimulatedZone, body: &[u8]) -> Outcome {
    let mut rules = with_ids(vec![Failure::parse(body)?])?;
    for fields in rules.iter_mut().filter_map(Value::as_object_mut) {
        fields.entry("status").or_insert(json!("disabled"));
        fields.entry("priority").or_insert(json!(1));
        fields.insert("created_on".to_owned(), json!(LONG_AGO));
        fields.insert("modified_on".to_owned(), json!(LONG_AGO));
    }
    let answer = success(rules.first());
    zone.page_rules.append(&mut rules);
    Ok(answer)
}

/// `DELETE …/pagerules/{id}`
pub(super) fn delete_page_rule(zone: &mut SimulatedZone, id: &str) -> Outcome {
    let mut rules = zone.page_rules.iter();
    let at = rules.position(|rule| rule.get("id").and_then(Value::as_str) == Some(id));
    let at = at
        .ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, 1002, "Invalid Page Rule identifier"))?;
    zone.page_rules.remove(at);
    Ok(success(json!({ "id": id })))
}

/// Adds an identifier to each rule that has none.
fn with_ids(mut rules: Vec<Value>) -> Result<Vec<Value>, Failure> {
    for rule in &mut rules {
        let id = stable_id(&rule.to_string());
        let fields = rule.as_object_mut();
        let fields = fields.ok_or_else(|| Failure::bad_body("a rule is an object"))?;
        fields.entry("id").or_insert(json!(id));
    }
    Ok(rules)
}

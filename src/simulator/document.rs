//! Well-formed but wrong responses: the regular document, changed.

#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON object by name adds a missing field"
)]

use std::net::{IpAddr, Ipv6Addr};

use serde_json::{Map, Value, json};

use super::fault::FaultKind;

/// The number of rows and pages that an endless listing claims to have.
const ENDLESS_ROWS: u64 = 100_000_000;

/// Changes a response's document according to the fault.
pub(super) fn change(document: &mut Value, kind: &FaultKind, page: usize) {
    match kind {
        FaultKind::Unsuccessful => {
            document["success"] = json!(false);
            document["result"] = Value::Null;
            document["errors"] =
                json!([{"code": 10013, "message": "An unknown error has occurred"}]);
        }
        FaultKind::NullResult => document["result"] = Value::Null,
        FaultKind::NoResultInfo => remove(document, &["result_info"]),
        FaultKind::NoMessages => remove(document, &["errors", "messages"]),
        FaultKind::UnknownFields => add_unknown_fields(document),
        FaultKind::BadRow(row) => replace_last_row(document, |_| row.clone()),
        FaultKind::DuplicateRow { agreeing } => {
            replace_last_row(document, |rows| duplicate(rows.first(), *agreeing));
        }
        FaultKind::TotalCount(offset) => add(document, "total_count", *offset),
        FaultKind::ShiftingTotal(step) => {
            let pages_before = i64::try_from(page.saturating_sub(1)).unwrap_or(i64::MAX);
            add(document, "total_count", step.saturating_mul(pages_before));
        }
        FaultKind::TotalPages(offset) => add(document, "total_pages", *offset),
        FaultKind::RepeatedRows => document["result_info"]["page"] = json!(page),
        FaultKind::ShortPage => {
            if let Some(rows) = rows(document) {
                rows.pop();
            }
            add(document, "count", -1);
        }
        FaultKind::EndlessPages => fill_page(document, page),
        _ => {}
    }
}

/// Whether a fault changes the document rather than how it is sent.
pub(super) fn is_changed_by(kind: &FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Unsuccessful
            | FaultKind::NullResult
            | FaultKind::NoResultInfo
            | FaultKind::NoMessages
            | FaultKind::UnknownFields
            | FaultKind::BadRow(_)
            | FaultKind::DuplicateRow { .. }
            | FaultKind::TotalCount(_)
            | FaultKind::ShiftingTotal(_)
            | FaultKind::TotalPages(_)
            | FaultKind::RepeatedRows
            | FaultKind::ShortPage
            | FaultKind::EndlessPages
    )
}

fn rows(document: &mut Value) -> Option<&mut Vec<Value>> {
    document.get_mut("result")?.as_array_mut()
}

fn remove(document: &mut Value, names: &[&str]) {
    if let Some(fields) = document.as_object_mut() {
        for name in names {
            fields.remove(*name);
        }
    }
}

/// Adds to a number of `result_info`. The result is at least 0.
fn add(document: &mut Value, name: &str, offset: i64) {
    if let Some(number) = document
        .get_mut("result_info")
        .and_then(|info| info.get_mut(name))
    {
        *number = json!(number.as_i64().unwrap_or(0).saturating_add(offset).max(0));
    }
}

fn replace_last_row(document: &mut Value, with: impl FnOnce(&[Value]) -> Value) {
    if let Some(rows) = rows(document)
        && !rows.is_empty()
    {
        let row = with(rows);
        rows.pop();
        rows.push(row);
    }
}

fn duplicate(row: Option<&Value>, agreeing: bool) -> Value {
    let mut row = row.cloned().unwrap_or_default();
    if let Some(ip) = row["origin_ip"].as_str().and_then(|ip| ip.parse().ok()) {
        row["origin_ip"] = json!(spelt_otherwise(ip));
    }
    if !agreeing {
        row["region"] = json!("elsewhere-1");
    }
    row
}

/// A different spelling of an address: IPv4 as IPv4-mapped IPv6, IPv6 with all its digits.
fn spelt_otherwise(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => format!("::ffff:{v4}"),
        IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:04X}")).join(":"),
    }
}

fn add_unknown_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(add_unknown_fields);
            let mut nested = Map::new();
            nested.insert("list".to_owned(), json!([1, null, {"deep": "value"}]));
            fields.insert("of_the_future".to_owned(), Value::Object(nested));
        }
        Value::Array(items) => items.iter_mut().for_each(add_unknown_fields),
        _ => {}
    }
}

fn fill_page(document: &mut Value, page: usize) {
    let info = &mut document["result_info"];
    let per_page = info["per_page"].as_u64().unwrap_or(20).max(1);
    info["count"] = json!(per_page);
    info["total_count"] = json!(ENDLESS_ROWS);
    info["total_pages"] = json!(ENDLESS_ROWS.div_ceil(per_page));
    let before = (page as u64).saturating_sub(1).saturating_mul(per_page);
    if let Some(rows) = rows(document) {
        *rows = (before..before.saturating_add(per_page))
            .map(|number| {
                let ip = Ipv6Addr::from((0x2001_0db8_ffff << 80) | u128::from(number));
                json!({
                    "id": format!("{number:032x}"),
                    "name": format!("endless-{number}.example"),
                    "origin_ip": ip.to_string(),
                    "vendor": "aws",
                    "region": "us-east-1",
                })
            })
            .collect();
    }
}

//! The audit log: who wrote what.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{Failure, Outcome, with_info};
use super::listing::Query;
use super::route::Route;
use super::world::{Account, Secret, World, stable_id};
use crate::domain::ZoneId;

/// The log of an account.
#[derive(Clone, Default)]
pub struct AuditLog {
    /// The entries in order, as the API writes them, and when each was created.
    pub entries: Vec<(Timestamp, Value)>,
    /// How long after its creation an entry appears.
    pub delay: Duration,
    /// Whether every entry appears twice.
    pub repeats: bool,
    /// The fields of a response that contain the cursor of the next page.
    pub cursor: CursorShape,
}

/// The fields of a response that contain the cursor of the next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CursorShape {
    /// Both fields.
    #[default]
    Both,
    /// `result_info.cursor`, as in the API's reference.
    Reference,
    /// `result_info.cursors.after`, where the official Python client looks for it.
    After,
}

/// A write, as the log describes it.
#[derive(Debug, Clone)]
pub struct AuditedCall<'a> {
    /// The e-mail address of the user.
    pub email: &'a str,
    /// How the user made the call: `dash`, `api_token`, …
    pub context: &'a str,
    /// The token's name, if a token was used.
    pub token_name: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// The zone that the path names.
    pub zone: Option<&'a ZoneId>,
    /// The request's body.
    pub request: Value,
}

impl AuditLog {
    /// Adds an entry.
    pub fn add(&mut self, call: &AuditedCall<'_>, now: Timestamp) {
        let kind = match call.method {
            "POST" => "create",
            "DELETE" => "delete",
            _ => "update",
        };
        let number = self.entries.len();
        let id = stable_id(&format!("{now} {number} {} {}", call.method, call.path));
        let row = json!({
            "id": id,
            "account": {"id": "", "name": ""},
            "action": {"type": kind, "result": "success", "time": format!("{now:.3}"),
                       "description": format!("{kind} {}", call.path)},
            "actor": {"type": "user", "context": call.context, "email": call.email,
                      "ip_address": "192.0.2.250", "id": stable_id(call.email),
                      "token_id": call.token_name.map(stable_id),
                      "token_name": call.token_name},
            "raw": {"method": call.method, "uri": call.path, "status_code": 200,
                    "user_agent": "simulation", "cf_ray_id": stable_id(&id)},
            "resource": {"id": "", "product": "simulation", "type": "simulation",
                         "scope": "zones", "request": call.request},
            "zone": {"id": call.zone.map(ZoneId::as_str), "name": null},
        });
        self.entries.push((now, row));
    }

    /// Adds this many entries of writes that the exporter does not care about.
    pub fn flood(&mut self, count: usize, now: Timestamp) {
        for number in 0..count {
            let path = format!("/client/v4/accounts/a/rules/lists/{number}");
            let call = AuditedCall {
                email: "robot@example.com",
                context: "api_token",
                token_name: Some("robot"),
                method: "PUT",
                path: &path,
                zone: None,
                request: Value::Null,
            };
            self.add(&call, now);
        }
    }
}

impl World {
    /// Adds a write that was made over the API with a credential to the log of its account.
    pub(super) fn audit(
        &mut self,
        credential: &str,
        method: &Method,
        path: &str,
        route: &Route<'_>,
        body: &[u8],
        now: Timestamp,
    ) {
        let zone = ZoneId::parse(&route.zone).ok();
        let owner = zone
            .as_ref()
            .and_then(|id| self.zones.get(id)?.zone.owner.clone());
        let owner = owner.as_deref().unwrap_or(&route.account);
        let Some(account) = self.accounts.get_mut(owner) else {
            return;
        };
        let known = self.credentials.iter().find(|known| known.id == credential);
        let (email, context) = match known.map(|known| &known.secret) {
            Some(Secret::Key { email, .. }) => (email.as_str(), "api_key"),
            _ => ("", "api_token"),
        };
        let call = AuditedCall {
            email,
            context,
            token_name: (context == "api_token").then_some(credential),
            method: method.as_str(),
            path,
            zone: zone.as_ref(),
            request: serde_json::from_slice(body).unwrap_or_default(),
        };
        account.audit_log.add(&call, now);
    }
}

/// `GET /accounts/{account_id}/logs/audit`
pub(super) fn list(
    accounts: &BTreeMap<String, Account>,
    id: &str,
    query: &Query<'_>,
    now: Timestamp,
) -> Outcome {
    let bad = |message: &'static str| Failure::new(StatusCode::BAD_REQUEST, 10001, message);
    let account = accounts
        .get(id)
        .ok_or_else(|| Failure::new(StatusCode::FORBIDDEN, 9109, "Unauthorized"))?;
    let time = |name: &str| {
        query
            .get(name)
            .and_then(|text| text.parse::<Timestamp>().ok())
    };
    let since = time("since").ok_or_else(|| bad("since is required"))?;
    let before = time("before").ok_or_else(|| bad("before is required"))?;
    let number = |name: &str, default: usize| {
        query
            .get(name)
            .map_or(Some(default), |text| text.parse().ok())
    };
    let limit = number("limit", 100).filter(|limit| (1..=1000).contains(limit));
    let limit = limit.ok_or_else(|| bad("limit must be between 1 and 1000"))?;
    let skipped = number("cursor", 0).ok_or_else(|| bad("unknown cursor"))?;
    let log = &account.audit_log;
    let is_shown = |at: Timestamp| now.duration_since(at).unsigned_abs() >= log.delay;
    let zone = query.get("zone_id");
    let of_zone = |row: &Value| {
        zone.is_none_or(|id| row.pointer("/zone/id").and_then(Value::as_str) == Some(id))
    };
    let mut rows: Vec<&Value> = log
        .entries
        .iter()
        .filter(|(at, _)| (since..before).contains(at) && is_shown(*at))
        .map(|(_, row)| row)
        .filter(|row| of_zone(row))
        .flat_map(|row| std::iter::repeat_n(row, if log.repeats { 2 } else { 1 }))
        .collect();
    if query.get("direction") != Some("asc") {
        rows.reverse();
    }
    let total = rows.len();
    let page: Vec<_> = rows.into_iter().skip(skipped).take(limit).collect();
    let end = skipped + page.len();
    let cursor = if end < total {
        end.to_string()
    } else {
        String::new()
    };
    let count = page.len();
    let info = match log.cursor {
        CursorShape::Both => {
            json!({"count": count.to_string(), "cursor": cursor, "cursors": {"after": cursor}})
        }
        CursorShape::Reference => json!({"count": count, "cursor": cursor}),
        CursorShape::After => json!({"count": count.to_string(), "cursors": {"after": cursor}}),
    };
    Ok(with_info(page, info))
}

//! Rules that change the origin of requests: Origin Rules, Cloud Connector and page rules.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::attempt::Request;
use super::client::Client;
use super::envelope::{self, BodyProblem, Interner, Lenient, Rows};
use super::list::ListCall;
use super::origin_target::OriginTarget;
use super::{ApiError, CallBudget, Operation};
use crate::domain::{Vendor, ZoneId};

/// An enabled Cloud Connector rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudConnectorRule {
    /// The provider of the storage.
    pub provider: StorageProvider,
    /// The host of the storage.
    pub host: OriginTarget,
}

/// A storage service that Cloud Connector supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageProvider {
    /// A cloud vendor's.
    Vendor(Vendor),
    /// Cloudflare's R2, which has no origin address.
    R2,
    /// A service unknown to this program.
    Other,
}

impl From<&str> for StorageProvider {
    fn from(name: &str) -> Self {
        match name {
            "aws_s3" => Self::Vendor(Vendor::Aws),
            "azure_storage" => Self::Vendor(Vendor::Azure),
            "gcp_storage" => Self::Vendor(Vendor::Gcp),
            "oci_storage" => Self::Vendor(Vendor::Oci),
            "cloudflare_r2" => Self::R2,
            _ => Self::Other,
        }
    }
}

impl Client {
    /// The hosts to which a zone's enabled Origin Rules send requests; empty without such rules, for
    /// which the API answers 404.
    pub async fn origin_rules(
        &self,
        zone: &ZoneId,
        call: &CallBudget,
    ) -> Result<Rows<OriginTarget>, ApiError> {
        let url = self.zone_url(zone, "rulesets/phases/http_request_origin/entrypoint");
        let request = Request::new(Operation::OriginRules, &url).expecting(ApiError::is_not_found);
        let rules = self.get_optional(request, call, read_ruleset).await?;
        Ok(rules.unwrap_or_default())
    }

    /// The enabled Cloud Connector rules of a zone.
    pub async fn cloud_connector(
        &self,
        zone: &ZoneId,
        call: &CallBudget,
    ) -> Result<Rows<CloudConnectorRule>, ApiError> {
        let url = self.zone_url(zone, "cloud_connector/rules");
        let rows = |rules: Vec<Option<_>>| Ok(rules.into_iter().flatten().collect());
        self.list::<ListCloudConnectorRules, _>(&url, call, rows)
            .await
    }

    /// The hosts of the resolve overrides in a zone's active page rules.
    pub async fn page_rules(
        &self,
        zone: &ZoneId,
        call: &CallBudget,
    ) -> Result<Rows<OriginTarget>, ApiError> {
        let mut url = self.zone_url(zone, "pagerules");
        // By default, the API also returns disabled rules.
        url.query_pairs_mut().append_pair("status", "active");
        let rows = |rules: Vec<Vec<_>>| Ok(rules.into_iter().flatten().collect());
        self.list::<ListPageRules, _>(&url, call, rows).await
    }
}

#[derive(Deserialize)]
struct Ruleset<'a> {
    #[serde(borrow)]
    rules: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct OriginRule {
    action: Lenient<String>,
    enabled: Lenient<bool>,
    action_parameters: Option<RouteParameters>,
}

#[derive(Deserialize)]
struct RouteParameters {
    origin: Option<RouteOrigin>,
}

#[derive(Deserialize)]
struct RouteOrigin {
    host: Option<String>,
}

/// The host of an enabled rule; `None` if it does not change the origin.
fn read_origin_rule(row: &RawValue) -> Result<Option<OriginTarget>, String> {
    let rule: OriginRule = envelope::row(row, "an Origin Rule as documented")?;
    let is_route = rule.action.0.is_none_or(|action| action == "route");
    let origin = rule.action_parameters.and_then(|route| route.origin);
    match origin.and_then(|origin| origin.host) {
        Some(host) if is_route && rule.enabled.0.unwrap_or(true) => target(&host).map(Some),
        _ => Ok(None),
    }
}

fn target(text: &str) -> Result<OriginTarget, String> {
    OriginTarget::parse(text).ok_or_else(|| "its host is not a host name".to_owned())
}

pub(super) fn read_ruleset(body: &[u8]) -> Result<Rows<OriginTarget>, BodyProblem> {
    let ruleset: Ruleset<'_> = envelope::result(body)?;
    let rules = ruleset.rules.unwrap_or_default();
    let count = rules.len();
    let mut read = Rows::default();
    for rule in rules {
        read.add(rule, read_origin_rule(rule));
    }
    if read.rows.is_empty() && count > 0 {
        let problem = format!("none of {count} rules can be read");
        return Err(BodyProblem::Malformed(problem));
    }
    Ok(Rows {
        rows: read.rows.into_iter().flatten().collect(),
        rejected: read.rejected,
    })
}

pub(super) struct ListCloudConnectorRules;

#[derive(Deserialize)]
struct ConnectorRow {
    enabled: Lenient<bool>,
    provider: Option<String>,
    parameters: Option<ConnectorParameters>,
}

#[derive(Deserialize)]
struct ConnectorParameters {
    host: Option<String>,
}

impl ListCall for ListCloudConnectorRules {
    const OPERATION: Operation = Operation::CloudConnector;
    /// The rule, if enabled. The raw row is its key.
    type Row = Option<CloudConnectorRule>;
    type Key = String;

    fn read(raw: &RawValue, _: &mut Interner) -> Result<(String, Self::Row), String> {
        let row: ConnectorRow = envelope::row(raw, "a Cloud Connector rule as documented")?;
        let host = row.parameters.and_then(|parameters| parameters.host);
        let rule = match host {
            Some(host) if row.enabled.0.unwrap_or(true) => Some(CloudConnectorRule {
                provider: row.provider.as_deref().unwrap_or_default().into(),
                host: target(&host)?,
            }),
            _ => None,
        };
        Ok((raw.get().to_owned(), rule))
    }
}

pub(super) struct ListPageRules;

#[derive(Deserialize)]
struct PageRuleRow<'a> {
    status: Lenient<String>,
    #[serde(borrow)]
    actions: Vec<Action<'a>>,
}

#[derive(Deserialize)]
struct Action<'a> {
    id: Lenient<String>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

impl ListCall for ListPageRules {
    const OPERATION: Operation = Operation::PageRules;
    /// The hosts that the rule names. The raw row is its key.
    type Row = Vec<OriginTarget>;
    type Key = String;

    fn read(raw: &RawValue, _: &mut Interner) -> Result<(String, Self::Row), String> {
        let row: PageRuleRow<'_> = envelope::row(raw, "a page rule with actions")?;
        let is_active = row.status.0.is_none_or(|status| status == "active");
        let overrides = row
            .actions
            .iter()
            .filter(|action| is_active && action.id.0.as_deref() == Some("resolve_override"));
        let hosts = overrides.map(|action| {
            let value = action.value.map_or("null", RawValue::get);
            let host: String = serde_json::from_str(value)
                .map_err(|_| "the value of resolve_override is not a string")?;
            target(&host)
        });
        let hosts = hosts.collect::<Result<_, _>>()?;
        Ok((raw.get().to_owned(), hosts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    fn host(name: &str) -> OriginTarget {
        OriginTarget::parse(name).unwrap()
    }

    #[test]
    fn the_hosts_of_enabled_origin_rules() {
        let read = read_ruleset(
            br#"{"success": true, "result": {"id": "r", "phase": "http_request_origin", "rules": [
                {"action": "route", "enabled": true, "expression": "true",
                 "action_parameters": {"origin": {"host": "A.example.com", "port": 8443}}},
                {"action": "route", "action_parameters": {"origin": {"port": 8443}}},
                {"action": "route", "enabled": false,
                 "action_parameters": {"origin": {"host": "off.example.com"}}},
                {"action": "route", "action_parameters": {"host_header": "x"}},
                {"action": "route", "action_parameters": {"origin": {"host": "a b"}}},
                {"action": "route", "action_parameters": {"origin": {"host": "b.example.com"}}}
            ]}}"#,
        )
        .unwrap();
        assert_eq!(read.rows, [host("a.example.com"), host("b.example.com")]);
        assert_eq!(read.rejected.count, 1);
        assert!(!read.is_complete());
    }

    #[test]
    fn a_ruleset_without_rules_has_none_and_one_without_a_readable_rule_is_malformed() {
        let empty = read_ruleset(br#"{"success": true, "result": {"id": "r"}}"#).unwrap();
        assert_eq!((empty.rows.len(), empty.is_complete()), (0, true));
        let body = br#"{"success": true, "result": {"rules": [7, "x"]}}"#;
        let problem = read_ruleset(body).unwrap_err();
        assert!(matches!(problem, BodyProblem::Malformed(_)), "{problem:?}");
    }

    #[test]
    fn enabled_cloud_connector_rules_name_a_provider_and_a_host() {
        let read = |json: &str| {
            let row = ListCloudConnectorRules::read(raw(json), &mut Interner::default());
            row.map(|(_, rule)| rule)
        };
        let s3 = r#"{"enabled": true, "provider": "aws_s3",
                     "parameters": {"host": "bucket.s3.eu-north-1.amazonaws.com"}}"#;
        let expected = CloudConnectorRule {
            provider: StorageProvider::Vendor(Vendor::Aws),
            host: host("bucket.s3.eu-north-1.amazonaws.com"),
        };
        assert_eq!(read(s3), Ok(Some(expected)));
        assert_eq!(read(&s3.replace("true", "false")), Ok(None));
        assert!(read(&s3.replace("bucket.", "a bucket.")).is_err());
        let provider = |name: &str| read(&s3.replace("aws_s3", name)).unwrap().unwrap().provider;
        assert_eq!(provider("cloudflare_r2"), StorageProvider::R2);
        assert_eq!(provider("new"), StorageProvider::Other);
    }

    #[test]
    fn active_page_rules_may_override_the_resolution() {
        let read = |json: &str| {
            let row = ListPageRules::read(raw(json), &mut Interner::default());
            row.map(|(_, hosts)| hosts)
        };
        let rule = r#"{"id": "p", "status": "active", "actions": [
            {"id": "cache_level", "value": "bypass"}, {"id": "ssl"},
            {"id": "forwarding_url", "value": {"url": "https://x"}},
            {"id": "resolve_override", "value": "b.example.com"}]}"#;
        assert_eq!(read(rule), Ok(vec![host("b.example.com")]));
        assert_eq!(read(&rule.replace("active", "disabled")), Ok(vec![]));
        assert!(read(&rule.replace("\"b.example.com\"", "7")).is_err());
        assert!(read(r#"{"id": "p"}"#).is_err());
    }
}

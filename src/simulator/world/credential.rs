//! Credentials, and what each gives access to.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::SimulatedZone;

/// A token or key, and what it gives access to.
#[derive(Clone)]
pub struct Credential {
    /// Its identifier, which is not secret.
    pub id: String,
    /// What a client sends.
    pub secret: Secret,
    /// Whether it is accepted.
    pub status: CredentialStatus,
    /// When it expires, as its verification reports.
    pub expires_on: Option<Timestamp>,
    /// The accounts whose zones it can see; empty for all of them.
    pub accounts: BTreeSet<String>,
    /// What it may do.
    pub permissions: BTreeSet<Permission>,
}

/// How a client authenticates.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// A user's token.
    UserToken(String),
    /// A token that an account owns.
    AccountToken {
        /// The token.
        token: String,
        /// The account's identifier.
        account: String,
    },
    /// A global API key.
    Key {
        /// The user's e-mail address.
        email: String,
        /// The key.
        key: String,
    },
}

/// The state of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CredentialStatus {
    /// It works.
    Active,
    /// Its owner disabled it.
    Disabled,
    /// It has expired.
    Expired,
}

/// What a credential may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// List zones and get one.
    ZoneRead,
    /// Read mappings and tiered cache settings.
    ZoneSettingsRead,
    /// Write mappings and tiered cache settings.
    ZoneSettingsWrite,
    /// Read DNS records.
    DnsRead,
    /// Read a zone's load balancers.
    LoadBalancersRead,
    /// Read an account's load balancer pools.
    PoolsRead,
    /// Read Origin Rules.
    OriginRulesRead,
    /// Read Cloud Connector rules.
    CloudConnectorRead,
    /// Read page rules.
    PageRulesRead,
    /// Read an account's audit log.
    AccountSettingsRead,
    /// Write DNS records.
    DnsWrite,
    /// Write a zone's load balancers.
    LoadBalancersWrite,
    /// Write an account's load balancer pools.
    PoolsWrite,
    /// Write Origin Rules, Cloud Connector rules and page rules.
    RulesWrite,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 14] = [
        Self::ZoneRead,
        Self::ZoneSettingsRead,
        Self::ZoneSettingsWrite,
        Self::DnsRead,
        Self::LoadBalancersRead,
        Self::PoolsRead,
        Self::OriginRulesRead,
        Self::CloudConnectorRead,
        Self::PageRulesRead,
        Self::AccountSettingsRead,
        Self::DnsWrite,
        Self::LoadBalancersWrite,
        Self::PoolsWrite,
        Self::RulesWrite,
    ];
}

impl Credential {
    /// A user's token with all permissions for every account.
    pub fn user_token(id: &str, token: &str) -> Self {
        Self::new(id, Secret::UserToken(token.to_owned()))
    }

    /// A token that an account owns, with all permissions there.
    pub fn account_token(id: &str, token: &str, account: &str) -> Self {
        let secret = Secret::AccountToken {
            token: token.to_owned(),
            account: account.to_owned(),
        };
        Self::new(id, secret).only_accounts([account])
    }

    /// A user's global API key.
    pub fn key(id: &str, email: &str, key: &str) -> Self {
        let secret = Secret::Key {
            email: email.to_owned(),
            key: key.to_owned(),
        };
        Self::new(id, secret)
    }

    fn new(id: &str, secret: Secret) -> Self {
        Self {
            id: id.to_owned(),
            secret,
            status: CredentialStatus::Active,
            expires_on: None,
            accounts: BTreeSet::new(),
            permissions: Permission::ALL.into(),
        }
    }

    /// Limits it to these accounts.
    #[must_use]
    pub fn only_accounts<'a>(mut self, accounts: impl IntoIterator<Item = &'a str>) -> Self {
        self.accounts = accounts.into_iter().map(str::to_owned).collect();
        self
    }

    /// Removes a permission.
    #[must_use]
    pub fn without(mut self, permission: Permission) -> Self {
        self.permissions.remove(&permission);
        self
    }

    pub(in crate::simulator) fn sees_account(&self, account: &str) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }

    pub(in crate::simulator) fn sees(&self, zone: &SimulatedZone) -> bool {
        self.sees_account(zone.zone.owner.as_deref().unwrap_or_default())
    }
}

//! The accounts: their names, credentials and zones.

use std::collections::BTreeSet;

use super::credentials;
use super::environment::Environment;
use super::value::{self, Folder};
use crate::config_tree::{Collector, Field, Section};
use crate::domain::{AccountName, ZoneId};
use crate::poller::{AccountSettings, ZoneSelection};

/// The name of the account of a configuration that lists none.
const DEFAULT_ACCOUNT: &str = "default";

/// Those that the file lists.
pub(super) fn read(list: &Field<'_>, folder: Folder<'_>) -> Vec<AccountSettings> {
    let mut names = BTreeSet::new();
    list.items()
        .iter()
        .filter_map(|item| item.section(|section| read_account(section, item, folder, &mut names)))
        .flatten()
        .collect()
}

fn read_account(
    section: &mut Section<'_>,
    account: &Field<'_>,
    folder: Folder<'_>,
    names: &mut BTreeSet<AccountName>,
) -> Option<AccountSettings> {
    let name = section.get("name");
    if name.is_none() {
        account.reject("expected a name for this account (key \"name\")");
    }
    let name = name.and_then(|field| read_name(&field, names));
    let credentials = credentials::of_account(section, account, folder);
    let selection = section
        .get("zones")
        .map_or_else(|| Some(all_zones()), |field| read_selection(&field));
    Some(AccountSettings {
        name: name?,
        credentials: credentials?,
        zones: selection?,
    })
}

fn read_name(field: &Field<'_>, taken: &mut BTreeSet<AccountName>) -> Option<AccountName> {
    let name = field.parse(|text| {
        AccountName::parse(text).map_err(|error| format!("a name; this one {error}"))
    })?;
    if !taken.insert(name.clone()) {
        field.expected("a name that no other account has");
    }
    Some(name)
}

/// The one of a configuration that lists none.
pub(super) fn from_environment(
    environment: &Environment,
    errors: &Collector,
) -> Vec<AccountSettings> {
    let credentials = credentials::of_environment(environment, errors);
    let name = AccountName::parse(DEFAULT_ACCOUNT).ok();
    name.zip(credentials)
        .map(|(name, credentials)| AccountSettings {
            name,
            credentials,
            zones: all_zones(),
        })
        .into_iter()
        .collect()
}

fn all_zones() -> ZoneSelection {
    ZoneSelection::Filter {
        include: Vec::new(),
        exclude: Vec::new(),
    }
}

fn read_selection(zones: &Field<'_>) -> Option<ZoneSelection> {
    zones.section(|section| {
        let ids = section
            .get("ids")
            .map(|list| read_ids(&list))
            .unwrap_or_default();
        let mut globs = |key| {
            section
                .get(key)
                .map(|list| {
                    list.items()
                        .iter()
                        .filter_map(value::glob)
                        .collect::<Vec<_>>()
                })
                .unwrap_or_default()
        };
        let (include, exclude) = (globs("include"), globs("exclude"));
        if ids.is_empty() {
            return ZoneSelection::Filter { include, exclude };
        }
        if !include.is_empty() || !exclude.is_empty() {
            zones.reject("ids and include or exclude exclude each other: remove one of them");
        }
        ZoneSelection::Ids(ids)
    })
}

fn read_ids(list: &Field<'_>) -> Vec<ZoneId> {
    let mut seen = BTreeSet::new();
    let mut ids = Vec::new();
    for item in list.items() {
        let id = item.parse(|text| {
            ZoneId::parse(text).map_err(|error| format!("a zone id; this one {error}"))
        });
        match id {
            Some(id) if seen.insert(id.clone()) => ids.push(id),
            Some(_) => item.expected("each id once"),
            None => {}
        }
    }
    ids
}

//! Connects the components to the HTTP server.

use std::sync::Arc;

use super::parts::Parts;
use crate::cloudflare::{CallBudget, Client};
use crate::web::{LookUp, Reload, Sources};

/// The components as the server uses them.
pub(super) fn of(parts: &Parts, reload: Reload) -> Sources {
    let clients = || Arc::clone(&parts.clients);
    let (of_accounts, of_url, of_look_up) = (clients(), clients(), clients());
    let look_up: LookUp = Arc::new(move |wanted| {
        let clients = of_look_up.load();
        let client = clients
            .iter()
            .find(|client| *client.account() == wanted.account)
            .cloned();
        Box::pin(async move {
            // It was removed from the configuration since the zone was polled.
            let removed = || format!("account {} is no longer configured", wanted.account);
            let client = client.ok_or_else(removed)?;
            let call = CallBudget::probe(wanted.limit);
            let mapping = client.get_mapping(&wanted.zone, wanted.origin_ip, &call);
            mapping.await.map_err(|error| error.to_string())
        })
    });
    Sources {
        exposition: parts.exposition.clone(),
        snapshot: parts.snapshot.clone(),
        history: parts.history.clone(),
        ready: parts.ready.clone(),
        accounts: Arc::new(move || of_accounts.load().iter().map(Client::status).collect()),
        // All clients have the same base URL.
        api_url: Arc::new(move || {
            let clients = of_url.load();
            let url = clients.first().map(|client| client.base_url().to_string());
            url.unwrap_or_default()
        }),
        look_up,
        reload,
    }
}

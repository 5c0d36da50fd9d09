//! Connects the components to the HTTP server.

use std::sync::Arc;

use super::parts::{Clients, Parts};
use crate::cloudflare::{CallBudget, Client};
use crate::web::{Accounts, ApiUrl, LookUp, LookUpError, Reload, Sources};

/// The components as the server uses them.
pub(super) fn of(parts: &Parts, reload: Reload) -> Sources {
    Sources {
        exposition: parts.exposition.clone(),
        snapshot: parts.snapshot.clone(),
        history: parts.history.clone(),
        ready: parts.ready.clone(),
        accounts: accounts(Arc::clone(&parts.clients)),
        api_url: api_url(Arc::clone(&parts.clients)),
        look_up: look_up(Arc::clone(&parts.clients)),
        reload,
    }
}

fn accounts(clients: Arc<Clients>) -> Accounts {
    Arc::new(move || clients.load().iter().map(Client::status).collect())
}

/// All clients have the same base URL.
fn api_url(clients: Arc<Clients>) -> ApiUrl {
    Arc::new(move || {
        let clients = clients.load();
        let url = clients.first().map(|client| client.base_url().to_string());
        url.unwrap_or_default()
    })
}

fn look_up(clients: Arc<Clients>) -> LookUp {
    Arc::new(move |wanted| {
        let client = clients
            .load()
            .iter()
            .find(|client| *client.account() == wanted.account)
            .cloned();
        Box::pin(async move {
            let client = client.ok_or(LookUpError::NoAccount(wanted.account))?;
            let call = CallBudget::probe(wanted.limit);
            let mapping = client.get_mapping(&wanted.zone, wanted.origin_ip, &call);
            Ok(mapping.await?)
        })
    })
}

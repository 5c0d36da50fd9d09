//! What the parts show and do for the HTTP server.

use std::sync::Arc;

use super::parts::Parts;
use crate::cloudflare::{Call, Client};
use crate::web::{Accounts, LookUp, LookUpError, Render, Sources};

/// The server's view of the parts.
pub(super) fn of(parts: &Parts) -> Sources {
    Sources {
        render: render(parts),
        snapshot: parts.snapshot.clone(),
        ready: parts.ready.clone(),
        accounts: accounts(parts.clients.clone()),
        look_up: look_up(parts.clients.clone()),
    }
}

fn render(parts: &Parts) -> Render {
    let exposition = parts.exposition.clone();
    Arc::new(move |encoding| {
        let exposition = exposition.clone();
        Box::pin(async move { exposition.render(encoding).await })
    })
}

fn accounts(clients: Vec<Client>) -> Accounts {
    Arc::new(move || clients.iter().map(Client::status).collect())
}

fn look_up(clients: Vec<Client>) -> LookUp {
    Arc::new(move |wanted| {
        let client = clients
            .iter()
            .find(|client| *client.account() == wanted.account)
            .cloned();
        Box::pin(async move {
            let client = client.ok_or(LookUpError::NoAccount(wanted.account))?;
            let call = Call::probe(wanted.limit);
            let mapping = client.get_mapping(&wanted.zone, wanted.origin_ip, &call);
            Ok(mapping.await?)
        })
    })
}

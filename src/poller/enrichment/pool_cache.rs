//! The load balancer pools of an account, which all its zones share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::cloudflare::{ApiError, CallBudget, Client, Pool, Rows};

/// The pools of a client's Cloudflare accounts, read once for all zones.
#[derive(Debug, Default)]
pub(in crate::poller) struct PoolCache {
    // Locked during a read, so that other zones wait for its result instead of repeating it. A
    // failure is kept as long, because it would be the same for the next zone.
    owners: Mutex<HashMap<Arc<str>, (Instant, Pools)>>,
}

pub(in crate::poller) type Pools = Result<Arc<Rows<Pool>>, ApiError>;

impl PoolCache {
    pub(in crate::poller) async fn get(
        &self,
        client: &Client,
        owner: &Arc<str>,
        age: Duration,
        call: &CallBudget,
    ) -> Pools {
        let mut owners = self.owners.lock().await;
        if let Some((at, pools)) = owners.get(owner)
            && at.elapsed() < age
        {
            return pools.clone();
        }
        let pools = read(client, owner, call).await;
        owners.insert(Arc::clone(owner), (Instant::now(), pools.clone()));
        pools
    }

    /// Reads the pools whatever their age, after a write to them. After a failure, the next zone
    /// that needs them reads them.
    pub(in crate::poller) async fn refresh(
        &self,
        client: &Client,
        owner: &Arc<str>,
        call: &CallBudget,
    ) -> Pools {
        let pools = read(client, owner, call).await;
        let mut owners = self.owners.lock().await;
        if pools.is_ok() {
            owners.insert(Arc::clone(owner), (Instant::now(), pools.clone()));
        } else {
            owners.remove(owner);
        }
        pools
    }
}

async fn read(client: &Client, owner: &Arc<str>, call: &CallBudget) -> Pools {
    let pools = client.load_balancer_pools(owner, call).await;
    pools.map(Arc::new)
}

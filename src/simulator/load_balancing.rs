//! Load balancers of a zone and the pools of an account.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::answer::{Failure, Outcome, success};
use super::world::{Account, LoadBalancer, Pool, SimulatedZone, stable_id};
use super::zones::LONG_AGO;

/// `GET …/load_balancers`
pub(super) fn balancers(zone: &SimulatedZone) -> Vec<u8> {
    success(&zone.load_balancers)
}

/// `POST …/load_balancers`
pub(super) fn create_balancer(zone: &mut SimulatedZone, body: &[u8]) -> Outcome {
    let mut balancer: LoadBalancer = Failure::parse(body)?;
    balancer.id = stable_id(&format!("load balancer {}", balancer.name));
    let answer = success(&balancer);
    zone.load_balancers.push(balancer);
    Ok(answer)
}

/// `PUT` and `PATCH …/load_balancers/{id}`: omitted fields keep their values.
pub(super) fn change_balancer(zone: &mut SimulatedZone, id: &str, body: &[u8]) -> Outcome {
    let balancer = zone.load_balancers.iter_mut().find(|row| row.id == id);
    let balancer = balancer.ok_or_else(not_there)?;
    let before = serde_json::to_value(&*balancer).unwrap_or_default();
    let mut changed: LoadBalancer = merged(before, body)?;
    id.clone_into(&mut changed.id);
    *balancer = changed;
    Ok(success(&*balancer))
}

/// `DELETE …/load_balancers/{id}`
pub(super) fn delete_balancer(zone: &mut SimulatedZone, id: &str) -> Outcome {
    let at = zone.load_balancers.iter().position(|row| row.id == id);
    zone.load_balancers.remove(at.ok_or_else(not_there)?);
    Ok(success(json!({ "id": id })))
}

/// A pool as the API writes it: `disabled_at` is only present if disabled.
fn row(pool: &Pool) -> Value {
    let origins = pool.origins.iter().map(|origin| {
        let row = json!({
            "name": origin.name,
            "address": origin.address,
            "enabled": origin.enabled,
            "weight": 1,
            "virtual_network_id": origin.virtual_network_id,
            "disabled_at": disabled_at(origin.enabled),
        });
        without_nulls(row)
    });
    without_nulls(json!({
        "id": pool.id,
        "name": pool.name,
        "enabled": pool.enabled,
        "disabled_at": disabled_at(pool.enabled),
        "origins": origins.collect::<Vec<_>>(),
        "minimum_origins": 1,
        "created_on": LONG_AGO,
        "modified_on": LONG_AGO,
    }))
}

fn disabled_at(enabled: bool) -> Option<&'static str> {
    (!enabled).then_some(LONG_AGO)
}

fn without_nulls(mut row: Value) -> Value {
    if let Some(fields) = row.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    row
}

fn account<'a>(
    accounts: &'a mut BTreeMap<String, Account>,
    id: &str,
) -> Result<&'a mut Account, Failure> {
    accounts.get_mut(id).ok_or_else(|| {
        Failure::new(
            StatusCode::FORBIDDEN,
            9109,
            "Unauthorized to access requested resource",
        )
    })
}

/// `GET /accounts/{account_id}/load_balancers/pools`
pub(super) fn pools(accounts: &mut BTreeMap<String, Account>, id: &str) -> Outcome {
    let pools = account(accounts, id)?.pools.iter().map(row);
    Ok(success(pools.collect::<Vec<_>>()))
}

/// `POST /accounts/{account_id}/load_balancers/pools`
pub(super) fn create_pool(
    accounts: &mut BTreeMap<String, Account>,
    id: &str,
    body: &[u8],
) -> Outcome {
    let account = account(accounts, id)?;
    let mut pool: Pool = Failure::parse(body)?;
    pool.id = stable_id(&format!("pool {}", pool.name));
    let answer = success(row(&pool));
    account.pools.push(pool);
    Ok(answer)
}

/// `PUT` and `PATCH /accounts/{account_id}/load_balancers/pools/{id}`: omitted fields keep their
/// values.
pub(super) fn change_pool(
    accounts: &mut BTreeMap<String, Account>,
    owner: &str,
    id: &str,
    body: &[u8],
) -> Outcome {
    let pools = account(accounts, owner)?.pools.iter_mut();
    let pool = pools.into_iter().find(|pool| pool.id == id);
    let pool = pool.ok_or_else(not_there)?;
    let mut changed: Pool = merged(row(pool), body)?;
    id.clone_into(&mut changed.id);
    *pool = changed;
    Ok(success(row(pool)))
}

/// `DELETE /accounts/{account_id}/load_balancers/pools/{id}`
pub(super) fn delete_pool(
    accounts: &mut BTreeMap<String, Account>,
    owner: &str,
    id: &str,
) -> Outcome {
    let pools = &mut account(accounts, owner)?.pools;
    let at = pools.iter().position(|pool| pool.id == id);
    pools.remove(at.ok_or_else(not_there)?);
    Ok(success(json!({ "id": id })))
}

/// An object with some of its fields replaced by those of a body.
fn merged<T: serde::de::DeserializeOwned>(mut object: Value, body: &[u8]) -> Result<T, Failure> {
    let wish: serde_json::Map<String, Value> = Failure::parse(body)?;
    if let Some(fields) = object.as_object_mut() {
        fields.extend(wish);
    }
    Failure::parse(object.to_string().as_bytes())
}

fn not_there() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, 1001, "not found")
}

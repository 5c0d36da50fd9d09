"""Cloudflare's official client against the simulated API.

Arguments: the base URL, a token, an account's identifier. The world is that of
tests/simulator/official_client.rs. Fails with a traceback if the client and the API disagree.
"""

import sys
from datetime import datetime, timedelta, timezone

import cloudflare
from cloudflare import Cloudflare

base_url, token, account_id = sys.argv[1:]
client = Cloudflare(
    base_url=base_url, api_token=token, max_retries=0, _strict_response_validation=True
)
regions = client.cache.origin_cloud_regions


def raises(kind, code, call):
    """Check that the call fails with this exception and this error code of the API."""
    try:
        call()
    except kind as error:
        assert [entry.code for entry in error.errors][0] == code, error.errors
    else:
        raise AssertionError(f"expected {kind.__name__}")


# Zones: listed over several pages, found by name, read by identifier.
zones = list(client.zones.list(per_page=50))
assert len(zones) == 121, len(zones)
assert len({zone.id for zone in zones}) == 121
(zone,) = client.zones.list(name="example.com")
assert zone.status == "active" and zone.account.id == account_id
assert client.zones.get(zone_id=zone.id).name == "example.com"
zone_id = zone.id

# Mappings: the empty zone, all pages of a larger one, one in another spelling.
(empty,) = client.zones.list(name="empty.example")
assert list(regions.list(zone_id=empty.id)) == []
mappings = list(regions.list(zone_id=zone_id))
assert len(mappings) == 45 and len({m.origin_ip for m in mappings}) == 45, len(mappings)
assert list(regions.list(zone_id=zone_id, per_page=100)) == mappings
assert all(m.vendor in ("aws", "azure", "gcp", "oci") and m.modified_on for m in mappings)
found = regions.get("2001:DB8:0:0:0:0:0:1", zone_id=zone_id)
assert found.origin_ip == "2001:db8::1" and found.region == "us-central1"

# Writes.
written = regions.update(
    "192.0.2.200",
    zone_id=zone_id,
    body_origin_ip="192.0.2.200",
    vendor="oci",
    region="uk-london-1",
)
assert written.vendor == "oci" and written.modified_on is not None
assert regions.get("192.0.2.200", zone_id=zone_id).to_dict() == written.to_dict()
assert regions.delete("192.0.2.200", zone_id=zone_id).origin_ip == "192.0.2.200"
batch = regions.bulk_update(
    zone_id=zone_id,
    body=[
        {"origin_ip": "192.0.2.201", "vendor": "aws", "region": "eu-west-1"},
        {"origin_ip": "192.0.2.202", "vendor": "aws", "region": "nowhere-1"},
    ],
)
assert [item.origin_ip for item in batch.succeeded] == ["192.0.2.201"]
assert batch.failed[0].origin_ip == "192.0.2.202" and batch.failed[0].error
batch = regions.bulk_delete(zone_id=zone_id, extra_body=["192.0.2.201", "192.0.2.202"])
assert [item.origin_ip for item in batch.succeeded] == ["192.0.2.201"]
assert [item.origin_ip for item in batch.failed] == ["192.0.2.202"]

# Each of these writes is in the audit log. The client follows pages by cursor.
now = datetime.now(timezone.utc)
log = list(
    client.accounts.logs.audit.list(
        account_id=account_id,
        since=(now - timedelta(minutes=5)).isoformat(),
        before=(now + timedelta(minutes=5)).isoformat(),
        limit=3,
        direction="asc",
    )
)
calls = [(entry.raw.method, entry.raw.uri.rsplit("/", 1)[1]) for entry in log]
assert calls == [
    ("PUT", "192.0.2.200"), ("DELETE", "192.0.2.200"), ("PUT", "batch"), ("DELETE", "batch"),
], calls
assert len({entry.id for entry in log}) == 4 and log[0].actor.token_name == "token-1"
assert log[0].zone.id == zone_id and log[0].action.result == "success"

# Rejected calls raise the exceptions of the client.
raises(cloudflare.NotFoundError, 1142, lambda: regions.get("192.0.2.200", zone_id=zone_id))
raises(cloudflare.NotFoundError, 1142, lambda: regions.delete("192.0.2.200", zone_id=zone_id))
raises(cloudflare.BadRequestError, 1146, lambda: regions.list(zone_id=zone_id, per_page=101))
raises(
    cloudflare.BadRequestError,
    1146,
    lambda: regions.update(
        "192.0.2.200",
        zone_id=zone_id,
        body_origin_ip="192.0.2.201",
        vendor="oci",
        region="uk-london-1",
    ),
)
stranger = Cloudflare(base_url=base_url, api_token="unknown", max_retries=0)
raises(cloudflare.AuthenticationError, 10000, lambda: stranger.zones.list())

# Settings, supported regions, records, load balancers, pools, the token itself.
supported = regions.supported_regions(zone_id=zone_id)
assert supported.obtained_codes
assert any(region.name == "us-east-1" for region in supported.vendors["aws"])
assert client.argo.tiered_caching.get(zone_id=zone_id).value == "on"
assert client.cache.smart_tiered_cache.get(zone_id=zone_id).value == "on"
assert client.argo.tiered_caching.edit(zone_id=zone_id, value="off").value == "off"
raises(cloudflare.BadRequestError, 1158, lambda: regions.supported_regions(zone_id=zone_id))
records = list(client.dns.records.list(zone_id=zone_id, proxied=True))
assert [(r.type, r.content) for r in records] == [("A", "192.0.2.1"), ("AAAA", "2001:db8::1")]
(balancer,) = client.load_balancers.list(zone_id=zone_id)
(pool,) = client.load_balancers.pools.list(account_id=account_id)
assert balancer.default_pools == [pool.id] and pool.origins[0].address == "192.0.2.1"
assert balancer.proxied is True

# Records, load balancers, pools and rules are written and read back.
record = client.dns.records.create(
    zone_id=zone_id, type="CNAME", name="cdn.example.com", content="origin.example.net",
    proxied=True, ttl=1,
)
edited = client.dns.records.edit(
    record.id, zone_id=zone_id, type="CNAME", name="cdn.example.com",
    content="other.example.net", ttl=1,
)
assert edited.id == record.id and edited.content == "other.example.net" and edited.proxied
client.dns.records.delete(record.id, zone_id=zone_id)
assert len(list(client.dns.records.list(zone_id=zone_id))) == 3
second = client.load_balancers.pools.create(
    account_id=account_id, name="asia", origins=[{"name": "a", "address": "origin.example.net"}]
)
second = client.load_balancers.pools.edit(second.id, account_id=account_id, enabled=False)
assert not second.enabled and second.disabled_at is not None
balancer = client.load_balancers.edit(
    balancer.id, zone_id=zone_id, country_pools={"JP": [second.id]}
)
assert balancer.country_pools == {"JP": [second.id]} and balancer.fallback_pool == pool.id
client.load_balancers.pools.delete(second.id, account_id=account_id)
phase = client.rulesets.phases
raises(
    cloudflare.NotFoundError, 10003, lambda: phase.get("http_request_origin", zone_id=zone_id)
)
rule = {
    "action": "route",
    "action_parameters": {"origin": {"host": "origin.example.net"}},
    "expression": "true",
}
phase.update("http_request_origin", zone_id=zone_id, rules=[rule])
(found,) = phase.get("http_request_origin", zone_id=zone_id).rules
assert found.action_parameters.origin.host == "origin.example.net"
client.cloud_connector.rules.update(
    zone_id=zone_id,
    rules=[{"provider": "aws_s3", "enabled": True, "expression": "true",
            "parameters": {"host": "bucket.s3.eu-north-1.amazonaws.com"}}],
)
(connector,) = client.cloud_connector.rules.list(zone_id=zone_id)
assert connector.provider == "aws_s3" and connector.parameters.host.startswith("bucket.")
client.page_rules.create(
    zone_id=zone_id,
    targets=[{"target": "url", "constraint": {"operator": "matches", "value": "example.com/*"}}],
    actions=[{"id": "resolve_override", "value": "origin.example.net"}],
    status="active",
)
assert client.page_rules.list(zone_id=zone_id) == []
(page_rule,) = client.page_rules.list(zone_id=zone_id, status="active")
assert page_rule.actions[0].value == "origin.example.net"
client.page_rules.delete(page_rule.id, zone_id=zone_id)
assert "104.16.0.0/13" in client.ips.list().ipv4_cidrs

assert client.user.tokens.verify().status == "active"
raises(
    cloudflare.AuthenticationError,
    1000,
    lambda: client.accounts.tokens.verify(account_id=account_id),
)

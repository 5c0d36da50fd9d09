"""Deletes or puts a mapping with Cloudflare's official client.

Arguments: the base URL, a token, then `delete ZONE IP` or `put ZONE IP VENDOR REGION`.
"""

import sys

from cloudflare import Cloudflare

base_url, token, action, zone_name, origin_ip, *place = sys.argv[1:]
client = Cloudflare(base_url=base_url, api_token=token, max_retries=0)
(zone,) = client.zones.list(name=zone_name)
regions = client.cache.origin_cloud_regions
if action == "delete":
    assert not place
    regions.delete(origin_ip, zone_id=zone.id)
else:
    assert action == "put"
    vendor, region = place
    regions.update(
        origin_ip, zone_id=zone.id, body_origin_ip=origin_ip, vendor=vendor, region=region
    )

"""Reads an OpenMetrics exposition from standard input with the reference parser of prometheus_client.

Prints the number of samples. Fails where the exposition is not valid.
"""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(sys.stdin.read()))
kinds = {family.name: family.type for family in families}
assert kinds["cloudflare_origin_region_zone_polls"] == "counter", kinds
assert kinds["cloudflare_origin_region_zone_up"] == "gauge", kinds
assert kinds["cloudflare_origin_region_exporter_api_request_duration_seconds"] == "histogram", kinds
print(sum(len(family.samples) for family in families))

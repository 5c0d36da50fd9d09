local alertTable = import 'alerts.libsonnet';
local p = import 'panels.libsonnet';
local q = import 'queries.libsonnet';

function(config)
  local e = q.job + ',instance=~"$instance"';
  local x(name, extra='') = 'cloudflare_origin_region_exporter_%s{%s%s}' % [name, e, extra];
  local known = 'on (job, cluster, instance) group by (job, cluster, instance) (last_over_time(%s[1d]))' % x('build_info');
  local stat(title, description, expr, mappings, steps=[[null, 'green'], [1, 'red']], unit='locale') =
    p.stat(title, description, [p.instant('%s or %s' % [q.gone, expr])], mappings=mappings, steps=steps, unit=unit);
  local bad(name) = '(count(min by (job, cluster, instance, account) (%s) == 0) or 0 * group(%s) or -2 * group(%s))' % [x(name), x(name), x('build_info')];
  // An account that cannot be listed tells nothing of its token and its zones.
  local listed(expr) = '(%(expr)s > 0 or (0 * group(group by (job, cluster, account) (%(zones)s) unless on (job, cluster, account) max by (job, cluster, account) (%(up)s) == 1) - 7) or %(expr)s)' % { expr: expr, zones: x('zones'), up: x('discovery_up') };
  local account(expr) = p.rows(std.rstripChars(expr, '\n'));
  local ratePanel(title, description, targets, unit='reqps') = p.timeseries(title, description, targets, unit=unit);

  p.dashboard(
    config,
    'exporter',
    'Origin region / Exporter',
    'Whether the exporters run, can read Cloudflare, and what they use.',
    [
      p.variable('cluster', 'Cluster', 'label_values(cloudflare_origin_region_exporter_build_info, cluster)'),
      p.variable('job', 'Job', 'label_values(cloudflare_origin_region_exporter_build_info{cluster=~"$cluster"}, job)'),
      p.variable('instance', 'Instance', 'label_values(cloudflare_origin_region_exporter_build_info{%s}, instance)' % q.job),
    ],
    [
      p.annotation('Restarts', 'purple', 'process_start_time_seconds{%s} * 1000 and on (job, cluster, instance) cloudflare_origin_region_exporter_build_info' % e, 'Exporter started', '{{instance}}'),
      p.annotation('Reloads', 'light-blue', '%s * 1000' % x('config_last_reload_success_timestamp_seconds'), 'Configuration loaded', '{{instance}}'),
      p.annotation('Alerts', 'red', '1000 * min by (alertname) (ALERTS_FOR_STATE{%s})' % q.alerts(',zone="",instance=~"$instance|"'), '{{alertname}} began'),
    ],
    p.layout([
      [4, [
        [3, p.stat('Exporters', 'Exporters that Prometheus scrapes, and those that it cannot.', [
          p.instant('count(group by (job, cluster, instance) (%s)) or vector(-3)' % x('build_info'), 'up'),
          p.instant('count(up{%s} == 0 and %s) or 0 * group(%s) or vector(-3)' % [e, known, x('build_info')], 'down'),
        ], steps=[[null, 'green']], textMode='value_and_name', overrides=[
          p.named('up', { mappings: [p.values([[-3, 'none', 'red']])] }),
          p.named('down', { thresholds: p.thresholds([[null, 'green'], [1, 'red']]), mappings: [p.values([[-3, 'all', 'red']])] }),
        ])],
        [3, stat('Shards', 'Shards that are not scraped.', '(sum(max by (job, cluster) (%s) - count by (job, cluster) (group by (job, cluster, shard_ordinal) (cloudflare_origin_region_exporter_shard_ordinal{%s}))))' % ['cloudflare_origin_region_exporter_total_shards{%s}' % q.job, q.job], [p.values([[0, 'all there', 'green']])], unit='suffix:missing')],
        [3, stat('Accounts', 'Accounts whose zones cannot be listed.', '(count(group by (job, cluster, account) (%s) unless on (job, cluster, account) max by (job, cluster, account) (%s) == 1) or 0 * group(%s))' % [x('zones'), x('discovery_up'), x('zones')], [p.values([[0, 'all listed', 'green']])], unit='suffix:not listed')],
        [3, stat('Tokens', 'Tokens that Cloudflare rejects. "Not all listed" where an account cannot be listed: its token may be good or not.', listed(bad('token_valid')), [p.values([[0, 'all valid', 'green'], [-2, 'API keys', p.grey]])], unit='suffix:invalid')],
        [3, stat('Configuration', 'Exporters whose last configuration was rejected.', bad('config_last_reload_successful'), [p.values([[0, 'in force', 'green']])], unit='suffix:rejected')],
        [3, stat('Storage', 'Exporters that cannot write to their storage.', bad('storage_up'), [p.values([[0, 'written', 'green'], [-2, 'not used', p.grey]])], unit='suffix:failing')],
        [3, stat('Starts, 1 h', 'Starts within the last hour.', 'max(changes(process_start_time_seconds{%s}[1h]) and %s)' % [e, known], [], [[null, 'green'], [2, 'orange'], [4, 'red']])],
        [3, stat('Unmatched', 'Names in the configuration that match no zone.', listed('sum(max by (job, cluster, kind) (%s))' % x('unmatched_zones')), [], [[null, 'green'], [1, 'orange']])],
      ]],
      [6, [[24, alertTable(config, q.alerts(',zone="",instance=~"$instance|"'), 'Firing alerts about exporters and accounts')]]],
      [7, [[24, p.table('Accounts', 'Each account: whether its zones can be listed, its token, its use of the API, and how late its zones are.', [
        account('max by (job, cluster, account) (%s)' % x('discovery_up')),
        account('sum by (job, cluster, account) (max by (job, cluster, account, instance) (%s))' % x('zones', ',state="polled"')),
        // 2 is valid as of the last good listing.
        account('(1 + (min by (job, cluster, account) (%(valid)s) == 1) unless on (job, cluster, account) max by (job, cluster, account) (%(up)s) == 1) or min by (job, cluster, account) (%(valid)s)' % { valid: x('token_valid'), up: x('discovery_up') }),
        account('min by (job, cluster, account) (%s) - time()' % x('token_expiry_timestamp_seconds')),
        account('sum by (job, cluster, account) (increase(%s[5m])) / sum by (job, cluster, account) (%s)' % [x('api_requests_total'), x('api_budget_requests')]),
        account('max by (job, cluster, account) (%s) - time() > 0' % x('api_blocked_until_timestamp_seconds')),
        account('max by (job, cluster, account) (%s)' % x('poll_lag_seconds')),
        account('max by (job, cluster, account) (%s)' % x('audit_log_up')),
        account('time() - max by (job, cluster, account) (%s)' % x('discovery_last_success_timestamp_seconds')),
      ], p.columns([
        ['account', 'Account'],
        ['cluster', 'Cluster'],
        ['Value #A', 'Listing'],
        ['Value #I', 'Last listed'],
        ['Value #B', 'Zones'],
        ['Value #C', 'Token'],
        ['Value #D', 'Token expires'],
        ['Value #E', 'Budget used'],
        ['Value #F', 'Paused for'],
        ['Value #G', 'Lag'],
        ['Value #H', 'Audit log'],
      ], hidden=['job']), [
        p.named('Listing', { 'custom.cellOptions': { type: 'color-text' }, mappings: [p.values([[0, 'failed', 'red'], [1, 'good', 'green']]), p.nothing('not tried')] }),
        p.named('Last listed', { unit: 's', decimals: 0, mappings: [p.nothing('never')] }),
        p.named('Token', { 'custom.cellOptions': { type: 'color-text' }, mappings: [p.values([[0, 'rejected', 'red'], [1, 'valid', 'green'], [2, 'was valid', p.grey]]), p.nothing('API key')] }),
        p.named('Token expires', { unit: 's', decimals: 0, 'custom.cellOptions': { type: 'color-text' }, thresholds: p.thresholds([[null, 'red'], [14 * 86400, 'text']]), mappings: [p.nothing('no end')] }),
        p.named('Budget used', { unit: 'percentunit', decimals: 0, 'custom.cellOptions': { type: 'color-text' }, thresholds: p.thresholds([[null, 'text'], [0.9, 'orange']]), mappings: [p.nothing('–')] }),
        p.named('Paused for', { unit: 's', decimals: 0, 'custom.cellOptions': { type: 'color-text' }, thresholds: p.thresholds([[null, 'orange']]), mappings: [p.nothing('–')] }),
        p.named('Lag', { unit: 's', decimals: 0, mappings: [p.nothing('–')] }),
        p.named('Audit log', { 'custom.cellOptions': { type: 'color-text' }, mappings: [p.values([[0, 'failing', 'orange'], [1, 'read', 'green']]), p.nothing('off')] }),
      ], [{ displayName: 'Account', desc: false }])]]],
      p.row('Cloudflare API'),
      [7, [
        [8, ratePanel('Requests', 'Requests to the API by operation.', [p.target('sum by (operation) (rate(%s[$__rate_interval]))' % x('api_requests_total'), '{{operation}}')])],
        [8, ratePanel('Errors', 'Failed requests by operation and reason, and retries.', [
          p.target('sum by (operation, reason) (rate(%s[$__rate_interval])) > 0' % x('api_errors_total'), '{{operation}}: {{reason}}'),
          p.target('sum(rate(%s[$__rate_interval]))' % x('api_retries_total'), 'retries'),
        ])],
        [8, p.timeseries('Latency', 'How long the API takes to answer.', [
          p.target('histogram_quantile(%g, sum by (le) (rate(%s[$__rate_interval])))' % [quantile, x('api_request_duration_seconds_bucket')], 'p%d' % (quantile * 100))
          for quantile in [0.5, 0.9, 0.99]
        ], unit='s')],
      ]],
      [7, [
        [8, p.timeseries('Budget used', 'Requests within five minutes as a share of what the exporter allows itself.', [
          p.target('sum by (account) (increase(%s[5m])) / sum by (account) (%s)' % [x('api_requests_total'), x('api_budget_requests')], '{{account}}'),
        ], unit='percentunit', steps=[[null, 'green'], [1, 'red']])],
        [8, p.timeseries('Waits', 'Share of time that requests waited for the rate limit, and pauses after a 429.', [
          p.target('sum by (account) (rate(%s[$__rate_interval]))' % x('api_throttled_seconds_total'), '{{account}}: waiting'),
          p.target('clamp_min(max by (account) (%s) - time(), 0)' % x('api_blocked_until_timestamp_seconds'), '{{account}}: pause'),
        ], unit='s')],
        [8, p.timeseries('Lag', 'How late the most overdue zone is, beside the interval.', [
          p.target('max by (account) (%s)' % x('poll_lag_seconds'), '{{account}}'),
          p.target('max(%s)' % x('poll_interval_seconds'), 'interval'),
        ], unit='s', overrides=[p.dashed('interval')])],
      ]],
      [7, [
        [8, ratePanel('Polls', 'Polls of zones by exporter.', [p.target('sum by (instance) (rate(cloudflare_origin_region_zone_polls_total{%s}[$__rate_interval]))' % e, '{{instance}}')], 'ops')],
        [8, ratePanel('Failed polls', 'Polls that failed, by reason, and rows that could not be read.', [
          p.target('sum by (reason) (rate(cloudflare_origin_region_zone_poll_errors_total{%s}[$__rate_interval])) > 0' % e, '{{reason}}'),
          p.target('sum(rate(cloudflare_origin_region_zone_rejected_rows_total{%s}[$__rate_interval]))' % e, 'rejected rows'),
        ], 'ops')],
        [8, p.timeseries('Zones', 'Zones that the accounts list, by what happens to them.', [
          p.target('sum by (state) (max by (job, cluster, account, state) (%s))' % x('zones'), '{{state}}'),
        ])],
      ]],
      p.row('Storage, audit log, DNS'),
      [7, [
        [6, p.timeseries('Storage', 'Size of the storage.', [p.target('max by (instance) (%s)' % x('storage_size_bytes'), '{{instance}}')], unit='bytes')],
        [6, p.timeseries('Storage errors', 'Errors in each interval of the graph.', [
          p.target('sum by (operation) (%s)' % q.growth(x('storage_errors_total'), 'job, cluster, instance, operation'), '{{operation}}'),
        ], bars=true, stack=true)],
        [6, p.timeseries('Audit log', 'Entries read in each interval of the graph, and polls that they brought forward.', [
          p.target('sum by (relevant) (%s)' % q.growth(x('audit_log_entries_total'), 'job, cluster, instance, account, relevant'), 'relevant: {{relevant}}'),
          p.target('sum(%s)' % q.growth(x('prompted_polls_total'), 'job, cluster, instance, account'), 'prompted polls'),
        ], bars=true)],
        [6, ratePanel('DNS queries', 'Queries for origin hosts by result.', [
          p.target('sum by (result) (rate(%s[$__rate_interval]))' % x('dns_queries_total'), '{{result}}'),
        ])],
      ]],
      p.row('Scrapes and process'),
      [7, [
        [8, p.timeseries('Scrape duration', 'How long Prometheus takes to scrape.', [p.target('max by (instance) (scrape_duration_seconds{%s} and %s)' % [e, known], '{{instance}}')], unit='s')],
        [8, p.timeseries('Samples', 'Samples in a scrape.', [p.target('max by (instance) (scrape_samples_scraped{%s} and %s)' % [e, known], '{{instance}}')])],
        [8, ratePanel('HTTP requests', 'Requests to the exporter.', [p.target('sum by (handler, code) (rate(%s[$__rate_interval]))' % x('http_requests_total'), '{{handler}} {{code}}')])],
      ]],
      [7, [
        [8, p.timeseries('CPU', 'Share of one CPU.', [p.target('max by (instance) (rate(process_cpu_seconds_total{%s}[$__rate_interval]) and %s)' % [e, known], '{{instance}}')], unit='percentunit')],
        [8, p.timeseries('Memory', 'Resident memory.', [p.target('max by (instance) (process_resident_memory_bytes{%s} and %s)' % [e, known], '{{instance}}')], unit='bytes')],
        [8, p.timeseries('File descriptors', 'Open file descriptors as a share of the limit.', [p.target('max by (instance) (process_open_fds{%s} / process_max_fds{%s} and %s)' % [e, e, known], '{{instance}}')], unit='percentunit')],
      ]],
      [6, [
        [12, p.table('Versions', 'What runs, and for how long.', [
          p.rows('max by (instance, version, revision, rustc) (%s)' % x('build_info')),
          p.rows('time() - max by (instance) (process_start_time_seconds{%s} and %s)' % [e, known]),
          p.rows('min by (instance) (%s) - time()' % x('web_certificate_not_after_timestamp_seconds')),
        ], p.columns([['instance', 'Instance'], ['version', 'Version'], ['revision', 'Revision'], ['rustc', 'Rust'], ['Value #B', 'Uptime'], ['Value #C', 'Certificate expires']], hidden=['Value #A']), [
          p.named('Uptime', { unit: 's', decimals: 0, 'custom.width': 100, mappings: [p.nothing('–')] }),
          p.named('Certificate expires', { unit: 's', decimals: 0, 'custom.width': 140, mappings: [p.nothing('no TLS')] }),
          p.named('Revision', { 'custom.width': 110 }),
        ])],
        [12, p.table('Vendor ranges', 'The published address ranges of each vendor.', [
          p.rows('max by (vendor) (cloudflare_origin_region_vendor_ranges_up{%s})' % e),
          p.rows('max by (vendor) (cloudflare_origin_region_vendor_ranges_prefixes{%s})' % e),
          p.rows('time() - max by (vendor) (cloudflare_origin_region_vendor_ranges_last_success_timestamp_seconds{%s})' % e),
          p.rows('time() - max by (vendor) (cloudflare_origin_region_vendor_ranges_published_timestamp_seconds{%s})' % e),
        ], p.columns([['vendor', 'Vendor'], ['Value #A', 'Last refresh'], ['Value #B', 'Prefixes'], ['Value #C', 'Loaded'], ['Value #D', 'Published']]), [
          p.named('Last refresh', { 'custom.cellOptions': { type: 'color-text' }, mappings: [p.values([[0, 'failed', 'red'], [1, 'good', 'green']])] }),
          p.named('Loaded', { unit: 's', decimals: 0, mappings: [p.nothing('never')] }),
          p.named('Published', { unit: 's', decimals: 0, mappings: [p.nothing('unknown')] }),
        ])],
      ]],
    ]),
  )

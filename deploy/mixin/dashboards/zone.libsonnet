local alertTable = import 'alerts.libsonnet';
local p = import 'panels.libsonnet';
local q = import 'queries.libsonnet';

function(config)
  // One zone, by its id: a name may stand for two zones, and a dot is not any character.
  local z = q.job + ',zone_id="$zone_id"';
  local recorded(record, raw) = '(max(%s{%s}) or max(%s{%s}))' % [record, z, raw, z];
  local found(finding) = 'job_zone_finding:cloudflare_origin_region_findings:max{%s,finding="%s"}' % [z, finding];
  local recordedFinding(finding, raw) = '(max(%s) or max(%s{%s}))' % [found(finding), raw, z];
  local raw(name) = 'cloudflare_origin_region_' + name;
  local read = 'max(cloudflare_origin_region_zone_up{%s})' % z;
  local lastSuccess = recorded('job_zone:cloudflare_origin_region_zone_last_success_timestamp_seconds:max', raw('zone_last_success_timestamp_seconds'));
  // A number of this zone; 0 only where its last poll was good.
  local count(expr) = |||
    (%(expr)s) > 0
    or %(gone)s
    or (0 * (%(read)s == 0) - 6)
    or (0 * group(cloudflare_origin_region_zone_info{%(z)s}) - 5 unless on () %(read)s == 1)
    or (%(expr)s)
    or vector(-2)
  ||| % { expr: expr, gone: q.gone, z: z, read: read };
  local missing = recordedFinding('missing', raw('missing_mappings'));
  local wrong = '(max(%s) or sum(max by (check) (cloudflare_origin_region_wrong_mappings{%s})))' % [found('wrong_origins'), z];
  local unused = recordedFinding('unused', raw('unused_mappings'));
  local stale = recordedFinding('stale', raw('stale_mappings'));
  local mappings = recorded('job_zone:cloudflare_origin_region_zone_mappings:max', raw('zone_mappings'));
  local finding(title, description, expr, color='red') = p.stat(title, description, [p.instant(count(expr))], steps=[[null, 'green'], [1, color]]);
  // The first time that a series was there within a day, in steps of five minutes.
  local firstSeen(series, labels) = p.rows('1000 * (min by (%(labels)s) (min_over_time(timestamp(%(series)s)[1d:5m]) and %(series)s) or min by (%(labels)s) (timestamp(%(series)s)))' % { labels: labels, series: series });
  // The longest IPv6 address has 39 characters.
  local address = p.named('Address', { 'custom.width': 330 });
  local since = p.named('Since', { unit: 'dateTimeFromNow', 'custom.width': 150 });
  // 2 is on as of the last good poll.
  local setting(name) = p.instant('(1 + (max(%(s)s) == 1) and on () %(read)s == 0) or max(%(s)s) or %(gone)s or vector(-5)' % { s: '%s{%s}' % [raw(name), z], read: read, gone: q.gone }, if name == 'tiered_cache_enabled' then 'Tiered Cache' else 'Smart');

  p.dashboard(
    config,
    'zone',
    'Origin region / Zone',
    'One zone: its findings, mappings, origin hosts and changes.',
    [
      p.variable('cluster', 'Cluster', 'label_values(cloudflare_origin_region_exporter_build_info, cluster)'),
      p.variable('job', 'Job', 'label_values(cloudflare_origin_region_exporter_build_info{cluster=~"$cluster"}, job)'),
      p.variable('zone', 'Zone', 'label_values(cloudflare_origin_region_zone_info{%s}, zone)' % q.job, multi=false),
      p.variable('zone_id', 'Zone id', 'label_values(cloudflare_origin_region_zone_info{%s,zone="$zone"}, zone_id)' % q.job, multi=false),
      p.variable('instance', 'Exporter', 'label_values(cloudflare_origin_region_zone_info{%s}, instance)' % z, multi=false, hide=2),
    ],
    [
      // A mark a minute at most. A difference sees each change once, however long the scrape interval is.
      p.annotation('Changes', 'blue', 'sum by (change) (max by (job, cluster, change) (%(changes)s - %(changes)s offset 1m)) > 0' % { changes: 'cloudflare_origin_region_mapping_changes_total{%s}' % z }, 'Mappings {{change}}', ownTime=true),
      p.annotation('Restarts', 'purple', 'process_start_time_seconds{%s} * 1000 and on (job, cluster, instance) cloudflare_origin_region_zone_info{%s}' % [q.job, z], 'Exporter started', '{{instance}}'),
      p.annotation('Alerts', 'red', '1000 * min by (alertname) (ALERTS_FOR_STATE{%s})' % q.alerts(',zone_id="$zone_id"'), '{{alertname}} began'),
    ],
    p.layout([
      [4, [
        [4, p.stat(
          'Zone',
          'Whether the last poll of the zone succeeded, and how long ago the last good one was.',
          [
            p.instant('%s or %s or vector(-5)' % [read, q.gone], 'last poll'),
            p.instant('%s or time() - %s or vector(-5)' % [q.gone, lastSuccess], 'last read'),
          ],
          textMode='value_and_name',
          overrides=[
            p.named('last poll', { mappings: [p.values([[0, 'failed', 'red'], [1, 'good', 'green']])], thresholds: p.thresholds([[null, p.grey]]) }),
            p.named('last read', { unit: 's', decimals: 0, thresholds: p.thresholds([[null, 'green'], [1800, 'red']]) }),
          ],
        )],
        [3, finding('Missing', 'Expected origins without a mapping.', missing)],
        [3, finding('Wrong', 'Mappings that a check disagrees with, each origin once.', wrong)],
        [3, finding('Unused', 'Mappings of addresses that nothing names any more. "Not judged" where that cannot be told.', unused, 'orange')],
        [3, finding('Stale', 'Mappings that nobody has written for longer than stale_after.', stale, 'orange')],
        [4, p.stat('Mappings', 'Mappings of the zone, and their share of the number that Cloudflare allows.', [
          p.instant('%s or %s or vector(-5)' % [mappings, q.gone], 'mappings'),
          p.instant('max(cloudflare_origin_region_zone_mappings{%s}) / max(cloudflare_origin_region_zone_mappings_limit{%s}) or %s or vector(-5)' % [z, q.job, q.gone], 'of the limit'),
        ], steps=[[null, 'blue']], textMode='value_and_name', overrides=[
          p.named('of the limit', { unit: 'percentunit', decimals: 1, thresholds: p.thresholds([[null, 'blue'], [0.9, 'red']]) }),
        ])],
        [4, p.stat('Effect', 'Mappings have an effect only where Tiered Cache and its Smart topology are on.', [setting('tiered_cache_enabled'), setting('smart_tiered_cache_enabled')], textMode='value_and_name', steps=[[null, p.grey]], mappings=[p.values([[0, 'off', 'orange'], [1, 'on', 'green'], [2, 'was on', p.grey]])])],
      ]],
      [6, [
        [24, alertTable(config, q.alerts(',zone_id="$zone_id"'), 'Firing alerts of the zone', 50)],
      ]],
      [6, [
        [24, p.table('Missing mappings', 'Expected origins without a mapping, at most 500. "Since" reaches back one day.', [
          firstSeen('cloudflare_origin_region_missing_mapping{%s}' % z, 'origin_ip, host, source, expected_vendor, expected_region'),
        ], p.columns([['origin_ip', 'Address'], ['host', 'Host'], ['source', 'Source'], ['expected_vendor', 'Vendor'], ['expected_region', 'Region'], ['Value', 'Since']]), [address, p.named('Source', { 'custom.width': 120 }), p.named('Vendor', { 'custom.width': 90 }), p.named('Region', { 'custom.width': 170 }), since], [{ displayName: 'Since', desc: false }])],
      ]],
      [6, [
        [24, p.table('Wrong mappings', 'Mappings that a check disagrees with, at most 500. The effect says whether Tiered Cache would use other upper tiers. "Since" reaches back one day.', [
          firstSeen('cloudflare_origin_region_wrong_mapping{%s}' % z, 'origin_ip, vendor, region, expected_vendor, expected_region, check, effect'),
        ], p.columns([['origin_ip', 'Address'], ['vendor', 'Vendor'], ['region', 'Region'], ['expected_vendor', 'Expected'], ['expected_region', 'Expected region'], ['check', 'Check'], ['effect', 'Effect'], ['Value', 'Since']]), [address, since], [{ displayName: 'Since', desc: false }])],
      ]],
      [9, [
        [16, p.table('Mappings', 'Every mapping with the time since it was written. Empty where mappings.detail is off.', [
          p.rows('max by (origin_ip, vendor, region) (cloudflare_origin_region_mapping_info{%s})' % z),
          p.rows('time() - max by (origin_ip, vendor, region) (cloudflare_origin_region_mapping_last_modified_timestamp_seconds{%s})' % z),
          p.rows('max by (origin_ip, vendor, region) (cloudflare_origin_region_unused_mapping{%s})' % z),
        ], p.columns([['origin_ip', 'Address'], ['vendor', 'Vendor'], ['region', 'Region'], ['Value #B', 'Age'], ['Value #C', 'Unused']], hidden=['Value #A']), [
          address,
          p.named('Age', { unit: 's', decimals: 0, mappings: [p.nothing('unknown')] }),
          p.named('Unused', { mappings: [p.values([[1, 'unused', 'orange']])], 'custom.cellOptions': { type: 'color-text' } }),
        ], [{ displayName: 'Age', desc: true }])],
        [8, p.timeseries('Origin hosts', 'Host names that stand for origins, by what is known of their addresses. The page of the zone lists them with their addresses.', [
          p.target('max by (state) (cloudflare_origin_region_origin_hosts{%s})' % z, '{{state}}'),
        ], overrides=[p.named(state[0], { color: { mode: 'fixed', fixedColor: state[1] } }) for state in [['resolved', 'green'], ['rotating', 'orange'], ['failing', 'red'], ['no_address', 'purple']]])],
      ]],
      [8, [
        [8, p.timeseries('Findings', 'Findings of the zone over time.', [
          p.target(missing, 'missing'),
          p.target('max by (check) (%s) or max by (check) (cloudflare_origin_region_wrong_mappings{%s})' % [found('wrong'), z], 'wrong by {{check}}'),
          p.target(unused, 'unused'),
          p.target(stale, 'stale'),
        ], overrides=[
          p.named(series[0], { color: { mode: 'fixed', fixedColor: series[1] } })
          for series in [['missing', 'red'], ['unused', 'blue'], ['stale', 'purple'], ['wrong by declared', 'orange'], ['wrong by host_name', 'dark-orange'], ['wrong by vendor_ranges', 'light-orange'], ['wrong by supported_regions', 'yellow']]
        ])],
        [8, p.timeseries('Changes', 'Mappings that were added, removed or changed, in each interval of the graph. Who made them is on the page of changes of the exporter.', [
          p.target('sum by (change) (%s)' % q.growth('cloudflare_origin_region_mapping_changes_total{%s}' % z, 'job, cluster, change'), '{{change}}'),
        ], bars=true, stack=true)],
        [8, p.timeseries('Age of mappings', 'The oldest mapping, and the age from which one is stale.', [
          p.target('max(cloudflare_origin_region_oldest_mapping_age_seconds{%s}) / 86400' % z, 'oldest'),
          p.target('min(cloudflare_origin_region_newest_mapping_age_seconds{%s}) / 86400' % z, 'newest'),
          p.target('max(cloudflare_origin_region_stale_after_seconds{%s}) / 86400' % z, 'stale after'),
        ], unit='suffix:days', overrides=[p.dashed('stale after', 'orange')])],
      ]],
      [8, [
        [8, p.timeseries('Mappings over time', 'Mappings by vendor and region.', [
          p.target('sum by (vendor, region) (max by (job, cluster, vendor, region) (cloudflare_origin_region_mappings{%s}))' % z, '{{vendor}} {{region}}'),
        ], stack=true)],
        [8, p.timeseries('Expected origins', 'Origins that should have a mapping, by what names them.', [
          p.target('max by (source) (cloudflare_origin_region_expected_origins{%s})' % z, '{{source}}'),
        ], stack=true)],
        [8, p.timeseries('Polls', 'How long polls take, and the polls that failed in each interval of the graph, by reason.', [
          p.target('max(cloudflare_origin_region_zone_poll_duration_seconds{%s})' % z, 'duration'),
          p.target('sum by (reason) (%s)' % q.growth('cloudflare_origin_region_zone_poll_errors_total{%s}' % z, 'job, cluster, instance, reason'), 'failed: {{reason}}'),
        ], unit='s', counted=true, overrides=[{
          matcher: { id: 'byRegexp', options: '/failed.*/' },
          properties: [
            { id: 'unit', value: 'locale' },
            { id: 'decimals', value: 0 },
            { id: 'custom.drawStyle', value: 'bars' },
            { id: 'custom.fillOpacity', value: 80 },
            { id: 'custom.axisPlacement', value: 'right' },
            { id: 'color', value: { mode: 'fixed', fixedColor: 'red' } },
          ],
        }])],
      ]],
    ]),
    links=[
      { type: 'link', title: 'Zone in the exporter', url: 'http://${instance}/zones/${zone_id}', targetBlank: true, icon: 'external link', tags: [], tooltip: 'Mappings, hosts, changes and what would fix the findings', asDropdown: false, includeVars: false, keepTime: false },
      { type: 'link', title: 'Zone at Cloudflare', url: 'https://dash.cloudflare.com/?to=/:account/${zone}/caching/tiered-cache', targetBlank: true, icon: 'cloud', tags: [], tooltip: '', asDropdown: false, includeVars: false, keepTime: false },
    ],
  )

local alertTable = import 'alerts.libsonnet';
local p = import 'panels.libsonnet';
local q = import 'queries.libsonnet';

function(config)
  local zoneLink = {
    title: 'Dashboard of the zone',
    url: '/d/%s?${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${cluster:queryparam}&var-zone=${__value.text}' % config.dashboardUids.zone,
  };
  local matchers = q.alerts(',account=~"$account|",zone=~"$zone|"');
  local severity(name, color) = p.instant(|||
    count(ALERTS{alertstate="firing",severity="%(name)s",%(matchers)s})
    or (0 * group(job:cloudflare_origin_region_exporter_instances:count{%(job)s}))
    or (vector(-4) unless on () group(last_over_time(job:cloudflare_origin_region_exporter_instances:count{%(job)s}[1d])))
    or vector(0)
  ||| % { name: name, matchers: matchers, job: q.job }, name);
  local severityColor(name, color) = p.named(name, { thresholds: p.thresholds([[null, 'green'], [1, color]]) });

  local watching = p.stat(
    'Watching',
    'Whether anything can be known: exporters that are not scraped, accounts that cannot be listed, and the oldest reading of a zone. While one of them is red, a 0 elsewhere says little.',
    [
      p.instant(|||
        count((up{%(job)s} == 0) and on (job, cluster, instance) group by (job, cluster, instance) (last_over_time(cloudflare_origin_region_exporter_build_info{%(job)s}[1d])))
        or (0 * group(cloudflare_origin_region_exporter_build_info{%(job)s}))
        or vector(-3)
      ||| % { job: q.job }, 'exporters'),
      p.instant(|||
        count(
          group by (job, cluster, account) (cloudflare_origin_region_exporter_zones{%(account)s})
          unless on (job, cluster, account) max by (job, cluster, account) (cloudflare_origin_region_exporter_discovery_up{%(account)s}) == 1
        )
        or (0 * group(cloudflare_origin_region_exporter_zones{%(account)s}))
        or vector(-3)
      ||| % { account: q.account }, 'accounts'),
      p.instant('(time() - min(%s) unless on () %s) or (0 * group(%s) - 5 unless on () %s) or vector(-3)' % [q.lastSuccess, q.gone, q.info, q.gone], 'oldest reading'),
    ],
    steps=[[null, 'green'], [1, 'red']],
    textMode='value_and_name',
    orientation='horizontal',
    overrides=[
      p.named('exporters', { unit: 'suffix:down', mappings: [p.values([[0, 'all up', 'green'], [-3, 'none', 'red']])] }),
      p.named('accounts', { unit: 'suffix:not listed', mappings: [p.values([[0, 'all listed', 'green'], [-3, 'exporter gone', 'red']])] }),
      p.named('oldest reading', {
        unit: 's',
        decimals: 0,
        mappings: [p.values([[-3, 'none', 'red'], [-5, 'not read yet', p.grey]])],
        thresholds: p.thresholds([[null, 'green'], [1800, 'red']]),
      }),
    ],
  );

  local finding(title, description, expr, color='red') = p.stat(title, description, [p.instant(q.count(expr))], steps=[[null, 'green'], [1, color]]);

  local zoneColumns = p.columns([
    ['zone', 'Zone'],
    ['account', 'Account'],
    ['cluster', 'Cluster'],
    ['Value #A', 'Last poll'],
    ['Value #B', 'Missing'],
    ['Value #C', 'Wrong'],
    ['Value #D', 'Unused'],
    ['Value #E', 'Stale'],
    ['Value #F', 'No effect'],
    ['Value #G', 'Mappings'],
    ['Value #H', 'Last read'],
  ], hidden=['zone_id', 'job']);
  local zoneOverrides = [
    p.named('Zone', { links: [zoneLink], 'custom.minWidth': 180 }),
    p.named('Last poll', {
      'custom.cellOptions': { type: 'color-text' },
      'custom.width': 95,
      mappings: [p.values([[0, 'failed', 'red'], [1, 'good', 'green'], [-5, 'not read', p.grey]]), p.nothing('not read')],
    }),
    p.named('Last read', { unit: 's', decimals: 0, 'custom.width': 100, mappings: [p.nothing('never')] }),
  ] + [
    p.named(name, {
      'custom.width': 80,
      'custom.cellOptions': { type: 'color-text' },
      thresholds: p.thresholds([[null, 'text'], [1, if name == 'Missing' || name == 'Wrong' then 'red' else 'orange']]),
    })
    for name in ['Missing', 'Wrong', 'Unused', 'Stale', 'No effect']
  ] + [p.named('Mappings', { 'custom.width': 90 })];
  local byZone(expr) = p.rows('max by (cluster, job, zone_id, zone, account) (%s)' % std.stripChars(expr, ' \n'));
  local trouble = std.stripChars(q.trouble, ' \n');
  local inTrouble(expr) = p.rows('max by (cluster, job, zone_id, zone, account) (%s) and on (job, cluster, zone_id) (%s)' % [std.stripChars(expr, ' \n'), trouble]);

  local changes = 'cloudflare_origin_region_mapping_changes_total{%s,zone=~"$zone"}' % q.job;

  p.dashboard(
    config,
    'overview',
    'Origin region / Overview',
    'Which mappings of origins to cloud regions are missing, wrong, unused or stale, and whether anybody is watching.',
    [
      p.variable('cluster', 'Cluster', 'label_values(cloudflare_origin_region_exporter_build_info, cluster)'),
      p.variable('job', 'Job', 'label_values(cloudflare_origin_region_exporter_build_info{cluster=~"$cluster"}, job)'),
      p.variable('account', 'Account', 'label_values(cloudflare_origin_region_exporter_zones{%s}, account)' % q.job),
      p.variable('zone', 'Zone', 'label_values(cloudflare_origin_region_zone_info{%s}, zone)' % q.account),
    ],
    [
      p.annotation('Restarts', 'purple', 'process_start_time_seconds{%s} * 1000 and on (job, cluster, instance) cloudflare_origin_region_exporter_build_info' % q.job, 'Exporter started', '{{instance}}'),
      p.annotation('Reloads', 'light-blue', 'cloudflare_origin_region_exporter_config_last_reload_success_timestamp_seconds{%s} * 1000' % q.job, 'Configuration loaded', '{{instance}}', enable=false),
      p.annotation('Alerts', 'red', '1000 * min by (alertname) (ALERTS_FOR_STATE{%s})' % matchers, '{{alertname}} began'),
    ],
    p.layout([
      [5, [
        [5, watching],
        [3, finding('Missing', 'Expected origins without a mapping.', q.missing)],
        [3, finding('Wrong', 'Mappings that a check disagrees with, each origin once.', q.wrong)],
        [3, finding('Unused', 'Mappings of addresses that nothing names any more. "Not judged" where that cannot be told.', q.unused, 'orange')],
        [3, finding('Stale', 'Mappings that nobody has written for longer than stale_after.', q.stale, 'orange')],
        [3, p.stat('Zones failing', 'Zones whose last poll failed.', [p.instant(|||
          count(%(failing)s)
          or %(gone)s
          or (0 * group(%(up)s))
          or (0 * group(%(info)s) - 5)
          or vector(-2)
        ||| % { failing: q.failing, gone: q.gone, up: q.family('zone_up'), info: q.info })])],
        [4, p.stat(
          'Alerts',
          'Alerts that fire, by severity.',
          [severity('critical', 'red'), severity('warning', 'orange'), severity('info', 'blue')],
          textMode='value_and_name',
          orientation='horizontal',
          overrides=[severityColor('critical', 'red'), severityColor('warning', 'orange'), severityColor('info', 'blue')],
        )],
      ]],
      [9, [[24, alertTable(config, matchers)]]],
      [9, [
        [24, p.table(
          'Zones with findings',
          'Zones with a finding or a failed poll, the most missing first. The name leads to the zone.',
          [inTrouble(q.lastPoll), inTrouble(q.missing), inTrouble(q.wrong), inTrouble(q.unused), inTrouble(q.stale), inTrouble(q.idle), inTrouble(q.mappings), p.rows('time() - (max by (cluster, job, zone_id, zone, account) (%s) and on (job, cluster, zone_id) (%s))' % [std.stripChars(q.lastSuccess, ' \n'), trouble])],
          zoneColumns,
          zoneOverrides,
          [{ displayName: 'Missing', desc: true }],
          noValue='–',
          nothing='No zone is known to have a finding or a failed poll.',
        )],
      ]],
      [8, [
        [8, p.timeseries('Findings', 'Missing, wrong, unused and stale mappings over time.', [
          p.target(q.total('missing', 'missing_mappings'), 'missing'),
          p.target(q.total('wrong_origins', 'wrong_mappings', ', check'), 'wrong'),
          p.target(q.total('unused', 'unused_mappings'), 'unused'),
          p.target(q.total('stale', 'stale_mappings'), 'stale'),
        ], overrides=[
          p.named('missing', { color: { mode: 'fixed', fixedColor: 'red' } }),
          p.named('wrong', { color: { mode: 'fixed', fixedColor: 'orange' } }),
          p.named('unused', { color: { mode: 'fixed', fixedColor: 'blue' } }),
          p.named('stale', { color: { mode: 'fixed', fixedColor: 'purple' } }),
        ], points=p.fewPoints)],
        [8, p.timeseries('Changes', 'Mappings that were added, removed or changed, in each interval of the graph.', [
          // Most counters are 0, and are left out before anything is done by zone.
          p.target(std.join(' or ', ['sum by (change) (%s)' % q.chosen(q.growth(changes, 'job, cluster, zone_id, change', ' > 0'))] + [
            'label_replace(0 * group(cloudflare_origin_region_exporter_build_info{%s}), "change", "%s", "", "")' % [q.job, change]
            for change in ['added', 'changed', 'removed']
          ]), '{{change}}'),
        ], bars=true, stack=true, points=p.fewBars)],
        [8, p.bars('Mappings by place', 'The 15 places with the most mappings.', [
          p.instant('topk(15, sum by (vendor, region) (%s))' % q.chosen('max by (job, cluster, zone_id, vendor, region) (cloudflare_origin_region_mappings{%s,zone=~"$zone"})' % q.job), '{{vendor}} {{region}}'),
        ])],
      ]],
      p.row('All zones', p.layout([
        [16, [
          [24, p.table(
            'All zones',
            'Every zone. The name leads to the zone.',
            [byZone(q.lastPoll), byZone(q.missing), byZone(q.wrong), byZone(q.unused), byZone(q.stale), byZone(q.idle), byZone(q.mappings), p.rows('time() - max by (cluster, job, zone_id, zone, account) (%s)' % std.stripChars(q.lastSuccess, ' \n'))],
            zoneColumns,
            zoneOverrides,
            [{ displayName: 'Zone', desc: false }],
            noValue='–',
          )],
        ]],
      ])),
    ]),
  )

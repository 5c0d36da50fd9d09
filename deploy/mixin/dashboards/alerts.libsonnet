// The table of firing alerts, for any of the dashboards.
local p = import 'panels.libsonnet';

function(config, matchers, title='Firing alerts', limit=20, description='')
  local labels = ['severity', 'alertname', 'cluster', 'account', 'zone', 'instance', 'check', 'state'];
  local list = std.join(', ', labels);
  local firing = 'ALERTS{alertstate="firing",%s}' % matchers;
  local few = 'and on () (count(%s) <= %d)' % [firing, limit];
  local many = 'and on () (count(%s) > %d)' % [firing, limit];
  local single(aggregation, series) = '(%s by (%s) (%s) %s)' % [aggregation, list, series, few];
  local grouped(aggregation, series) = '(%s by (severity, alertname, cluster) (%s) %s)' % [aggregation, series, many];
  local began = '(ALERTS_FOR_STATE{%s} and ignoring (alertstate) %s)' % [matchers, firing];
  p.table(
    title,
    description + 'Alerts that fire now, the most severe first. Beyond %d, one line for each alert with their number. The name leads to the runbook, the zone to its dashboard.' % limit,
    [
      // The severity as a number, so that it sorts.
      p.rows(
        '(%s) or (%s)' % [
          std.join(' or ', ['%d + 0 * %s' % [rank[0], single('max', 'ALERTS{alertstate="firing",severity="%s",%s}' % [rank[1], matchers])] for rank in [[1, 'critical'], [2, 'warning'], [3, 'info']]]),
          std.join(' or ', ['%d + 0 * %s' % [rank[0], grouped('max', 'ALERTS{alertstate="firing",severity="%s",%s}' % [rank[1], matchers])] for rank in [[1, 'critical'], [2, 'warning'], [3, 'info']]]),
        ]
      ),
      p.rows('%s or %s' % [single('count', firing), grouped('count', firing)]),
      p.rows('1000 * (%s or %s)' % [single('min', began), grouped('min', began)]),
    ],
    p.columns([
      ['Value #A', 'Severity'],
      ['alertname', 'Alert'],
      ['Value #B', 'Number'],
      ['zone', 'Zone'],
      ['account', 'Account'],
      ['cluster', 'Cluster'],
      ['instance', 'Instance'],
      ['check', 'Check'],
      ['state', 'State'],
      ['Value #C', 'Since'],
    ], hidden=['severity']),
    [
      p.named('Severity', {
        'custom.width': 90,
        'custom.cellOptions': { type: 'color-background', mode: 'basic' },
        mappings: [p.values([[1, 'critical', 'red'], [2, 'warning', 'orange'], [3, 'info', 'blue']])],
      }),
      p.named('Alert', {
        'custom.width': 260,
        links: [{ title: 'Runbook', url: config.runbookBase + '${__value.text}', targetBlank: true }],
      }),
      p.named('Number', { 'custom.width': 75 }),
      p.named('Zone', {
        links: [{ title: 'Dashboard of the zone', url: '/d/%s?${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${cluster:queryparam}&var-zone=${__value.text}' % config.dashboardUids.zone }],
      }),
      p.named('Since', { unit: 'dateTimeFromNow', 'custom.width': 160 }),
    ],
    [{ displayName: 'Severity', desc: false }],
    nothing='No alert is firing, or the rules are not loaded.',
  )

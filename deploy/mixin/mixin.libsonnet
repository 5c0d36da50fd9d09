// Alerts, recorded series, inhibition rules and dashboards as a monitoring mixin. The plain files of
// this repository are its output: scripts/render-mixin writes them.
local alerts = import 'alerts.libsonnet';
local inhibitions = import 'inhibitions.libsonnet';
local recorded = import 'rules.libsonnet';

(import 'config.libsonnet') + (import 'dashboards/dashboards.libsonnet') + {
  local config = $._config,

  local selected(text) =
    local all = std.strReplace(text, '{$,', if config.selector == '' then '{' else '{' + config.selector + ',');
    std.strReplace(all, '{$}', if config.selector == '' then '' else '{' + config.selector + '}'),
  local clustered(text) = if config.clusterLabel == 'cluster' then text else
    std.strReplace(text, 'job, cluster', 'job, ' + config.clusterLabel),
  local expression(text) = std.rstripChars(clustered(selected(text)), '\n'),
  local sentence(text) =
    std.rstripChars(std.strReplace(std.strReplace(text, '$labels.cluster', '$labels.' + config.clusterLabel), '\n', ' '), ' '),

  // Leads to the dashboard that shows what the alert is about.
  local dashboardUrl(alert) =
    local which = std.get(alert, 'dashboard', 'exporter');
    config.grafanaUrl + '/d/' + config.dashboardUids[which] + '?from=now-6h'
    + '{{ with $labels.job }}&var-job={{ . | urlquery }}{{ end }}'
    + '{{ with $labels.%s }}&var-cluster={{ . | urlquery }}{{ end }}' % config.clusterLabel
    + std.get({ zone: '&var-zone={{ $labels.zone | urlquery }}', overview: '&var-account={{ $labels.account | urlquery }}' }, which, ''),

  local rendered(alert) =
    local settings = config.alerts[alert.name];
    {
      alert: config.alertNamePrefix + alert.name,
      expr: expression(alert.expr),
      [if settings.pending != '' then 'for']: settings.pending,
      [if settings.keepFiring != '' then 'keep_firing_for']: settings.keepFiring,
      labels: { severity: settings.severity } + config.alertLabels,
      annotations: {
        summary: alert.summary,
        description: sentence(alert.description),
        dashboard_url: dashboardUrl(alert),
        runbook_url: config.runbookBase + std.asciiLower(config.alertNamePrefix + alert.name),
      },
    },

  prometheusAlerts+:: {
    // One group, so that an alert is evaluated at the same instant as the recorded series it reads,
    // and after them.
    groups+: [{
      name: 'origin-region',
      rules: [rule { expr: expression(rule.expr) } for rule in recorded.rules(config)]
             + [rendered(alert) for alert in alerts(config) if config.alerts[alert.name].enabled],
    }],
  },

  prometheusRules+:: {
    groups+: [],
  },

  alertmanagerInhibitRules:: inhibitions(config),
}

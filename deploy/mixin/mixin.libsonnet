// The shipped rules and dashboards in the form of a monitoring mixin.
{
  // The alerts read series that the same group records, at the same instant; so all of it stays
  // together here.
  prometheusAlerts+:: {
    groups+: std.parseYaml(importstr '../prometheus/rules.yaml').groups,
  },

  prometheusRules+:: {
    groups+: [],
  },

  grafanaDashboardFolder:: 'Origin Region',

  grafanaDashboards+:: {
    'origin-region-overview.json': import '../../dashboards/overview.json',
    'origin-region-zone.json': import '../../dashboards/zone.json',
    'origin-region-exporter.json': import '../../dashboards/exporter.json',
  },
}

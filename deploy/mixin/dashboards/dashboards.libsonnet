{
  grafanaDashboardFolder:: 'Origin Region',

  grafanaDashboards+:: {
    'origin-region-overview.json': (import 'overview.libsonnet')($._config),
    'origin-region-zone.json': (import 'zone.libsonnet')($._config),
    'origin-region-exporter.json': (import 'exporter.libsonnet')($._config),
  },
}

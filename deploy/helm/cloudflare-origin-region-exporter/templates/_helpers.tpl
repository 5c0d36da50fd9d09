{{- define "exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "exporter.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* At most 52 characters: a StatefulSet's pods bear its name with an ordinal, and a label with a hash. */}}
{{- define "exporter.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := include "exporter.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "exporter.sharded" -}}
{{- if gt (int .Values.shards) 1 }}true{{ end }}
{{- end }}

{{- define "exporter.persistent" -}}
{{- if and .Values.storage.enabled .Values.storage.persistence.enabled }}true{{ end }}
{{- end }}

{{- define "exporter.stateful" -}}
{{- if or (include "exporter.sharded" .) (include "exporter.persistent" .) }}true{{ end }}
{{- end }}

{{/* The claims of a StatefulSet cannot be changed, so one with claims has a name of its own. */}}
{{- define "exporter.workloadName" -}}
{{- if include "exporter.persistent" . }}
{{- printf "%s-data" (include "exporter.fullname" . | trunc 47 | trimSuffix "-") }}
{{- else }}
{{- include "exporter.fullname" . }}
{{- end }}
{{- end }}

{{- define "exporter.headlessName" -}}
{{- printf "%s-pods" (include "exporter.fullname" .) }}
{{- end }}

{{- define "exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "exporter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "exporter.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Empty where the credentials come from elsewhere than a Secret. */}}
{{- define "exporter.credentialsSecret" -}}
{{- if .Values.credentials.apiToken }}
{{- printf "%s-credentials" (include "exporter.fullname" .) }}
{{- else }}
{{- .Values.credentials.existingSecret }}
{{- end }}
{{- end }}

{{- define "exporter.tokenFile" -}}
{{- if .Values.credentials.tokenFile }}
{{- .Values.credentials.tokenFile }}
{{- else if include "exporter.credentialsSecret" . }}
{{- printf "/run/secrets/cloudflare/%s" .Values.credentials.key }}
{{- end }}
{{- end }}

{{- define "exporter.image" -}}
{{- $registry := default .Values.image.registry (.Values.global).imageRegistry }}
{{- $repository := .Values.image.repository }}
{{- if $registry }}
{{- $repository = printf "%s/%s" $registry $repository }}
{{- end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Names of secrets, plain or as objects, of the chart and of `global`. */}}
{{- define "exporter.imagePullSecrets" -}}
{{- $names := list }}
{{- range concat (default list (.Values.global).imagePullSecrets) .Values.imagePullSecrets }}
{{- if kindIs "map" . }}
{{- $names = append $names .name }}
{{- else }}
{{- $names = append $names . }}
{{- end }}
{{- end }}
{{- range uniq $names }}
- name: {{ . }}
{{- end }}
{{- end }}

{{- define "exporter.config" -}}
{{- toYaml .Values.config }}
{{- end }}

{{/* What the daemon and the test of the release have in common. */}}
{{- define "exporter.podSettings" -}}
serviceAccountName: {{ include "exporter.serviceAccountName" . }}
automountServiceAccountToken: false
# Variables of other services could be taken for settings.
enableServiceLinks: false
{{- with include "exporter.imagePullSecrets" . }}
imagePullSecrets:
  {{- . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "exporter.volumes" -}}
- name: config
  configMap:
    name: {{ include "exporter.fullname" . }}
{{- with include "exporter.credentialsSecret" . }}
- name: credentials
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- if .Values.web.existingSecret }}
- name: web
  secret:
    secretName: {{ .Values.web.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "exporter.containerSettings" -}}
image: {{ include "exporter.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if or (include "exporter.tokenFile" .) .Values.extraEnv (not .Values.storage.enabled) }}
env:
  {{- if not .Values.storage.enabled }}
  # The image has a path of its own.
  - name: ORIGIN_REGION_EXPORTER_STORAGE_PATH
    value: ""
  {{- end }}
  {{- with include "exporter.tokenFile" . }}
  # For the only account; ignored where the configuration lists accounts.
  - name: CLOUDFLARE_API_TOKEN_FILE
    value: {{ . }}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end }}

{{- define "exporter.volumeMounts" -}}
- name: config
  mountPath: /etc/cloudflare-origin-region-exporter/config
  readOnly: true
{{- if include "exporter.credentialsSecret" . }}
- name: credentials
  mountPath: /run/secrets/cloudflare
  readOnly: true
{{- end }}
{{- if .Values.web.existingSecret }}
- name: web
  mountPath: /etc/cloudflare-origin-region-exporter/web
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Pods of one release on different nodes, where there are several and nothing else is set. */}}
{{- define "exporter.affinity" -}}
{{- if .Values.affinity }}
{{- toYaml .Values.affinity }}
{{- else if or (include "exporter.sharded" .) (gt (int .Values.replicas) 1) }}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "exporter.selectorLabels" . | nindent 12 }}
{{- end }}
{{- end }}

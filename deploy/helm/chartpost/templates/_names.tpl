{{- define "chartpost.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "chartpost.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "chartpost.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "chartpost.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "chartpost.selector" -}}
app.kubernetes.io/name: {{ include "chartpost.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "chartpost.labels" -}}
{{ include "chartpost.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "chartpost.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "chartpost.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "chartpost.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "chartpost.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "chartpost.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Settings that reach NATS; credsKey and nkeyKey say which file of the secret. */}}
{{- define "chartpost.natsEnv" -}}
- {name: CHARTPOST_NATS_URL, value: {{ .root.Values.nats.url | quote }}}
- {name: CHARTPOST_PREFIX, value: {{ .root.Values.nats.prefix | quote }}}
{{- if .credsKey }}
- {name: CHARTPOST_NATS_CREDS, value: {{ printf "/etc/chartpost/nats/%s" .credsKey | quote }}}
{{- else if .nkeyKey }}
- {name: CHARTPOST_NATS_NKEY, value: {{ printf "/etc/chartpost/nats/%s" .nkeyKey | quote }}}
{{- end }}
{{- with .root.Values.nats.tls }}
{{- if .existingSecret }}
{{- if .caKey }}
- {name: CHARTPOST_NATS_TLS_CA, value: {{ printf "/etc/chartpost/nats-tls/%s" .caKey | quote }}}
{{- end }}
{{- if .certKey }}
- {name: CHARTPOST_NATS_TLS_CERT, value: {{ printf "/etc/chartpost/nats-tls/%s" .certKey | quote }}}
- {name: CHARTPOST_NATS_TLS_KEY, value: {{ printf "/etc/chartpost/nats-tls/%s" .keyKey | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Whole folders are mounted, never single files: those would not be renewed. */}}
{{- define "chartpost.natsMounts" -}}
- {name: nats, mountPath: /etc/chartpost/nats, readOnly: true}
{{- if .Values.nats.tls.existingSecret }}
- {name: nats-tls, mountPath: /etc/chartpost/nats-tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "chartpost.natsVolumes" -}}
- name: nats
  secret: {secretName: {{ .secret | quote }}, defaultMode: 0440}
{{- if .root.Values.nats.tls.existingSecret }}
- name: nats-tls
  secret: {secretName: {{ .root.Values.nats.tls.existingSecret | quote }}, defaultMode: 0440}
{{- end }}
{{- end }}

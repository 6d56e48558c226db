{{- /* Names, labels and what several templates decide together. */ -}}

{{- define "supercargo.name" -}}
{{- $name := .Values.fullnameOverride | default (contains "supercargo" .Release.Name | ternary .Release.Name (printf "%s-supercargo" .Release.Name)) -}}
{{- $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "supercargo.webhookService" -}}
{{ include "supercargo.name" . }}-webhook
{{- end -}}

{{- define "supercargo.selector" -}}
app.kubernetes.io/name: supercargo
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "supercargo.labels" -}}
{{ include "supercargo.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: supercargo
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "supercargo.account" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "supercargo.name" .) }}
{{- else -}}
{{ required "serviceAccount.name: name the account to use, or let serviceAccount.create be true" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- define "supercargo.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Subjects of every binding. */ -}}
{{- define "supercargo.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "supercargo.account" . }}
    namespace: {{ .Release.Namespace }}
{{- end -}}

{{- /* What the operator does in a namespace that it watches; the lists of verbs are what it calls and nothing more. */ -}}
{{- define "supercargo.watchRules" -}}
- apiGroups: [supercargo.dev]
  resources: [dockerdeployments, dockersecrets]
  verbs: [get, list, watch, patch]
- apiGroups: [supercargo.dev]
  resources: [dockerdeployments/status, dockersecrets/status]
  verbs: [patch]
# So that what it makes may name its owner where OwnerReferencesPermissionEnforcement is on.
- apiGroups: [supercargo.dev]
  resources: [dockerdeployments/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [get, create, patch]
{{- end -}}

{{- /* Fails with one sentence for what the schema cannot say. */ -}}
{{- define "supercargo.check" -}}
{{- $docker := .Values.docker -}}
{{- $socket := $docker.nodeSocket -}}
{{- if $socket.enabled -}}
{{- if $docker.host }}{{ fail "docker.host and docker.nodeSocket.enabled exclude each other: the engine is either remote or a node's" }}{{ end -}}
{{- if not $socket.node }}{{ fail "docker.nodeSocket.node: name the one node whose engine it is (its label kubernetes.io/hostname)" }}{{ end -}}
{{- if kindIs "invalid" $socket.group }}{{ fail "docker.nodeSocket.group: name the group that may use the socket, as stat -c %g shows it on that node" }}{{ end -}}
{{- else -}}
{{- if not $docker.host }}{{ fail "docker.host: name the engine to drive, such as tcp://docker.example:2376, and docker.tls.secretName with the certificates for it" }}{{ end -}}
{{- if and (not $docker.tls.secretName) (not $docker.insecure) }}{{ fail "docker.tls.secretName: name the Secret with ca.pem, cert.pem and key.pem for the engine; docker.insecure=true does without TLS, and then secrets pass in the clear" }}{{ end -}}
{{- end -}}
{{- end -}}

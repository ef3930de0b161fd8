{{/* The name of nearly all objects: the release's name, which contains the chart's. */}}
{{- define "registration-policy-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name $release -}}
{{- $release | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" $release $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name of an object that is cluster-scoped or in another namespace. It is unique, because the names of namespaces have no dots. */}}
{{- define "registration-policy-operator.uniqueName" -}}
{{- printf "%s.%s" .Release.Namespace (include "registration-policy-operator.fullname" .) -}}
{{- end -}}

{{/* The name of a Role in a namespace. Arguments: the root and the namespace. */}}
{{- define "registration-policy-operator.roleName" -}}
{{- $root := first . -}}
{{- if eq (last .) $root.Release.Namespace -}}
{{- include "registration-policy-operator.fullname" $root -}}
{{- else -}}
{{- include "registration-policy-operator.uniqueName" $root -}}
{{- end -}}
{{- end -}}

{{- define "registration-policy-operator.identityLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Selects the operator's pods, but not the pod of helm test. */}}
{{- define "registration-policy-operator.selectorLabels" -}}
{{ include "registration-policy-operator.identityLabels" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "registration-policy-operator.labels" -}}
{{ include "registration-policy-operator.selectorLabels" . }}
{{ include "registration-policy-operator.originLabels" . }}
{{- end -}}

{{/* Labels with the versions of chart and operator, and those of the user. Not for pods. */}}
{{- define "registration-policy-operator.originLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "registration-policy-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "registration-policy-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- if not .Values.serviceAccount.name -}}
{{- fail "serviceAccount.name is required with serviceAccount.create=false: write the name of an existing ServiceAccount" -}}
{{- end -}}
{{- .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "registration-policy-operator.image" -}}
{{- $image := .Values.image -}}
{{- $registry := default $image.registry .Values.global.imageRegistry -}}
{{- $repository := empty $registry | ternary $image.repository (printf "%s/%s" $registry $image.repository) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The field imagePullSecrets of a pod, with the global ones, which may be names. Empty if there are none. */}}
{{- define "registration-policy-operator.imagePullSecrets" -}}
{{- $secrets := .Values.imagePullSecrets -}}
{{- range .Values.global.imagePullSecrets -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with uniq $secrets -}}
imagePullSecrets:
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{/* The namespaces whose policies decide, as a JSON list. */}}
{{- define "registration-policy-operator.watchNamespaces" -}}
{{- default (list .Release.Namespace) .Values.watchNamespaces | uniq | toJson -}}
{{- end -}}

{{/* The name of the Secret with the credentials. The chart does not create one, because a random value would change at each render. */}}
{{- define "registration-policy-operator.hookAuthSecret" -}}
{{- if not .Values.auth.existingSecret -}}
{{- $what := "a Secret whose keys each hold a credential that Okta may send, 16 to 1024 visible ASCII characters" -}}
{{- $create := "kubectl create secret generic registration-hook-auth --namespace" -}}
{{- $lines := printf "  openssl rand -hex 32 |\n    %s %s --from-file=okta=/dev/stdin" $create .Release.Namespace -}}
{{- $then := "and then set auth.existingSecret=registration-hook-auth" -}}
{{- fail (printf "auth.existingSecret is required: %s. To create one:\n\n%s\n\n%s" $what $lines $then) -}}
{{- end -}}
{{- .Values.auth.existingSecret -}}
{{- end -}}

{{/* "true" if Okta may send credentials of the Secret: always, unless it sends tokens alone. */}}
{{- define "registration-policy-operator.usesCredentials" -}}
{{- if or .Values.auth.existingSecret (not .Values.auth.oauth.issuer) -}}true{{- end -}}
{{- end -}}

{{/* The header with the credential. Headers that HTTP or Okta use for something else fail here: the operator would not start. */}}
{{- define "registration-policy-operator.authHeader" -}}
{{- $taken := list "connection" "content-encoding" "content-length" "content-type" "expect" "host" "te" "trailer" -}}
{{- $taken = concat $taken (list "transfer-encoding" "upgrade" "x-okta-request-id") -}}
{{- if has (lower .Values.auth.header) $taken -}}
{{- fail (printf "auth.header: %s has a meaning of its own and cannot hold a credential: write another, such as X-Registration-Hook-Key" .Values.auth.header) -}}
{{- end -}}
{{- .Values.auth.header -}}
{{- end -}}

{{/* The path for health checks, or "". The operator refuses the hook's own path, also where a proxy may take both for the same. */}}
{{- define "registration-policy-operator.healthPath" -}}
{{- with .Values.hook.healthPath -}}
{{- if eq (clean .) (clean $.Values.hook.path) -}}
{{- fail "hook.healthPath is the path of the hook: write another, such as /healthz" -}}
{{- end -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* The flags for access tokens. They are quoted, because an audience may contain special characters of YAML. */}}
{{- define "registration-policy-operator.oauthArguments" -}}
{{- $oauth := .Values.auth.oauth -}}
{{- if $oauth.issuer -}}
{{- range $name := list "audience" "clientIDs" "scope" -}}
{{- if not (index $oauth $name) -}}
{{- fail (printf "auth.oauth.%s is required with auth.oauth.issuer: without it, any token of the issuer would be accepted" $name) -}}
{{- end -}}
{{- end -}}
- {{ printf "--hook-oauth-issuer=%s" $oauth.issuer | quote }}
- {{ printf "--hook-oauth-audience=%s" $oauth.audience | quote }}
- {{ printf "--hook-oauth-client-id=%s" (join "," $oauth.clientIDs) | quote }}
- {{ printf "--hook-oauth-scope=%s" $oauth.scope | quote }}
- {{ printf "--hook-oauth-client-id-claim=%s" $oauth.clientIDClaim | quote }}
- {{ printf "--hook-oauth-scope-claim=%s" $oauth.scopeClaim | quote }}
{{- if $oauth.caConfigMap }}
- --hook-oauth-ca-file=/etc/registration-policy/oauth-ca/ca.crt
{{- end }}
{{- else if or $oauth.audience $oauth.clientIDs $oauth.scope -}}
{{- fail "auth.oauth.issuer is required with the other values of auth.oauth: write the issuer of the tokens" -}}
{{- end -}}
{{- end -}}

{{/* A duration of the schema's form (1m30s) in seconds. */}}
{{- define "registration-policy-operator.seconds" -}}
{{- $minutes := regexFind "^[0-9]+m" . | trimSuffix "m" | default "0" -}}
{{- $seconds := regexFind "[0-9]+s$" . | trimSuffix "s" | default "0" -}}
{{- add (mul (atoi $minutes) 60) (atoi $seconds) -}}
{{- end -}}

{{/* The drain delay in seconds. At least 9: the readiness probe fails twice within 4 s, and endpoints need 5 s to spread to the proxies.
     At most 300, half of the progressDeadlineSeconds of 600, because minReadySeconds has the same value. */}}
{{- define "registration-policy-operator.drainSeconds" -}}
{{- $drain := include "registration-policy-operator.seconds" .Values.drainDelay | int -}}
{{- if or (lt $drain 9) (gt $drain 300) -}}
{{- fail (printf "drainDelay is %s; write 9s to 5m: with less, proxies still send calls when a pod stops; with more, a rollout exceeds its deadline" .Values.drainDelay) -}}
{{- end -}}
{{- $drain -}}
{{- end -}}

{{/* The termination grace period of a pod: drainDelay, shutdownTimeout, and 5 s to close connections. */}}
{{- define "registration-policy-operator.gracePeriod" -}}
{{- $margin := 5 -}}
{{- $drain := include "registration-policy-operator.drainSeconds" . | int -}}
{{- $shutdown := include "registration-policy-operator.seconds" .Values.shutdownTimeout | int -}}
{{- if or (lt $shutdown 3) (gt $shutdown 300) -}}
{{- fail (printf "shutdownTimeout is %s; write 3s to 5m: Okta waits 3 s for the answer to a call in flight" .Values.shutdownTimeout) -}}
{{- end -}}
{{- add $drain $shutdown $margin -}}
{{- end -}}

{{/* The smallest configured number of replicas. */}}
{{- define "registration-policy-operator.leastReplicas" -}}
{{- ternary .Values.autoscaling.minReplicas .Values.replicaCount .Values.autoscaling.enabled | int -}}
{{- end -}}

{{/* The settings of a container for PodSecurity "restricted", and a read-only root file system. */}}
{{- define "registration-policy-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
  - ALL
{{- end -}}

{{/* The settings of a pod. An id that is null is left to the cluster. */}}
{{- define "registration-policy-operator.podSecurity" -}}
runAsNonRoot: true
{{- range $field := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- with index $.Values.podSecurityContext $field }}
{{ $field }}: {{ int64 . }}
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The volume with the credentials, one file for each accepted key. Mount it without subPath: files of a subPath are not updated. */}}
{{- define "registration-policy-operator.hookAuthVolume" -}}
secretName: {{ include "registration-policy-operator.hookAuthSecret" . }}
defaultMode: 0440
{{- with .Values.auth.keys }}
# Without this, the kubelet stops updating the volume when a listed key is removed, and the revoked credential stays accepted.
optional: true
items:
{{- range . }}
- {key: {{ . | quote }}, path: {{ . | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* The external host names of the hook, as a JSON list. */}}
{{- define "registration-policy-operator.hosts" -}}
{{- $hosts := list -}}
{{- if and .Values.ingress.enabled .Values.ingress.host -}}
{{- $hosts = append $hosts .Values.ingress.host -}}
{{- end -}}
{{- if .Values.httpRoute.enabled -}}
{{- $hosts = concat $hosts .Values.httpRoute.hostnames -}}
{{- end -}}
{{- uniq $hosts | toJson -}}
{{- end -}}

{{/* The name of the ServiceAccount and the other objects of list sync. */}}
{{- define "registration-policy-operator.listSyncName" -}}
{{- printf "%s-list-sync" (include "registration-policy-operator.fullname" .) -}}
{{- end -}}

{{/* The namespace of a list. Argument: the root and the list. */}}
{{- define "registration-policy-operator.listSyncNamespace" -}}
{{- $root := first . -}}
{{- $watched := include "registration-policy-operator.watchNamespaces" $root | fromJsonArray -}}
{{- default (has $root.Release.Namespace $watched | ternary $root.Release.Namespace (first $watched)) (last .).namespace -}}
{{- end -}}

{{/* The name of the CronJob of a list. Arguments: the root, the namespace and the list's name. It has no dots and at most 52 characters,
     because the names of Jobs and Pods are made from it. */}}
{{- define "registration-policy-operator.listSyncJobName" -}}
{{- $root := first . -}}
{{- $namespace := index . 1 -}}
{{- $name := printf "%s-%s" (include "registration-policy-operator.fullname" $root) (last .) -}}
{{- if or (gt (len $name) 52) (contains "." $name) (ne $namespace $root.Release.Namespace) -}}
{{- $name = printf "%s-%s" ($name | replace "." "-" | trunc 43 | trimSuffix "-") (printf "%s/%s" $namespace (last .) | sha256sum | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "registration-policy-operator.listSyncLabels" -}}
{{ include "registration-policy-operator.identityLabels" . }}
app.kubernetes.io/component: list-sync
{{- end -}}

{{/* The egress rules that all NetworkPolicies begin with: DNS, and those of the user. */}}
{{- define "registration-policy-operator.commonEgress" -}}
- ports:
  {{- range .Values.networkPolicy.dns.ports }}
  - port: {{ int . }}
    protocol: UDP
  - port: {{ int . }}
    protocol: TCP
  {{- end }}
  {{- with .Values.networkPolicy.dns.to }}
  to:
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

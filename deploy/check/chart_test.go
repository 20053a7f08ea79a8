package check

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"sigs.k8s.io/yaml"
)

const chartDir = "../helm/chartpost"

// least is what a deployment must say.
const least = `
image: {repository: registry.example/chartpost}
nats: {url: "nats://nats:4222", existingSecret: chartpost-nats}
redox: {environment: Staging, clientID: 6d0e4a3c, existingSecret: chartpost-redox}
`

// intake is one that ends TLS itself, and intakeBehindProxy one that does not.
const (
	intake = `
intake:
  enabled: true
  existingSecret: chartpost-intake
  tls: {existingSecret: intake-tls, clientCAKey: ca.crt}
  oidc: {issuer: "https://id.example", audience: chartpost}
  callers: [{name: lab, certificate: lab.example.org, destinations: [good-health]}]
  uploads: reports/incoming/
  s3Secret: intake-s3
  ingressFrom: [{namespaceSelector: {matchLabels: {name: gateway}}}]
  settings: {CALLER_RATE: "500"}
`
	intakeBehindProxy = `
intake: {enabled: true, existingSecret: chartpost-intake, oidc: {issuer: "https://id.example", audience: chartpost}}
`
)

// most turns everything on.
const most = `
image: {repository: registry.example/chartpost, digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
imagePullSecrets: [{name: pull}]
nats:
  url: "tls://nats-1:4222,tls://nats-2:4222"
  existingSecret: chartpost-nats
  credsKey: worker.creds
  tls: {existingSecret: nats-tls, certKey: tls.crt, keyKey: tls.key}
redox: {environment: Production, clientID: 6d0e4a3c, keyID: "2026-11", sourceID: 0f8fad5b-d9cb-469f-a165-70867728950e, existingSecret: chartpost-redox}
s3: {endpoint: "https://s3.example", region: eu-central-1, pathStyle: true, buckets: [reports, scans/outbox/], existingSecret: chartpost-s3}
settings: {CONCURRENCY: "32", ON_UNKNOWN: hold}
serviceAccount: {annotations: {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/chartpost"}}
setup: {enabled: true, existingSecret: chartpost-operator, settings: {EVENTS_AGE: 720h}}
podDisruptionBudget: {maxUnavailable: 34%}
networkPolicy:
  ingressFrom: [{namespaceSelector: {matchLabels: {name: monitoring}}}]
  nats: {ports: [4222], to: [{namespaceSelector: {matchLabels: {name: nats}}}]}
  https: {ports: [443, 8443], to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}]}
  extraEgress: [{ports: [{port: 3128}]}]
keda:
  enabled: true
  serverAddress: https://prometheus.monitoring.svc:9090
  selector: job="chartpost",cluster="a"
  authModes: bearer
  authenticationRef: {name: prometheus}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
podAnnotations: {team: a}
podLabels: {team: a}
nodeSelector: {disk: ssd}
tolerations: [{key: dedicated, operator: Exists}]
affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: a, operator: Exists}]}}]}}
priorityClassName: high
`

// render gives the manifests of the chart by kind; hooks among them.
func render(t *testing.T, values string) (map[string]map[string]any, error) {
	t.Helper()
	c, err := loader.LoadDir(chartDir)
	must(t, err)
	var given map[string]any
	must(t, yaml.Unmarshal([]byte(values), &given))
	merged, err := chartutil.ToRenderValues(c, given, chartutil.ReleaseOptions{Name: "site", Namespace: "records", IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(c, merged)
	if err != nil {
		return nil, err
	}
	manifests := map[string]map[string]any{}
	for _, name := range sortedKeys(files) {
		if filepath.Ext(name) != ".yaml" {
			continue
		}
		for text := range strings.SplitSeq(files[name], "\n---\n") {
			if strings.TrimSpace(text) == "" {
				continue
			}
			// Strictly: a key that stands twice is an error.
			text, err := yaml.YAMLToJSONStrict([]byte(text))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			m := readJSON(t, text).(map[string]any)
			kind := fmt.Sprint(m["kind"])
			if strings.Contains(fmt.Sprint(at(m, "metadata", "name")), "-intake") {
				kind = "intake " + kind
			}
			if manifests[kind] != nil {
				t.Errorf("two manifests are a %s", kind)
			}
			manifests[kind] = m
		}
	}
	return manifests, nil
}

// TestChart renders the chart and holds every manifest to the schema of its kind.
func TestChart(t *testing.T) {
	schemas := newSchemaSet(t)
	for _, one := range []struct {
		name, values string
		kinds        []string
	}{
		{"least", least, []string{"Deployment", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"}},
		{"most", most, []string{"Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget", "ScaledObject", "Service", "ServiceAccount", "ServiceMonitor"}},
		{"an intake", least + intake, []string{"Deployment", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount", "intake ConfigMap", "intake Deployment", "intake NetworkPolicy", "intake Service"}},
		{"an intake behind a proxy", least + intakeBehindProxy, []string{"Deployment", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount", "intake Deployment", "intake NetworkPolicy", "intake Service"}},
		{"little", least + "\nnetworkPolicy: {enabled: false}\npodDisruptionBudget: {enabled: false}\nserviceAccount: {create: false}\ntopologySpread: {enabled: false}\n", []string{"Deployment"}},
	} {
		t.Run(one.name, func(t *testing.T) {
			manifests, err := render(t, one.values)
			must(t, err)
			if got := sortedKeys(manifests); !slices.Equal(got, one.kinds) {
				t.Errorf("the kinds are %v, want %v", got, one.kinds)
			}
			for kind, m := range manifests {
				if err := schemas.check(m); err != nil {
					t.Errorf("%s: %v", kind, err)
				}
				checkPod(t, kind, m)
			}
			checkDeployment(t, manifests["Deployment"])
		})
	}
	t.Run("the schemas refuse what is wrong", func(t *testing.T) {
		for what, spoil := range map[string]func(m map[string]any){
			"a field that is none":   func(m map[string]any) { at(m, "spec", "template", "spec").(map[string]any)["terminationGrace"] = 1 },
			"a number as a text":     func(m map[string]any) { at(m, "spec").(map[string]any)["replicas"] = "2" },
			"no selector":            func(m map[string]any) { delete(at(m, "spec").(map[string]any), "selector") },
			"a kind that is unknown": func(m map[string]any) { m["kind"] = "Deploymint" },
		} {
			manifests, err := render(t, least)
			must(t, err)
			m := manifests["Deployment"]
			spoil(m)
			if schemas.check(m) == nil {
				t.Errorf("%s is taken", what)
			}
		}
		manifests, err := render(t, most)
		must(t, err)
		at(manifests["ScaledObject"], "spec").(map[string]any)["minReplicas"] = 1
		if schemas.check(manifests["ScaledObject"]) == nil {
			t.Error("KEDA: a field that is none is taken")
		}
	})
}

// at walks down maps, and into the first of a list.
func at(v any, path ...string) any {
	for _, key := range path {
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// checkPod holds what runs to what Kubernetes calls a restricted pod.
func checkPod(t *testing.T, kind string, m map[string]any) {
	t.Helper()
	spec := at(m, "spec", "template", "spec")
	if spec == nil {
		return
	}
	for path, want := range map[string]any{
		"automountServiceAccountToken":                        false,
		"securityContext runAsNonRoot":                        true,
		"securityContext seccompProfile type":                 "RuntimeDefault",
		"containers securityContext allowPrivilegeEscalation": false,
		"containers securityContext readOnlyRootFilesystem":   true,
	} {
		// The path's "containers" is a list: its first is meant.
		if got := at(spec, strings.Fields(path)...); got != want {
			t.Errorf("%s: %s is %v, want %v", kind, path, got, want)
		}
	}
	if drop := fmt.Sprint(at(spec, "containers", "securityContext", "capabilities", "drop")); drop != "[ALL]" {
		t.Errorf("%s: capabilities dropped are %s", kind, drop)
	}
	if at(spec, "containers", "resources", "limits", "memory") == nil || at(spec, "containers", "resources", "requests", "cpu") == nil {
		t.Errorf("%s: it has no resources", kind)
	}
	for _, v := range at(spec, "containers", "env").([]any) {
		name, value := at(v, "name").(string), fmt.Sprint(at(v, "value"))
		if secret.MatchString(name) && at(v, "valueFrom", "secretKeyRef") == nil && !strings.HasPrefix(value, "/etc/chartpost/") {
			t.Errorf("%s: %s is neither a reference nor a file", kind, name)
		}
	}
}

// secret are names of settings that hold secrets, or name their files.
var secret = regexp.MustCompile(`SECRET|ACCESS_KEY|KEY_FILE|CREDS|NKEY|PASSWORD|TOKEN$`)

func checkDeployment(t *testing.T, m map[string]any) {
	t.Helper()
	spec := at(m, "spec", "template", "spec")
	if got := fmt.Sprint(at(spec, "terminationGracePeriodSeconds")); got != "40" {
		t.Errorf("a pod has %s s to end, want graceSeconds and the margin", got)
	}
	for probe, path := range map[string]string{"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"} {
		if got := at(spec, "containers", probe, "httpGet", "path"); got != path {
			t.Errorf("the %s asks %v", probe, got)
		}
	}
}

// TestChartScalesByAMetric of the workers, which is there whether or not a lane has its
// turn.
func TestChartScalesByAMetric(t *testing.T) {
	for values, want := range map[string]string{
		least + "keda: {enabled: true, serverAddress: \"http://prometheus:9090\"}\n": `sum(max by (class, destination) (chartpost_lane_jobs{namespace="records"}))`,
		most: `sum(max by (class, destination) (chartpost_lane_jobs{job="chartpost",cluster="a"}))`,
	} {
		manifests, err := render(t, values)
		must(t, err)
		trigger := at(manifests["ScaledObject"], "spec", "triggers")
		if kind, query := at(trigger, "type"), at(trigger, "metadata", "query"); kind != "prometheus" || query != want {
			t.Errorf("%v asks %v, want %s", kind, query, want)
		}
	}
	metrics, err := os.ReadFile("../../docs/telemetry.md")
	must(t, err)
	if !strings.Contains(string(metrics), "`chartpost_lane_jobs`") {
		t.Error("there is no such metric")
	}
}

// TestChartRefuses: what a deployment must say, and must not.
func TestChartRefuses(t *testing.T) {
	for name, values := range map[string]string{
		"nothing":                  "",
		"no environment":           strings.Replace(least, "environment: Staging, ", "", 1),
		"an unknown environment":   strings.Replace(least, "Staging", "Prod", 1),
		"no image":                 strings.Replace(least, "repository: registry.example/chartpost", "tag: v1", 1),
		"no secret for NATS":       strings.Replace(least, ", existingSecret: chartpost-nats", "", 1),
		"a password in a URL":      strings.Replace(least, "nats://nats", "nats://me:secret@nats", 1),
		"a value that is none":     least + "replica: 3\n",
		"a setting twice prefixed": least + "settings: {CHARTPOST_CONCURRENCY: \"1\"}\n",
		"a number as a setting":    least + "settings: {CONCURRENCY: 1}\n",
		"setup without a secret":   least + "setup: {enabled: true}\n",
		"KEDA without Prometheus":  least + "keda: {enabled: true}\n",
		"KEDA without a worker":    least + "keda: {enabled: true, serverAddress: \"http://prometheus\", minReplicas: 0}\n",
		"KEDA with a password":     least + "keda: {enabled: true, serverAddress: \"http://me:secret@prometheus\"}\n",
		"no time to end":           least + "terminationMarginSeconds: 0\n",
	} {
		if _, err := render(t, values); err == nil {
			t.Errorf("%s: it renders", name)
		}
	}
}

// TestChartLint is `helm lint --strict`.
func TestChartLint(t *testing.T) {
	for _, values := range []string{least, most} {
		var given map[string]any
		must(t, yaml.Unmarshal([]byte(values), &given))
		result := lint.AllWithKubeVersion(chartDir, given, "records", nil)
		for _, m := range result.Messages {
			if m.Severity >= support.WarningSev {
				t.Errorf("helm lint: %s: %v", m.Path, m.Err)
			}
		}
	}
}

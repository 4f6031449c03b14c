// Package deploy tests the files of folder deploy with the types of the systems that read
// them. It is a module of its own so that the program does not depend on those.
package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const (
	root     = "../.."
	base     = root + "/deploy/kubernetes/base"
	overlay  = root + "/deploy/kubernetes/overlays/production"
	app      = "app.kubernetes.io/name"
	part     = "app.kubernetes.io/component"
	drainFor = "CONNECTLINK_DRAIN_FOR"
	// afterDrain is how long a stop takes at most after the drain, in seconds (docs/deploying.md).
	afterDrain = 17
)

// kustomization is as much of Kustomize's file as is used; any other member is a fault.
type kustomization struct {
	APIVersion string              `json:"apiVersion"`
	Kind       string              `json:"kind"`
	Namespace  string              `json:"namespace"`
	Resources  []string            `json:"resources"`
	Patches    []map[string]string `json:"patches"`
	Images     []struct {
		Name    string `json:"name"`
		NewName string `json:"newName"`
		NewTag  string `json:"newTag"`
	} `json:"images"`
}

// empty returns an object of a kind to decode into; nil for one that is unknown.
func empty(apiVersion, kind string) any {
	switch apiVersion + " " + kind {
	case "v1 ConfigMap":
		return new(core.ConfigMap)
	case "v1 Service":
		return new(core.Service)
	case "v1 ServiceAccount":
		return new(core.ServiceAccount)
	case "apps/v1 Deployment":
		return new(apps.Deployment)
	case "batch/v1 Job":
		return new(batch.Job)
	case "autoscaling/v2 HorizontalPodAutoscaler":
		return new(autoscaling.HorizontalPodAutoscaler)
	case "policy/v1 PodDisruptionBudget":
		return new(policy.PodDisruptionBudget)
	case "networking.k8s.io/v1 NetworkPolicy":
		return new(networking.NetworkPolicy)
	}
	return nil
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// manifests decodes every object of the base, in the order of the kustomization. Unknown
// and repeated members are errors.
func manifests(t *testing.T) (all []any) {
	t.Helper()
	var k kustomization
	decode(t, base+"/kustomization.yaml", &k)
	listed := append([]string{"kustomization.yaml"}, k.Resources...)
	files, err := filepath.Glob(base + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(listed, filepath.Base(f)) {
			t.Errorf("%s is no resource of the base", f)
		}
	}
	for _, file := range k.Resources {
		text, err := os.ReadFile(filepath.Join(base, file))
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			var head struct{ APIVersion, Kind string }
			if err := yaml.Unmarshal([]byte(document), &head); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			object := empty(head.APIVersion, head.Kind)
			if object == nil {
				t.Fatalf("%s: no type for %s %s", file, head.APIVersion, head.Kind)
			}
			if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			all = append(all, object)
		}
	}
	return all
}

// workload is a pod that the manifests make, and what selects it.
type workload struct {
	name string
	pod  core.PodTemplateSpec
}

func workloads(all []any) (out []workload) {
	for _, object := range all {
		switch o := object.(type) {
		case *apps.Deployment:
			out = append(out, workload{o.Name, o.Spec.Template})
		case *batch.Job:
			out = append(out, workload{o.Name, o.Spec.Template})
		}
	}
	return out
}

func TestPodsHaveNoRightsThatTheyDoNotNeed(t *testing.T) {
	t.Parallel()
	found := workloads(manifests(t))
	if len(found) != 3 {
		t.Fatalf("%d workloads, want api, worker and migrate", len(found))
	}
	for _, w := range found {
		s := w.pod.Spec
		p := s.SecurityContext
		if p == nil || p.RunAsNonRoot == nil || !*p.RunAsNonRoot || p.RunAsUser == nil || *p.RunAsUser != imageUser(t) ||
			p.SeccompProfile == nil || p.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault || p.FSGroup == nil {
			t.Errorf("%s: the pod's security context is %+v", w.name, p)
		}
		if s.AutomountServiceAccountToken == nil || *s.AutomountServiceAccountToken || s.ServiceAccountName == "" {
			t.Errorf("%s is given a token of the cluster", w.name)
		}
		if s.EnableServiceLinks == nil || *s.EnableServiceLinks {
			t.Errorf("%s is given variables of services", w.name)
		}
		if s.HostNetwork || s.HostPID || s.HostIPC {
			t.Errorf("%s shares namespaces of the node", w.name)
		}
		if len(s.Containers) != 1 {
			t.Fatalf("%s has %d containers", w.name, len(s.Containers))
		}
		c := s.Containers[0]
		if sc := c.SecurityContext; sc == nil || sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem ||
			sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation || sc.Capabilities == nil || !slices.Contains(sc.Capabilities.Drop, "ALL") || len(sc.Capabilities.Add) > 0 {
			t.Errorf("%s: the container's security context is %+v", w.name, c.SecurityContext)
		}
		if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s: resources are %+v", w.name, c.Resources)
		}
	}
}

// imageUser is the user of the Dockerfile.
func imageUser(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(root + "/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var user int64
	m := regexp.MustCompile(`(?m)^USER (\d+):`).FindSubmatch(text)
	if m == nil {
		t.Fatal("the image has no user")
	}
	if _, err := fmt.Sscan(string(m[1]), &user); err != nil {
		t.Fatal(err)
	}
	return user
}

// options are the variables that the program reads, and which of them are secret: the
// table of docs/configuration.md is generated from the options.
func options(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(root + "/config/.env.example")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"GOMEMLIMIT": true}
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z][A-Z0-9_]+)=`).FindAllSubmatch(text, -1) {
		known[string(m[1])] = true
	}
	if len(known) < 50 {
		t.Fatalf("%d options: this test reads the wrong thing", len(known))
	}
	return known
}

// secretOptions may be given as a file only.
func isSecret(name string) bool {
	return regexp.MustCompile(`(_KEYSET|DATABASE_URL|_SECRET|_SECRETS|_TOKEN|_PASSWORD|_API_KEY|_PRIVATE_KEY)$`).MatchString(name)
}

func configMaps(t *testing.T) []map[string]string {
	t.Helper()
	var out []map[string]string
	for _, object := range manifests(t) {
		if c, ok := object.(*core.ConfigMap); ok {
			out = append(out, c.Data)
		}
	}
	var patch core.ConfigMap
	decode(t, overlay+"/config.yaml", &patch)
	return append(out, patch.Data)
}

func TestVariablesExistAndSecretsAreFiles(t *testing.T) {
	t.Parallel()
	known := options(t)
	check := func(where, name, value string) {
		plain, isFile := strings.CutSuffix(name, "_FILE")
		switch {
		case !known[plain] && !known[name]:
			t.Errorf("%s: nothing reads %s", where, name)
		case isFile && !strings.HasPrefix(value, "/run/secrets/connectlink/"):
			t.Errorf("%s: %s is %s, and secrets are mounted at /run/secrets/connectlink", where, name, value)
		case !isFile && isSecret(name):
			t.Errorf("%s: %s is a secret; give it as a file", where, name)
		}
	}
	for _, data := range configMaps(t) {
		for name, value := range data {
			check("config", name, value)
		}
	}
	for _, w := range workloads(manifests(t)) {
		c := w.pod.Spec.Containers[0]
		for _, e := range c.Env {
			check(w.name, e.Name, e.Value)
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				t.Errorf("%s: %s puts a secret into the environment", w.name, e.Name)
			}
		}
		for _, e := range c.EnvFrom {
			if e.SecretRef != nil {
				t.Errorf("%s puts the secret %s into the environment", w.name, e.SecretRef.Name)
			}
		}
		mounted := slices.ContainsFunc(c.VolumeMounts, func(m core.VolumeMount) bool {
			return m.MountPath == "/run/secrets/connectlink" && m.ReadOnly && slices.ContainsFunc(w.pod.Spec.Volumes, func(v core.Volume) bool {
				return v.Name == m.Name && v.Secret != nil && v.Secret.DefaultMode != nil && *v.Secret.DefaultMode&0o007 == 0
			})
		})
		if !mounted {
			t.Errorf("%s: the secrets are not mounted read-only, for the group alone", w.name)
		}
	}
}

func TestProbesPortsAndTheDrainAgree(t *testing.T) {
	t.Parallel()
	config := configMaps(t)[0]
	var drain int64
	if _, err := fmt.Sscanf(config[drainFor], "%ds", &drain); err != nil {
		t.Fatalf("%s: %v", drainFor, err)
	}
	ports := map[string]string{"http": config["CONNECTLINK_LISTEN"], "metrics": config["CONNECTLINK_METRICS_LISTEN"]}
	args := map[string][]string{"api": {"serve", "--role=api"}, "worker": {"serve", "--role=worker"}, "migrate": {"migrate"}}
	for _, w := range workloads(manifests(t)) {
		c, role := w.pod.Spec.Containers[0], w.pod.Labels[part]
		if w.name != "connectlink-"+role || w.pod.Labels[app] != "connectlink" || !slices.Equal(c.Args, args[role]) {
			t.Errorf("%s is %v of %s %v", w.name, c.Args, w.pod.Labels[app], role)
		}
		if role == "migrate" {
			continue
		}
		for _, p := range c.Ports {
			if want := fmt.Sprintf("0.0.0.0:%d", p.ContainerPort); ports[p.Name] != want {
				t.Errorf("%s: port %s is %s, and the program listens on %q", w.name, p.Name, want, ports[p.Name])
			}
		}
		for path, probe := range map[string]*core.Probe{"/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
			if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != "metrics" {
				t.Errorf("%s: the probe of %s is %+v", w.name, path, probe)
			}
		}
		if p := c.StartupProbe; p == nil || p.HTTPGet == nil || int64(p.PeriodSeconds)*int64(p.FailureThreshold) < 75 {
			t.Errorf("%s: the startup probe ends a process that waits for the database", w.name)
		}
		if g := w.pod.Spec.TerminationGracePeriodSeconds; g == nil || *g < drain+afterDrain {
			t.Errorf("%s is killed before a stop is over, which takes up to %d s", w.name, drain+afterDrain)
		}
		if p := c.ReadinessProbe; p != nil && int64(p.PeriodSeconds)*int64(p.FailureThreshold) > drain {
			t.Errorf("%s: the drain of %d s is over before the readiness probe has failed", w.name, drain)
		}
	}
}

// selects reports whether labels are chosen by a selector, and by more than one label:
// other programs of the namespace have a component "api" too.
func selects(selector, labels map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return selector[app] == "connectlink"
}

func TestSelectorsMeetTheirPods(t *testing.T) {
	t.Parallel()
	all := manifests(t)
	pods := map[string]map[string]string{}
	for _, w := range workloads(all) {
		pods[w.pod.Labels[part]] = w.pod.Labels
	}
	meets := func(what string, selector map[string]string) {
		role := selector[part]
		if role == "" {
			role = "api" // a selector of all
		}
		if !selects(selector, pods[role]) {
			t.Errorf("%s selects %v, and the pods have %v", what, selector, pods[role])
		}
	}
	scaled, budgets, policies := map[string]bool{}, map[string]bool{}, 0
	for _, object := range all {
		switch o := object.(type) {
		case *apps.Deployment:
			meets(o.Name, o.Spec.Selector.MatchLabels)
			if o.Spec.Replicas != nil {
				t.Errorf("%s sets replicas, which each apply would reset", o.Name)
			}
			for _, c := range o.Spec.Template.Spec.TopologySpreadConstraints {
				meets(o.Name+"'s spread", c.LabelSelector.MatchLabels)
			}
			if u := o.Spec.Strategy.RollingUpdate; u == nil || u.MaxUnavailable.IntVal != 0 || u.MaxUnavailable.StrVal != "" {
				t.Errorf("%s stops processes before new ones are ready", o.Name)
			}
		case *core.Service:
			meets("service "+o.Name, o.Spec.Selector)
		case *policy.PodDisruptionBudget:
			meets("budget "+o.Name, o.Spec.Selector.MatchLabels)
			budgets[o.Name] = true
		case *autoscaling.HorizontalPodAutoscaler:
			scaled[o.Spec.ScaleTargetRef.Name] = true
			if o.Spec.MinReplicas == nil || *o.Spec.MinReplicas < 2 {
				t.Errorf("%s may leave one process", o.Name)
			}
		case *networking.NetworkPolicy:
			meets("policy "+o.Name, o.Spec.PodSelector.MatchLabels)
			policies++
		}
	}
	for _, name := range []string{"connectlink-api", "connectlink-worker"} {
		if !scaled[name] || !budgets[name] {
			t.Errorf("%s is not scaled, or has no disruption budget", name)
		}
	}
	if policies == 0 {
		t.Error("there is no network policy")
	}
}

// Metrics that a HorizontalPodAutoscaler follows are ones that the program serves.
func TestScalingFollowsAMetricThatExists(t *testing.T) {
	t.Parallel()
	operations, err := os.ReadFile(root + "/docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, object := range manifests(t) {
		o, ok := object.(*autoscaling.HorizontalPodAutoscaler)
		if !ok {
			continue
		}
		for _, m := range o.Spec.Metrics {
			if m.External != nil {
				found++
				if !strings.Contains(string(operations), "`"+m.External.Metric.Name+"`") {
					t.Errorf("%s follows %s, which docs/operations.md does not list", o.Name, m.External.Metric.Name)
				}
			}
		}
	}
	if found == 0 {
		t.Error("nothing follows the queue")
	}
}

func TestTheOverlayNamesWhatTheBaseHas(t *testing.T) {
	t.Parallel()
	var k kustomization
	decode(t, overlay+"/kustomization.yaml", &k)
	if len(k.Resources) != 1 || filepath.Join(overlay, k.Resources[0]) != filepath.Clean(base) {
		t.Errorf("the overlay has the resources %v", k.Resources)
	}
	for _, p := range k.Patches {
		if _, err := os.Stat(filepath.Join(overlay, p["path"])); err != nil {
			t.Error(err)
		}
	}
	for _, w := range workloads(manifests(t)) {
		if len(k.Images) != 1 || w.pod.Spec.Containers[0].Image != k.Images[0].Name {
			t.Errorf("%s has the image %s, which the overlay does not name", w.name, w.pod.Spec.Containers[0].Image)
		}
	}
}

package deploy_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// cluster is everything that the manifests make, by name.
type cluster struct {
	namespaces  map[string]*namespace
	configs     map[string]*configMap
	secrets     map[string]*secret
	claims      map[string]*claim
	deployments map[string]*deployment
	services    map[string]*service
	budgets     map[string]*budget
	ingresses   map[string]*ingress
	policies    map[string]*policy
}

func readCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{map[string]*namespace{}, map[string]*configMap{}, map[string]*secret{}, map[string]*claim{}, map[string]*deployment{}, map[string]*service{},
		map[string]*budget{}, map[string]*ingress{}, map[string]*policy{}}
	files, err := fs.Glob(os.DirFS("."), "kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		for i, doc := range documents(t, f) {
			where := fmt.Sprintf("%s, document %d", f, i+1)
			var o Object
			if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			if o.APIVersion != versions[o.Kind] || o.Metadata.Name == "" {
				t.Errorf("%s: %s is not of %q, or has no name", where, o.Kind, o.APIVersion)
			}
			if o.Kind != "Namespace" && o.Metadata.Namespace != "konbit" {
				t.Errorf("%s is in the namespace %q", where, o.Metadata.Namespace)
			}
			name := o.Metadata.Name
			switch o.Kind {
			case "Namespace":
				add(t, where, doc, c.namespaces, name)
			case "ConfigMap":
				add(t, where, doc, c.configs, name)
			case "Secret":
				add(t, where, doc, c.secrets, name)
			case "PersistentVolumeClaim":
				add(t, where, doc, c.claims, name)
			case "Deployment":
				add(t, where, doc, c.deployments, name)
			case "Service":
				add(t, where, doc, c.services, name)
			case "PodDisruptionBudget":
				add(t, where, doc, c.budgets, name)
			case "Ingress":
				add(t, where, doc, c.ingresses, name)
			case "NetworkPolicy":
				add(t, where, doc, c.policies, name)
			default:
				t.Fatalf("%s: the kind %q is not known here", where, o.Kind)
			}
		}
	}
	return c
}

func add[T any](t *testing.T, where, doc string, to map[string]*T, name string) {
	t.Helper()
	if to[name] != nil {
		t.Errorf("%s: there are two of %s", where, name)
	}
	v := new(T)
	decode(t, where, doc, v)
	to[name] = v
}

// TestManifestsHoldTogether resolves every name and port in the manifests.
func TestManifestsHoldTogether(t *testing.T) {
	c := readCluster(t)
	if c.namespaces["konbit"] == nil || c.namespaces["konbit"].Metadata.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Error("the namespace is not there, or lets through what is not restricted")
	}
	for name, d := range c.deployments {
		checkPod(t, c, name, d)
	}
	for name, s := range c.services {
		pods := selected(c, s.Spec.Selector)
		if len(pods) != 1 {
			t.Errorf("the service %s selects %d deployments", name, len(pods))
		}
		for _, p := range s.Spec.Ports {
			if len(pods) == 1 && portOf(pods[0], p.TargetPort) == 0 {
				t.Errorf("the service %s leads to the port %s, which %s does not have", name, p.TargetPort, pods[0].Metadata.Name)
			}
		}
	}
	for name, b := range c.budgets {
		if len(selected(c, b.Spec.Selector.MatchLabels)) != 1 || b.Spec.MaxUnavailable != 1 {
			t.Errorf("the disruption budget %s guards nothing", name)
		}
	}
	checkIngress(t, c)
	checkPolicies(t, c)
	for name, s := range c.secrets {
		for k, v := range s.StringData {
			if !strings.Contains(v, "CHANGE-ME") {
				t.Errorf("the example of the secret %s holds something at %s", name, k)
			}
		}
	}
	checkKonbit(t, c)
}

// selected returns the deployments whose pods have the labels.
func selected(c *cluster, labels map[string]string) (out []*deployment) {
	for _, d := range c.deployments {
		has := len(labels) > 0
		for k, v := range labels {
			has = has && d.Spec.Template.Metadata.Labels[k] == v
		}
		if has {
			out = append(out, d)
		}
	}
	return out
}

// portOf is the number of a container's port by its name, 0 when there is none.
func portOf(d *deployment, name string) int {
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == name {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// checkPod holds a deployment's pods against what the restricted policy wants and
// against what they name.
func checkPod(t *testing.T, c *cluster, name string, d *deployment) {
	t.Helper()
	p := d.Spec.Template.Spec
	if !maps.Equal(d.Spec.Selector.MatchLabels, d.Spec.Template.Metadata.Labels) {
		t.Errorf("%s does not select its own pods", name)
	}
	no := func(b *bool) bool { return b != nil && !*b }
	if !no(p.Token) || !no(p.ServiceLinks) || !p.Security.NonRoot || p.Security.User == 0 || p.Security.Seccomp.Type != "RuntimeDefault" {
		t.Errorf("%s: its pods have more rights, or more in their environment, than they need", name)
	}
	volumes := map[string]bool{}
	for _, v := range p.Volumes {
		volumes[v.Name] = true
		switch {
		case v.Secret != nil && c.secrets[v.Secret.SecretName] == nil:
			t.Errorf("%s: there is no secret %s", name, v.Secret.SecretName)
		case v.Secret != nil && v.Secret.DefaultMode != 0o440:
			t.Errorf("%s: the secrets have the mode %o", name, v.Secret.DefaultMode)
		case v.Claim != nil && c.claims[v.Claim.ClaimName] == nil:
			t.Errorf("%s: there is no claim %s", name, v.Claim.ClaimName)
		case v.Secret == nil && v.Claim == nil && v.EmptyDir == nil:
			t.Errorf("%s: the volume %s is nothing", name, v.Name)
		}
	}
	for _, k := range p.Containers {
		pinned(t, name, k.Image)
		if !no(k.Security.Escalation) || !k.Security.ReadOnlyRoot || !slices.Equal(k.Security.Capabilities.Drop, []string{"ALL"}) || k.Resources.Limits["memory"] == "" {
			t.Errorf("%s: the container %s is not restricted", name, k.Name)
		}
		for _, m := range k.Mounts {
			if !volumes[m.Name] {
				t.Errorf("%s: there is no volume %s", name, m.Name)
			}
			delete(volumes, m.Name)
		}
		for _, e := range k.EnvFrom {
			if c.configs[e.ConfigMapRef.Name] == nil {
				t.Errorf("%s: there is no ConfigMap %s", name, e.ConfigMapRef.Name)
			}
		}
		for _, pr := range []*probe{k.Startup, k.Liveness, k.Readiness} {
			if pr != nil && portOf(d, pr.HTTPGet.Port) == 0 {
				t.Errorf("%s: a probe asks at the port %s, which is not there", name, pr.HTTPGet.Port)
			}
		}
		if k.Liveness == nil || k.Readiness == nil {
			t.Errorf("%s: nobody looks whether %s is well", name, k.Name)
		}
	}
	for v := range volumes {
		t.Errorf("%s: nobody mounts the volume %s", name, v)
	}
}

func checkIngress(t *testing.T, c *cluster) {
	t.Helper()
	if len(c.ingresses) == 0 {
		t.Error("nothing leads in")
	}
	for name, in := range c.ingresses {
		hosts := map[string]bool{}
		for _, x := range in.Spec.TLS {
			if s := c.secrets[x.SecretName]; s == nil || s.Type != "kubernetes.io/tls" {
				t.Errorf("%s: there is no certificate %s", name, x.SecretName)
			}
			for _, h := range x.Hosts {
				hosts[h] = true
			}
		}
		for _, r := range in.Spec.Rules {
			if !hosts[r.Host] || c.configs["konbit"].Data["KONBIT_URL"] != "https://"+r.Host {
				t.Errorf("%s: %s has no certificate, or is not the address in KONBIT_URL", name, r.Host)
			}
			for _, p := range r.HTTP.Paths {
				s := c.services[p.Backend.Service.Name]
				if s == nil || len(s.Spec.Ports) == 0 || s.Spec.Ports[0].Name != p.Backend.Service.Port.Name {
					t.Errorf("%s leads to %s, which is not there", name, p.Backend.Service.Name)
				}
			}
		}
		const nginx = "nginx.ingress.kubernetes.io/"
		for k, v := range map[string]string{"proxy-buffering": "off", "proxy-request-buffering": "off", "proxy-read-timeout": "3600", "proxy-send-timeout": "3600", "proxy-body-size": "30m"} {
			if got := in.Metadata.Annotations[nginx+k]; got != v {
				t.Errorf("%s: %s is %q: live streams or uploads would break", name, k, got)
			}
		}
	}
}

// checkPolicies holds the network policies against the ports that are there.
func checkPolicies(t *testing.T, c *cluster) {
	t.Helper()
	for name, d := range c.deployments {
		p := c.policies[name]
		if p == nil || !maps.Equal(p.Spec.PodSelector.MatchLabels, d.Spec.Template.Metadata.Labels) || !slices.Equal(p.Spec.Types, []string{"Ingress", "Egress"}) {
			t.Errorf("no policy guards %s both ways", name)
			continue
		}
		for _, in := range p.Spec.Ingress {
			for _, at := range in.Ports {
				if !slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(p port) bool { return p.ContainerPort == at.Port }) {
					t.Errorf("%s lets in at the port %d, where nobody listens", name, at.Port)
				}
			}
		}
		for _, out := range p.Spec.Egress {
			for _, to := range out.To {
				if to.Pods == nil || len(selected(c, to.Pods.MatchLabels)) != 1 {
					t.Errorf("%s may speak to pods that are not there", name)
				}
			}
		}
	}
}

// checkKonbit looks at what only the node's own deployment has.
func checkKonbit(t *testing.T, c *cluster) {
	t.Helper()
	d, data := c.deployments["konbit"], c.configs["konbit"].Data
	if d.Spec.Replicas < 3 || d.Spec.Strategy.RollingUpdate.MaxUnavailable != 1 || d.Spec.Strategy.RollingUpdate.MaxSurge != 0 || len(d.Spec.Template.Spec.Affinity.PodAntiAffinity.Preferred) == 0 {
		t.Error("three processes, one after the other, each on a machine of its own if possible: it is not so")
	}
	for _, term := range d.Spec.Template.Spec.Affinity.PodAntiAffinity.Preferred {
		if !maps.Equal(term.Term.LabelSelector.MatchLabels, d.Spec.Selector.MatchLabels) {
			t.Error("the anti-affinity is about other pods")
		}
	}
	k := d.Spec.Template.Spec.Containers[0]
	for name, path := range map[*probe]string{k.Startup: "/healthz", k.Liveness: "/healthz", k.Readiness: "/readyz"} {
		if name.HTTPGet.Path != path || name.HTTPGet.Port != "http" {
			t.Errorf("a probe asks %s at %s", name.HTTPGet.Path, name.HTTPGet.Port)
		}
	}
	if grace := d.Spec.Template.Spec.Grace; grace < k.Lifecycle.PreStop.Sleep.Seconds+30 {
		t.Errorf("a process that ends has %d s for everything", grace)
	}
	address := ""
	for _, e := range k.Env {
		if e.Name == "KONBIT_PROCESS_ADDRESS" {
			address = e.Value
		}
	}
	port := strconv.Itoa(portOf(d, "http"))
	if data["KONBIT_LISTEN"] != "0.0.0.0:"+port || address != "$(POD_IP):"+port {
		t.Errorf("it listens at %s, the others ask at %s, the port is %s", data["KONBIT_LISTEN"], address, port)
	}
	if nats := c.services["nats"]; data["KONBIT_NATS"] != fmt.Sprintf("nats://%s:%d", nats.Metadata.Name, nats.Spec.Ports[0].Port) {
		t.Errorf("KONBIT_NATS is %s", data["KONBIT_NATS"])
	}
	mounts := map[string]string{}
	for _, m := range k.Mounts {
		mounts[m.Name] = m.MountPath
	}
	if !strings.HasPrefix(data["KONBIT_DATA"], mounts["data"]+"/") || mounts["tmp"] != "/tmp" {
		t.Errorf("the data folder %s is not on the volume at %s, or there is no place for temporary files", data["KONBIT_DATA"], mounts["data"])
	}
	if got := c.claims["konbit-data"].Spec.AccessModes; !slices.Equal(got, []string{"ReadWriteMany"}) {
		t.Errorf("the data folder is for %v", got)
	}
	// Every file that a setting names is one of the secret's.
	files := c.secrets["konbit"].StringData
	_, root, _ := strings.Cut(data["KONBIT_STORE"], "sslrootcert=")
	for _, f := range []string{data["PGPASSFILE"], root} {
		if dir, file := path.Split(f); dir != mounts["secrets"]+"/" || files[file] == "" {
			t.Errorf("a setting names %s, which the secret does not hold", f)
		}
	}
	if !strings.Contains(read(t, "kubernetes/konbit.yaml"), "# KONBIT_KEYS_PASSPHRASE_FILE: "+mounts["secrets"]+"/keys-passphrase\n") || files["keys-passphrase"] == "" {
		t.Error("what opens the keys is named wrongly")
	}
}

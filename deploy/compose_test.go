package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// compose is what is used here of the Compose specification.
type compose struct {
	Name     string                    `yaml:"name"`
	Settings map[string]string         `yaml:"x-settings"`
	Services map[string]composeService `yaml:"services"`
	Networks map[string]struct {
		Internal bool `yaml:"internal"`
	} `yaml:"networks"`
	Volumes map[string]struct{} `yaml:"volumes"`
	Secrets map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
}

type composeService struct {
	Image       string            `yaml:"image"`
	Restart     string            `yaml:"restart"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	Secrets     []string          `yaml:"secrets"`
	Networks    []string          `yaml:"networks"`
	Ports       []string          `yaml:"ports"`
	DependsOn   map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
	Healthcheck *struct {
		Test     []string `yaml:"test"`
		Interval string   `yaml:"interval"`
		Timeout  string   `yaml:"timeout"`
		Retries  int      `yaml:"retries"`
	} `yaml:"healthcheck"`
	ShmSize         string   `yaml:"shm_size"`
	StopGracePeriod string   `yaml:"stop_grace_period"`
	ReadOnly        bool     `yaml:"read_only"`
	Tmpfs           []string `yaml:"tmpfs"`
	CapDrop         []string `yaml:"cap_drop"`
	SecurityOpt     []string `yaml:"security_opt"`
}

func readCompose(t *testing.T) (c compose) {
	t.Helper()
	decode(t, "compose/compose.yaml", read(t, "compose/compose.yaml"), &c)
	return c
}

// TestComposeHoldsTogether resolves every name in the Compose file.
func TestComposeHoldsTogether(t *testing.T) {
	c := readCompose(t)
	made := read(t, "compose/secrets.sh")
	for name, s := range c.Secrets {
		if !strings.Contains(made, ">"+s.File+"\n") {
			t.Errorf("secrets.sh does not make %s, the file of the secret %s", s.File, name)
		}
	}
	for name, s := range c.Services {
		pinned(t, "compose.yaml", s.Image)
		if s.Restart != "always" || len(s.Networks) == 0 {
			t.Errorf("%s does not come back after a crash, or is on no network", name)
		}
		for _, n := range s.Networks {
			if _, ok := c.Networks[n]; !ok {
				t.Errorf("%s: there is no network %s", name, n)
			}
		}
		for _, n := range s.Secrets {
			if _, ok := c.Secrets[n]; !ok {
				t.Errorf("%s: there is no secret %s", name, n)
			}
		}
		for _, v := range s.Volumes {
			from, to, ok := strings.Cut(v, ":")
			if _, named := c.Volumes[from]; !ok || !named && !strings.HasPrefix(from, "./") || !strings.HasPrefix(to, "/") {
				t.Errorf("%s: there is no volume %s", name, v)
			}
			if strings.HasPrefix(from, "./") {
				if _, err := os.Stat(filepath.Join("compose", from)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		for on, d := range s.DependsOn {
			other, ok := c.Services[on]
			if !ok || d.Condition == "service_healthy" && other.Healthcheck == nil {
				t.Errorf("%s waits for %s, which is not there or never says that it is well", name, on)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s is open to the network as it comes: %s", name, p)
			}
		}
		if h := s.Healthcheck; h != nil {
			for _, d := range []string{h.Interval, h.Timeout, s.StopGracePeriod} {
				if _, err := time.ParseDuration(d); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		for k, v := range s.Environment {
			if file, ok := strings.CutPrefix(v, "/run/secrets/"); ok && !slices.Contains(s.Secrets, file) {
				t.Errorf("%s: %s names the secret %s, which it does not get", name, k, file)
			}
		}
		if s.Image != "konbit:1" {
			continue
		}
		for key, prefix := range map[string]string{"KONBIT_STORE": "postgres://konbit@postgres:5432/konbit?", "KONBIT_NATS": "nats://nats:4222", "KONBIT_PROCESS_ADDRESS": name + ":8080", "PGPASSFILE": "/run/secrets/pgpass"} {
			if !strings.HasPrefix(s.Environment[key], prefix) {
				t.Errorf("%s: %s is %q", name, key, s.Environment[key])
			}
		}
		if !slices.Contains(s.Volumes, "data:/var/lib/konbit") || !s.ReadOnly || !slices.Equal(s.Tmpfs, []string{"/tmp"}) || !slices.Equal(s.CapDrop, []string{"ALL"}) {
			t.Errorf("%s does not share the data folder, or may write elsewhere", name)
		}
	}
	if !c.Networks["inside"].Internal {
		t.Error("the database's network leads out")
	}
	if pg := c.Services["postgres"]; slices.Contains(pg.Networks, "outside") || !strings.Contains(read(t, "compose/database.sh"), "/run/secrets/konbit-password") || !slices.Contains(pg.Secrets, "konbit-password") {
		t.Error("the database is reached from outside, or does not get the password of its role")
	}
}

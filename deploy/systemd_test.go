package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unit is a systemd unit: section, key, values in order.
type unit map[string]map[string][]string

// keys are those of systemd.unit(5), systemd.service(5) and systemd.exec(5) that are
// used here; one that is misspelt is not among them.
var keys = map[string][]string{
	"Unit": {"Description", "After", "Wants", "PartOf", "StartLimitIntervalSec"},
	"Service": {"Environment", "EnvironmentFile", "LoadCredential", "LoadCredentialEncrypted", "ExecStart", "Restart", "RestartSec", "TimeoutStopSec", "KillSignal",
		"User", "Group", "StateDirectory", "StateDirectoryMode", "WorkingDirectory", "UMask", "MemoryHigh", "MemoryMax", "LimitNOFILE",
		"NoNewPrivileges", "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs",
		"ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID",
		"LockPersonality", "MemoryDenyWriteExecute", "RemoveIPC", "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber", "CapabilityBoundingSet", "AmbientCapabilities"},
	"Install": {"WantedBy"},
}

// several are keys that may be given more than once.
var several = []string{"Environment", "SystemCallFilter", "LoadCredential"}

// values says what a key takes, as far as a wrong value would not show otherwise.
var values = []struct{ keys, take string }{
	{"NoNewPrivileges PrivateTmp PrivateDevices ProtectHome ProtectClock ProtectControlGroups ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables " +
		"RestrictNamespaces RestrictRealtime RestrictSUIDSGID LockPersonality MemoryDenyWriteExecute RemoveIPC", "yes|no"},
	{"Restart", "always|on-failure"},
	{"RestartSec TimeoutStopSec StartLimitIntervalSec LimitNOFILE", `\d+`},
	{"KillSignal", "SIGTERM"},
	{"StateDirectoryMode UMask", "0[0-7]{3}"},
	{"MemoryHigh MemoryMax", `\d+[MG]`},
	{"ProtectSystem", "strict"},
	{"ProtectProc", "invisible"},
	{"SystemCallErrorNumber", "EPERM"},
	{"LoadCredential LoadCredentialEncrypted", `[a-z-]+:/\S+`},
	{"Environment", `[A-Z_]+=\S+`},
	{"EnvironmentFile WorkingDirectory", `-?/\S+`},
}

func parseUnit(t *testing.T, name string) unit {
	t.Helper()
	u, section := unit{}, ""
	for n, line := range strings.Split(read(t, name), "\n") {
		at := fmt.Sprintf("%s:%d", name, n+1)
		switch line = strings.TrimSpace(line); {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			if keys[section] == nil || line != "["+section+"]" {
				t.Fatalf("%s: %s is no section", at, line)
			}
			if u[section] != nil {
				t.Errorf("%s: %s is there twice", at, line)
			}
			u[section] = map[string][]string{}
		default:
			key, value, ok := strings.Cut(line, "=")
			switch {
			case !ok || section == "" || strings.HasSuffix(line, `\`):
				t.Fatalf("%s: %q cannot be read", at, line)
			case !slices.Contains(keys[section], key):
				t.Errorf("%s: [%s] has no key %s", at, section, key)
			case len(u[section][key]) > 0 && !slices.Contains(several, key):
				t.Errorf("%s: %s is there twice", at, key)
			}
			for _, v := range values {
				if slices.Contains(strings.Fields(v.keys), key) && !regexp.MustCompile("^(?:"+v.take+")$").MatchString(value) {
					t.Errorf("%s: %s is no value of %s", at, value, key)
				}
			}
			u[section][key] = append(u[section][key], value)
		}
	}
	return u
}

// TestUnitsAreUnderstood reads the units strictly, and lets systemd read them where it
// is installed.
func TestUnitsAreUnderstood(t *testing.T) {
	one, each, all := parseUnit(t, "konbit.service"), parseUnit(t, "systemd/konbit@.service"), parseUnit(t, "systemd/konbit.target")
	flags := programFlags(t)["serve"]
	for name, u := range map[string]unit{"konbit.service": one, "konbit@.service": each} {
		start := strings.Fields(u["Service"]["ExecStart"][0])
		if start[0] != "/usr/local/bin/konbit" || start[1] != "serve" {
			t.Errorf("%s starts %v", name, start)
		}
		for _, w := range start[2:] {
			if flag, ok := strings.CutPrefix(w, "--"); ok && !slices.Contains(flags, flag) {
				t.Errorf("%s: konbit serve has no %s", name, w)
			}
		}
	}
	for _, key := range []string{"NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome", "MemoryDenyWriteExecute"} {
		if got := each["Service"][key]; !slices.Equal(got, []string{"yes"}) {
			t.Errorf("konbit@.service: %s is %v", key, got)
		}
	}
	if got := each["Service"]["ProtectSystem"]; !slices.Equal(got, []string{"strict"}) {
		t.Errorf("ProtectSystem is %v", got)
	}
	// What the two units protect is the same: who tightens one tightens the other.
	own := []string{"Environment", "EnvironmentFile", "LoadCredential", "ExecStart", "Restart"}
	rest := func(u unit) map[string][]string {
		m := maps.Clone(u["Service"])
		for _, k := range own {
			delete(m, k)
		}
		return m
	}
	if a, b := rest(one), rest(each); !maps.EqualFunc(a, b, slices.Equal) {
		t.Errorf("konbit.service and konbit@.service differ in more than %v:\n%v\n%v", own, a, b)
	}
	if !slices.Equal(each["Unit"]["PartOf"], []string{"konbit.target"}) || !slices.Equal(each["Install"]["WantedBy"], []string{"konbit.target"}) || all["Install"] == nil {
		t.Error("the target does not hold the processes together")
	}
	if !slices.Contains(each["Service"]["LoadCredential"], "konbit-pgpass:/etc/konbit/pgpass") || !slices.Contains(each["Service"]["Environment"], "PGPASSFILE=%d/konbit-pgpass") {
		t.Error("the password of the database does not come as a credential")
	}
	verify(t, "konbit.service", "systemd/konbit@.service", "systemd/konbit.target")
}

// verify lets systemd-analyze read the units. Without it nothing is left out: the
// parser above is the stricter of the two.
func verify(t *testing.T, names ...string) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd is not installed here: its own opinion of the units is not asked")
		return
	}
	stand, err := os.Executable() // for the program, which need not be installed
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, name := range names {
		text := strings.ReplaceAll(read(t, name), "/usr/local/bin/konbit", stand)
		base := filepath.Base(name)
		files := []string{base}
		if strings.Contains(base, "@") {
			base = strings.Replace(base, "@", "@8081", 1)
			files = append(files, base)
		}
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(folder, f), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		args = append(args, filepath.Join(folder, base))
	}
	out, err := exec.Command(tool, args...).CombinedOutput()
	var ours []byte // it speaks of other units of the machine as well
	for _, line := range strings.SplitAfter(string(out), "\n") {
		if strings.Contains(line, folder) || strings.Contains(line, "konbit") {
			ours = append(ours, line...)
		}
	}
	quiet(t, "systemd-analyze "+strings.Join(args, " "), ours, err)
}

// TestBalancersReachTheProcesses holds the balancers against the units and the
// containers.
func TestBalancersReachTheProcesses(t *testing.T) {
	cfg := parseProxy(t, "systemd/haproxy.cfg")
	enabled := ports(read(t, "README.md")+read(t, "../docs/operating.md"), "konbit@")
	if got := ports(strings.Join(cfg["backend processes"], "\n"), "127.0.0.1:"); len(got) < 2 || !slices.Equal(got, enabled) {
		t.Errorf("the balancer knows the ports %v, the documents start %v", got, enabled)
	}
	cfg = parseProxy(t, "compose/haproxy.cfg")
	services := regexp.MustCompile(`server \S+ (\S+):8080`).FindAllStringSubmatch(strings.Join(cfg["backend processes"], "\n"), -1)
	var names []string
	for _, m := range services {
		names = append(names, m[1])
	}
	var ours []string
	for name, s := range readCompose(t).Services {
		if s.Image == "konbit:1" {
			ours = append(ours, name)
		}
	}
	slices.Sort(ours)
	if slices.Sort(names); len(names) < 2 || !slices.Equal(names, ours) {
		t.Errorf("the balancer knows %v, the processes are %v", names, ours)
	}
}

// parseProxy reads a configuration of HAProxy: the lines of each section.
func parseProxy(t *testing.T, name string) map[string][]string {
	t.Helper()
	known := map[string][]string{
		"global":    {"log", "user", "group", "maxconn", "ssl-default-bind-options"},
		"defaults":  {"mode", "log", "option", "timeout", "retries"},
		"resolvers": {"nameserver", "hold"},
		"frontend":  {"bind", "http-request", "default_backend"},
		"backend":   {"balance", "option", "http-check", "default-server", "server"},
	}
	out, section, kind := map[string][]string{}, "", ""
	for n, line := range strings.Split(read(t, name), "\n") {
		w := strings.Fields(line)
		switch {
		case len(w) == 0 || strings.HasPrefix(w[0], "#"):
		case line[0] != '\t':
			if section, kind = strings.Join(w, " "), w[0]; known[kind] == nil {
				t.Fatalf("%s:%d: %s is no section", name, n+1, line)
			}
			out[section] = []string{}
		case !slices.Contains(known[kind], w[0]):
			t.Errorf("%s:%d: %s is not known in %s", name, n+1, w[0], section)
		default:
			out[section] = append(out[section], strings.Join(w, " "))
		}
	}
	for section, wanted := range map[string][]string{
		"defaults":          {"mode http", "timeout client 10m", "timeout server 10m", "option redispatch"},
		"frontend konbit":   {"http-request set-header X-Forwarded-For %[src]", "default_backend processes"},
		"backend processes": {"option httpchk GET /readyz", "http-check expect status 200"},
	} {
		for _, line := range wanted {
			if !slices.Contains(out[section], line) {
				t.Errorf("%s: %s lacks %q", name, section, line)
			}
		}
	}
	for _, line := range slices.Concat(out["defaults"], out["backend processes"]) {
		if strings.Contains(line, "http-buffer-request") || strings.HasPrefix(line, "cookie") || strings.Contains(line, "balance source") {
			t.Errorf("%s: %q buffers requests, or binds a person to a process", name, line)
		}
	}
	return out
}

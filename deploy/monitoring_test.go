package deploy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"konbit/node"
)

// told is what a running node tells: the labels of each figure, and the routes that
// were asked.
type told struct {
	labels map[string][]string
	routes []string
}

// ask starts a node and reads its figures.
func ask(t *testing.T) told {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), node.Config{Data: t.TempDir(), URL: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx, l) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	var text string
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/metrics"} { // what was counted shows at the next look
		res, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s answers %s: %v", path, res.Status, err)
		}
		text = string(b)
	}
	out := told{labels: map[string][]string{}}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? \S+$`).FindAllStringSubmatch(text, -1) {
		name := m[1]
		for _, l := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(out.labels[name], l[1]) {
				out.labels[name] = append(out.labels[name], l[1])
			}
			if l[1] == "route" && !slices.Contains(out.routes, l[2]) {
				out.routes = append(out.routes, l[2])
			}
		}
		if out.labels[name] == nil {
			out.labels[name] = []string{}
		}
	}
	return out
}

// Words of PromQL that are used here, and figures that others than konbit tell.
var (
	words = []string{"by", "on", "and", "or", "unless", "sum", "max", "min", "count", "rate", "increase", "delta", "deriv", "changes", "min_over_time", "max_over_time",
		"histogram_quantile", "predict_linear", "label_values"}
	// Seen at postgres_exporter 0.11.1 and node_exporter 1.5.0, which Debian 12 has, and at
	// Prometheus itself.
	others = []string{"up", "pg_up", "pg_settings_in_hot_standby", "pg_settings_max_connections", "pg_stat_replication_pg_wal_lsn_diff", "pg_stat_activity_count",
		"pg_stat_database_xact_commit", "pg_stat_database_xact_rollback", "pg_stat_database_blks_hit", "pg_stat_database_blks_read", "pg_database_size_bytes",
		"node_filesystem_avail_bytes", "node_filesystem_size_bytes"}
	given = []string{"job", "instance"} // labels that Prometheus adds
)

// checkExpr looks up every figure and label of an expression.
func checkExpr(t *testing.T, where, expr string, has told) {
	t.Helper()
	if strings.Count(expr, "(") != strings.Count(expr, ")") || strings.Count(expr, "{") != strings.Count(expr, "}") || strings.Count(expr, `"`)%2 != 0 {
		t.Errorf("%s: brackets or quotes do not match: %s", where, expr)
	}
	selectors := regexp.MustCompile(`(\w+)\{([^}]*)\}`)
	for _, m := range selectors.FindAllStringSubmatch(expr, -1) {
		if slices.Contains(others, m[1]) {
			continue
		}
		for _, l := range regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`).FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(has.labels[m[1]], l[1]) && !slices.Contains(given, l[1]) {
				t.Errorf("%s: %s has no label %s", where, m[1], l[1])
			}
			if l[1] != "route" || strings.Contains(l[3], "$") {
				continue
			}
			for route := range strings.SplitSeq(l[3], "|") {
				if !slices.Contains(has.routes, route) {
					t.Errorf("%s: there is no route %s", where, route)
				}
			}
		}
	}
	rest := selectors.ReplaceAllString(expr, "$1")
	rest = regexp.MustCompile(`\[[^\]]*\]|"[^"]*"|\b(by|on) \([^)]*\)`).ReplaceAllString(rest, " ")
	figures := 0
	for _, name := range regexp.MustCompile(`\b[a-zA-Z_]\w*`).FindAllString(rest, -1) {
		switch {
		case slices.Contains(words, name):
		case has.labels[name] != nil, slices.Contains(others, name):
			figures++
		case regexp.MustCompile(`(?i)^e\d+$`).MatchString(name):
		case strings.HasPrefix(expr, "label_values(") && (slices.Contains(given, name) || name == "route" || name == "datname"):
		default:
			t.Errorf("%s: nobody tells %s", where, name)
		}
	}
	if figures == 0 {
		t.Errorf("%s asks for nothing: %s", where, expr)
	}
}

// TestAlertsAskForWhatIsTold reads the alert rules and the configuration beside them.
func TestAlertsAskForWhatIsTold(t *testing.T) {
	has := ask(t)
	var rules struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				For         string            `yaml:"for"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	decode(t, "alerts.yaml", read(t, "monitoring/alerts.yaml"), &rules)
	seen := map[string]bool{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if seen[r.Alert] || r.Alert == "" {
				t.Errorf("the alert %q is there twice, or has no name", r.Alert)
			}
			seen[r.Alert] = true
			checkExpr(t, r.Alert, r.Expr, has)
			if r.For != "" {
				if _, err := time.ParseDuration(r.For); err != nil {
					t.Errorf("%s: %v", r.Alert, err)
				}
			}
			if s := r.Labels["severity"]; s != "warning" && s != "critical" || r.Annotations["summary"] == "" {
				t.Errorf("%s does not say how bad it is, or what", r.Alert)
			}
		}
	}
	for _, wanted := range []string{"KonbitNoDuty", "KonbitBusAway", "KonbitQueueGrows", "KonbitErrors", "KonbitNotReady", "KonbitSavesNothing", "KonbitLedgerShorter", "DiskFull"} {
		if !seen[wanted] {
			t.Errorf("there is no alert %s", wanted)
		}
	}

	var c struct {
		Global struct {
			ScrapeInterval     string `yaml:"scrape_interval"`
			EvaluationInterval string `yaml:"evaluation_interval"`
		} `yaml:"global"`
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string `yaml:"job_name"`
			Authorization struct {
				CredentialsFile string `yaml:"credentials_file"`
			} `yaml:"authorization"`
			StaticConfigs []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	text := read(t, "monitoring/prometheus.yaml")
	decode(t, "prometheus.yaml", text, &c)
	if !slices.Equal(c.RuleFiles, []string{"alerts.yaml"}) || c.ScrapeConfigs[0].JobName != "konbit" || c.ScrapeConfigs[0].Authorization.CredentialsFile == "" {
		t.Errorf("the alerts would not be heard: %+v", c)
	}
	var want []string
	for _, p := range ports(strings.Join(parseProxy(t, "systemd/haproxy.cfg")["backend processes"], "\n"), "127.0.0.1:") {
		want = append(want, fmt.Sprintf("127.0.0.1:%d", p))
	}
	if got := c.ScrapeConfigs[0].StaticConfigs[0].Targets; !slices.Equal(got, want) {
		t.Errorf("Prometheus asks %v, the processes are %v", got, want)
	}
}

// TestDashboardShowsWhatIsTold reads the dashboard.
func TestDashboardShowsWhatIsTold(t *testing.T) {
	has := ask(t)
	var d struct {
		Title      string `json:"title"`
		UID        string `json:"uid"`
		Templating struct {
			List []struct {
				Name       string `json:"name"`
				Definition string `json:"definition"`
			} `json:"list"`
		} `json:"templating"`
		Panels []struct {
			ID      int    `json:"id"`
			Type    string `json:"type"`
			Title   string `json:"title"`
			GridPos struct{ X, Y, W, H int }
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, "monitoring/grafana.json")), &d); err != nil {
		t.Fatal(err)
	}
	if d.Title == "" || d.UID == "" {
		t.Error("the dashboard has no name")
	}
	variables := []string{"__rate_interval"}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if v.Definition != "" {
			checkExpr(t, "variable "+v.Name, v.Definition, has)
		}
	}
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("the panel %q has the number of another, or no title", p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("the panel %q lies on %q, or beside the page", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if len(p.Targets) == 0 && p.Type != "row" {
			t.Errorf("the panel %q shows nothing", p.Title)
		}
		for _, q := range p.Targets {
			checkExpr(t, p.Title, q.Expr, has)
			for _, m := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(q.Expr, -1) {
				if !slices.Contains(variables, m[1]) {
					t.Errorf("%s: there is no variable %s", p.Title, m[1])
				}
			}
		}
	}
}

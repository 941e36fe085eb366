package deploy_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"konbit/store/postgres/pgtest"
)

// TestPostgreSQLTakesTheSettings has a real server read each setting, without living by it.
func TestPostgreSQLTakesTheSettings(t *testing.T) {
	s := pgtest.Start(t)
	line := regexp.MustCompile(`^([a-z_]+) = (\S.*)$`)
	values := map[string]string{}
	for n, l := range strings.Split(read(t, "postgresql/konbit.conf"), "\n") {
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil || values[m[1]] != "" {
			t.Fatalf("konbit.conf:%d: %q cannot be read, or is there twice", n+1, l)
		}
		values[m[1]] = m[2]
		s.Do("postgres", "ALTER SYSTEM SET "+m[1]+" = "+m[2]) // fails of a name or a value that is none
	}
	for name, want := range map[string]string{"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "wal_level": "replica", "autovacuum": "on"} {
		if values[name] != want {
			t.Errorf("%s is %q", name, values[name])
		}
	}
	most, err := strconv.Atoi(values["max_connections"])
	if err != nil || most < 3*35+20 {
		t.Errorf("max_connections is %q, too few for three processes and who else comes", values["max_connections"])
	}
}

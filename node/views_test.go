package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"konbit/account"
	"konbit/desk"
	"konbit/intake"
	"konbit/kerneltest"
	"konbit/node"
	"konbit/record"
)

func TestViewsShowWhatEveryColleagueMaySeeAndNoMore(t *testing.T) {
	h := newHouse(t)
	h.people()
	n, err := node.Open(t.Context(), node.Config{Data: h.data, Store: h.store, Hash: account.HashCost{Memory: 8, Passes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	give := func(title string, change func(*intake.Command)) record.ID {
		t.Helper()
		id := kerneltest.ID()
		c := report(id, title)
		c.Draft.Place = &record.Place{Geometry: record.Point(-72.33, 18.54), Uncertainty: 50, PCode: "HT0111"}
		change(c)
		if _, err := n.Intake.Do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		return id
	}
	give("shown", func(*intake.Command) {})
	give("red", func(c *intake.Command) { c.Draft.Marking.TLP = record.Red })
	give("protected", func(c *intake.Command) { c.Draft.Marking.Caveats = []string{"victim"} })
	give("of another", func(c *intake.Command) {
		by := *ana
		by.Agency = "ht.pnh"
		c.By = &by
	})
	erased := give("erased", func(*intake.Command) {})
	if _, err := n.Intake.Do(t.Context(), &intake.Command{ID: kerneltest.ID(), Kind: "incident", Name: desk.Erase, Record: erased, By: ana, Note: "asked for"}); err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.Connect(t.Context(), h.store)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	role := "gis_" + strings.ReplaceAll(kerneltest.ID().String(), "-", "")
	if _, err := admin.Exec(t.Context(), "CREATE ROLE "+role+" LOGIN"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c, err := pgx.Connect(t.Context(), h.store)
		if err == nil {
			c.Exec(t.Context(), "DROP OWNED BY "+role+"; DROP ROLE "+role)
			c.Close(t.Context())
		}
	})
	withShape := "geojson::jsonb->>'type'"
	if _, err := admin.Exec(t.Context(), "CREATE EXTENSION postgis"); err == nil {
		withShape = "ST_GeometryType(geom)"
	} else {
		t.Log("without PostGIS:", err)
	}
	for _, roles := range [][]string{{role}, nil} { // again, as after an upgrade: the role stays
		if _, got, err := n.ShareViews(t.Context(), "ht.cc", roles); err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
	}
	reader, err := pgx.Connect(t.Context(), strings.Replace(h.store, "postgres@", role+"@", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(t.Context())
	var titles, shape, severity string
	var observed time.Time
	if err := reader.QueryRow(t.Context(), "SELECT string_agg(title, ','), max("+withShape+"), max(severity), max(observed) FROM konbit_ht_cc.incident").Scan(&titles, &shape, &severity, &observed); err != nil {
		t.Fatal(err)
	}
	if titles != "shown" || !strings.HasSuffix(shape, "Point") || severity != "moderate" || time.Since(observed).Abs() > time.Minute {
		t.Errorf("%q %q %q %s", titles, shape, severity, observed)
	}
	for _, q := range []string{"SELECT count(*) FROM record", "SELECT count(*) FROM entry", "SELECT count(*) FROM account_session", "DELETE FROM konbit_ht_cc.incident"} {
		if _, err := reader.Exec(t.Context(), q); err == nil {
			t.Errorf("it may %s", q)
		}
	}
	if err := n.DropViews(t.Context(), "ht.cc"); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), "SELECT 1 FROM konbit_ht_cc.incident"); err == nil {
		t.Error("the views are still there")
	}
	if _, _, err := n.ShareViews(t.Context(), "ht.cc", []string{"nobody_of_that_name"}); record.CodeOf(err) != record.NotFound {
		t.Error(err)
	}
}

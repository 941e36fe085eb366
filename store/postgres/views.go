package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"konbit/record"
)

// View is one kind as people with GIS and BI tools see it.
type View struct {
	Kind    string
	Columns []Column // of the body
}

// Column is a member of a body. Type is text, integer, number, flag, time or json.
type Column struct{ Name, Type string }

// ViewSchema is the name of the database schema with an agency's views.
func ViewSchema(agency string) string { return "konbit_" + strings.ReplaceAll(agency, ".", "_") }

// ShareViews makes a schema with one read-only view per kind of what an agency
// itself recorded, in place of an older one, and lets roles of the database read it:
// those given, and those that could read the older one. It returns all of them.
//
// A view asks nobody who he is, so it shows only what every colleague may see: the
// newest versions of the agency's own records, none with a handling caveat and none
// that are RED. Where PostGIS is installed, geom is a geometry in WGS 84 (EPSG 4326),
// otherwise geojson is the same as text.
func (db *DB) ShareViews(ctx context.Context, agency string, views []View, roles []string) (all []string, err error) {
	err = db.write(ctx, func(tx pgx.Tx) error {
		var geometry string // the schema that PostGIS is in
		if err := tx.QueryRow(ctx, "SELECT coalesce((SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'postgis'), '')").Scan(&geometry); err != nil {
			return err
		}
		schema := ViewSchema(agency)
		if err := eachOn(ctx, tx, "SELECT DISTINCT grantee FROM information_schema.role_table_grants WHERE table_schema = $1 AND grantee <> current_user", []any{schema}, func(r pgx.Rows) error {
			var role string
			err := r.Scan(&role)
			all = append(all, role)
			return err
		}); err != nil {
			return err
		}
		all = append(all, roles...)
		slices.Sort(all)
		all = slices.Compact(all)
		for _, role := range roles {
			var there bool
			if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&there); err != nil {
				return err
			}
			if !there {
				e := record.Errorf(record.NotFound, "views", "the database has no role %.60q", role)
				e.Hint = "CREATE ROLE ... LOGIN PASSWORD ..., in the database, as its administrator"
				return e
			}
		}
		name := ident(schema)
		stmts := []string{"DROP SCHEMA IF EXISTS " + name + " CASCADE", "CREATE SCHEMA " + name}
		for _, v := range views {
			stmts = append(stmts, v.sql(schema, agency, geometry))
		}
		for _, role := range all {
			stmts = append(stmts, "GRANT USAGE ON SCHEMA "+name+" TO "+ident(role), "GRANT SELECT ON ALL TABLES IN SCHEMA "+name+" TO "+ident(role))
		}
		for _, q := range stmts {
			if _, err := tx.Exec(ctx, q, pgx.QueryExecModeSimpleProtocol); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// DropViews takes the views of an agency away from everybody.
func (db *DB) DropViews(ctx context.Context, agency string) error {
	return db.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "DROP SCHEMA IF EXISTS "+ident(ViewSchema(agency))+" CASCADE")
		return err
	})
}

func ident(s string) string { return pgx.Identifier{s}.Sanitize() }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// header are the columns that every view begins with.
var header = []string{"id", "version", "state", "author", "observed", "recorded", "title", "tlp", "released_to", "uncertainty_m", "pcode", "place_words", "geom", "geojson"}

// sql makes the view.
func (v *View) sql(schema, agency, geometry string) string {
	moment := func(col string) string {
		return fmt.Sprintf("'epoch'::timestamptz + r.%s * interval '1 microsecond'", col)
	}
	shape := "j.v->'place'->'geometry' #>> '{}' AS geojson"
	if geometry != "" {
		shape = fmt.Sprintf("%[1]s.ST_SetSRID(%[1]s.ST_GeomFromGeoJSON(j.v->'place'->>'geometry'), 4326)::%[1]s.geometry(Geometry, 4326) AS geom", geometry)
	}
	columns := []string{"r.id", "r.version", "st.s AS state", "au.s AS author", moment("observed") + " AS observed", moment("recorded") + " AS recorded",
		"r.title", "m.tlp", "m.audience AS released_to", "r.uncertainty AS uncertainty_m", "j.v->'place'->>'pcode' AS pcode", "j.v->'place'->>'words' AS place_words", shape}
	for _, c := range v.Columns {
		as := c.Name
		if slices.Contains(header, as) {
			as = "body_" + as
		}
		at := "j.v->'body'->>" + literal(c.Name)
		if path := strings.Split(c.Name, "."); len(path) > 1 {
			at = "j.v->'body' #>> " + literal("{"+strings.Join(path, ",")+"}")
			as = strings.Join(path, "_")
		}
		switch c.Type {
		case "integer":
			at = "(" + at + ")::numeric::bigint"
		case "number":
			at = "(" + at + ")::float8"
		case "flag":
			at = "(" + at + ")::boolean"
		case "time":
			at = "(" + at + ")::timestamptz"
		case "json":
			at = "(" + at + ")::jsonb"
		}
		columns = append(columns, at+" AS "+ident(as))
	}
	return "CREATE VIEW " + ident(schema) + "." + ident(strings.ReplaceAll(v.Kind, ".", "_")) + " WITH (security_barrier) AS SELECT " + strings.Join(columns, ",\n\t") + `
FROM record r JOIN marking m ON m.n = r.marking JOIN name st ON st.n = r.state JOIN name au ON au.n = r.author JOIN entry e ON e.seq = r.entry
	CROSS JOIN LATERAL (SELECT convert_from(e.content, 'UTF8')::jsonb AS v) j
WHERE r.kind = (SELECT n FROM name WHERE s = ` + literal(v.Kind) + `) AND m.owner = ` + literal(agency) + ` AND m.caveats = '' AND m.tlp <> 'RED' AND e.content IS NOT NULL`
}

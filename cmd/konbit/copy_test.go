package main

import (
	"strings"
	"testing"
)

func TestStoreIsNamedWithoutItsPassword(t *testing.T) {
	for spec, want := range map[string]string{
		"sqlite:data/konbit.db":                                   "sqlite:data/konbit.db",
		"postgres://ana:sesame@db.example:5432/konbit?sslmode=x":  "postgres://ana@db.example:5432/konbit",
		"postgres://one,two/konbit?user=ana&password=sesame":      "postgres://one,two/konbit",
		"postgres:///konbit?host=/run/postgresql&password=sesame": "postgres:///konbit",
		"postgres://ana:sesame@db:port/konbit":                    "(a store that cannot be read)",
		"host=db password=sesame":                                 "(a store that cannot be read)",
		"sesame":                                                  "(a store that cannot be read)",
	} {
		if got := storeName(spec); got != want || strings.Contains(got, "sesame") {
			t.Errorf("%s is named %s, want %s", spec, got, want)
		}
	}
}

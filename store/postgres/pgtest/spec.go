package pgtest

import (
	"os"
	"testing"
)

// Spec says on which store a test is to run that runs on both engines: with
// KONBIT_TEST_STORE=postgres an empty database, otherwise "", the file of the node's
// folder.
func Spec(t testing.TB) string {
	if os.Getenv("KONBIT_TEST_STORE") != "postgres" {
		return ""
	}
	return URL(t)
}

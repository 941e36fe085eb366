package sitrep_test

import (
	"testing"

	"konbit/desks/sitrep"
	"konbit/desktest"
)

func TestDesk(t *testing.T) { desktest.Run(t, sitrep.New()) }

func FuzzDecode(f *testing.F) { desktest.Fuzz(f, sitrep.New()) }

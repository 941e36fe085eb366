package missing_test

import (
	"testing"

	"konbit/desks/missing"
	"konbit/desktest"
)

func TestDesk(t *testing.T) { desktest.Run(t, missing.New()) }

func FuzzDecode(f *testing.F) { desktest.Fuzz(f, missing.New()) }

package alert_test

import (
	"testing"

	"konbit/desks/alert"
	"konbit/desktest"
)

func TestDesk(t *testing.T) { desktest.Run(t, alert.New()) }

func FuzzDecode(f *testing.F) { desktest.Fuzz(f, alert.New()) }

package incident_test

import (
	"testing"

	"konbit/desks/incident"
	"konbit/desktest"
)

func TestDesk(t *testing.T) { desktest.Run(t, incident.New()) }

func FuzzDecode(f *testing.F) { desktest.Fuzz(f, incident.New()) }

package desks_test

import (
	"testing"

	"konbit/desk"
	"konbit/desks"
)

func TestDesksFitTogether(t *testing.T) {
	if _, err := desk.NewSet(desks.All()...); err != nil {
		t.Fatal(err)
	}
}

func TestNodesShareNoDesk(t *testing.T) {
	a, b := desks.All(), desks.All()
	for i := range a {
		if a[i] == b[i] || a[i].Kinds[0] == b[i].Kinds[0] {
			t.Errorf("%s is shared by two nodes", a[i].Name)
		}
	}
}

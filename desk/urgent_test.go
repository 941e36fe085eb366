package desk

import "testing"

func TestUrgentIsWhatTheBodySays(t *testing.T) {
	never := kind(Columns("title"))
	if never.CanBeUrgent() || never.IsUrgent(&body{}) {
		t.Error("a kind that declares nothing is urgent")
	}
	always := kind(Columns("title"), Urgent())
	if !always.CanBeUrgent() || !always.IsUrgent(&body{}) {
		t.Error("a kind that is always urgent is not")
	}
	k := kind(Columns("title"), UrgentWhen(func(b *body) bool { return b.Title == "fire" }))
	if !k.CanBeUrgent() || !k.IsUrgent(&body{Title: "fire"}) || k.IsUrgent(&body{Title: "smoke"}) {
		t.Error("UrgentWhen does not ask the body")
	}
	defer func() {
		if recover() == nil {
			t.Error("UrgentWhen for another body was accepted")
		}
	}()
	kind(Columns("title"), UrgentWhen(func(*inner) bool { return true }))
}

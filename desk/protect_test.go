package desk_test

import (
	"slices"
	"testing"

	"konbit/desk"
)

type guarded struct {
	Harm  bool `json:"harm,omitempty"`
	Child bool `json:"child,omitempty"`
}

func guardedKind(opts ...desk.Option) *desk.Kind {
	return desk.KindOf[guarded]("guarded", append([]desk.Option{
		desk.Path("open"), desk.Flow{"open": {}}, desk.KeepYears(1),
	}, opts...)...)
}

func TestCaveatsFollowFromKindAndBody(t *testing.T) {
	k := guardedKind(
		desk.Protected("source"),
		desk.ProtectWhen(func(g *guarded) []string {
			if g.Harm {
				return []string{"victim", "source"}
			}
			return nil
		}),
		desk.ProtectWhen(func(g *guarded) []string {
			if g.Child {
				return []string{"juvenile"}
			}
			return nil
		}))
	for raw, want := range map[string][]string{
		`{}`:                          {"source"},
		`{"harm":true}`:               {"source", "victim"},
		`{"harm":true,"child":true}`:  {"juvenile", "source", "victim"},
		`{"harm":false,"child":true}`: {"juvenile", "source"},
	} {
		body, _, fields := k.Decode([]byte(raw))
		if len(fields) > 0 {
			t.Fatal(fields)
		}
		if got := k.CaveatsFor(body); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", raw, got, want)
		}
	}
}

func TestProtectWhenRefusesAnotherBody(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a guard for another body was accepted")
		}
	}()
	guardedKind(desk.ProtectWhen(func(*struct{}) []string { return nil }))
}

package desk

import (
	"fmt"
	"reflect"
	"slices"
)

// ProtectWhen puts caveats on a record according to what its body says, so that
// a victim is protected by what was reported and not by the memory of whoever
// typed it. fn is asked at every create and edit; it must be pure, and it can
// only add to the marking. T is the kind's body.
func ProtectWhen[T any](fn func(*T) []string) Option {
	return option(func(k *Kind) {
		if t := reflect.TypeFor[T](); t != k.schema.typ {
			panic(fmt.Sprintf("desk: kind %s: ProtectWhen is for %v, the body is %v", k.Name, t, k.schema.typ))
		}
		k.guards = append(k.guards, func(body any) []string { return fn(body.(*T)) })
	})
}

// CaveatsFor lists the caveats that a record of the kind with this body must
// carry, sorted. body is what Decode or Parse returned.
func (k *Kind) CaveatsFor(body any) []string {
	out := slices.Clone(k.Protect)
	for _, g := range k.guards {
		out = append(out, g(body)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Flags names the header flags that the desk's own handlers set, so that each
// has a label "flag.KIND.FLAG".
func Flags(names ...string) Option {
	return option(func(k *Kind) { k.Flags = append(k.Flags, names...) })
}

package desk

import (
	"fmt"
	"reflect"
)

// Urgent says that every record of the kind overtakes what waits for a node
// behind a slow link: an alert, an order to leave.
func Urgent() Option {
	return option(func(k *Kind) { k.urgent = append(k.urgent, func(any) bool { return true }) })
}

// UrgentWhen is Urgent for the records whose body says so: an emergency among
// reports. fn must be pure. T is the kind's body.
func UrgentWhen[T any](fn func(*T) bool) Option {
	return option(func(k *Kind) {
		if t := reflect.TypeFor[T](); t != k.schema.typ {
			panic(fmt.Sprintf("desk: kind %s: UrgentWhen is for %v, the body is %v", k.Name, t, k.schema.typ))
		}
		k.urgent = append(k.urgent, func(body any) bool { return fn(body.(*T)) })
	})
}

// CanBeUrgent reports whether any record of the kind can be urgent, so that the
// bodies of others need not be read to know.
func (k *Kind) CanBeUrgent() bool { return len(k.urgent) > 0 }

// IsUrgent reports whether a record of the kind with this body overtakes the
// others. body is what Decode or Parse returned.
func (k *Kind) IsUrgent(body any) bool {
	for _, u := range k.urgent {
		if u(body) {
			return true
		}
	}
	return false
}

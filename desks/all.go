// Package desks is the list of desks that a node offers: one folder and one
// line each. It must hold nothing else.
package desks

import (
	"konbit/desk"
	"konbit/desks/alert"
	"konbit/desks/answer"
	"konbit/desks/incident"
	"konbit/desks/missing"
	"konbit/desks/sitrep"
)

// All makes the desks anew for each caller: a node writes into the kinds that it
// runs, and several nodes may live in one process.
func All() []*desk.Desk {
	return []*desk.Desk{
		incident.New(),
		missing.New(),
		alert.New(),
		sitrep.New(),
		answer.New(),
	}
}

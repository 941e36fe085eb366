package desk

import (
	"encoding/json"
	"time"

	"konbit/record"
)

// Change is what a command's handler works on. It may change Body and the
// header's State, Place, Links, Flags and Observed; everything else is the
// kernel's.
type Change[T any] struct {
	Now    time.Time
	Actor  string // "agency/name"
	Agency string
	From   string // the state before the command
	Record *record.Record
	Body   *T
	Get    Getter
}

// Getter reads another record with the actor's rights.
type Getter func(kind string, id record.ID) (*record.Record, error)

// Acting is a Change before the body's type is known. The kernel makes it.
type Acting struct {
	Now    time.Time
	Actor  string
	Agency string
	From   string // the state before the command
	Record *record.Record
	Get    Getter
}

type handler struct {
	args *schema
	run  func(a *Acting, args json.RawMessage) error
}

// Handle gives a workflow command a function of its own. A is the struct of its
// arguments, with the same tags as a body; struct{} for none. The workflow has
// already moved Record.State; fn may move it elsewhere.
func Handle[T, A any](command string, fn func(*Change[T], A) error) Option {
	return option(func(k *Kind) {
		args := schemaOf[A](command)
		k.handlers[command] = handler{args, func(a *Acting, raw json.RawMessage) error {
			var body T
			if err := json.Unmarshal(a.Record.Body, &body); err != nil {
				return &record.Error{Code: record.Corrupt, Op: k.Name + "." + command, Message: "the stored body cannot be read", Err: err}
			}
			if len(raw) == 0 || string(raw) == "null" {
				raw = json.RawMessage("{}")
			}
			v, fields := args.decode(raw, "args")
			if err := fields.Err(k.Name + "." + command); err != nil {
				return err
			}
			c := &Change[T]{a.Now, a.Actor, a.Agency, a.From, a.Record, &body, a.Get}
			if err := fn(c, *v.(*A)); err != nil {
				return err
			}
			b, err := json.Marshal(&body)
			if err != nil {
				return err
			}
			a.Record.Body = b
			return nil
		}}
	})
}

// Run calls the command's handler, if it has one. Arguments for a command that
// takes none are refused.
func (k *Kind) Run(command string, a *Acting, args json.RawMessage) error {
	h, ok := k.handlers[command]
	if !ok {
		if len(args) > 0 && string(args) != "{}" && string(args) != "null" {
			return record.Fields{{Path: "args", Code: "unknown", Message: "this command takes no arguments"}}.Err(k.Name + "." + command)
		}
		return nil
	}
	return h.run(a, args)
}

// Args lists the argument fields of a command.
func (k *Kind) Args(command string) []Field {
	if h, ok := k.handlers[command]; ok {
		return h.args.fields
	}
	return nil
}

// ArgsSchema returns the JSON Schema of a command's arguments, nil when it takes none.
func (k *Kind) ArgsSchema(command string) map[string]any {
	if h, ok := k.handlers[command]; ok && len(h.args.fields) > 0 {
		return h.args.json
	}
	return nil
}

// Reaction turns an event into commands. Do is called after the event is on
// disk, possibly more than once for the same event: the commands it returns
// carry identifiers derived from the event, so that a repeat is harmless.
type Reaction struct {
	Name    string        // unique within the desk
	Kind    string        // the kind whose changes it watches
	Command string        // the command, "" for all
	After   time.Duration // wait this long, then look at the record as it is then

	// At waits until a time that the record names, zero for never, and then looks
	// at it as it is then; instead of After. After a restart only records in an
	// open state are waited for.
	At func(*record.Record) time.Time

	// Foreign looks at records of every agency, so that an answer may move on what
	// it answers: Kind answers other records, and the orders are given to the record
	// that the answer links to, for that record's owner, and to no other. They count
	// only when the owner serves from this node and may see the answer, and the
	// answer's agency may give it. Find is nil.
	Foreign bool

	Do func(Event) ([]Order, error)
}

// Event is a change that a Reaction looks at.
type Event struct {
	Now    time.Time
	Record *record.Record // as it is now
	Find   Finder
}

// Finder lists up to 100 records of a kind in the same agency whose facet
// fields equal the given values, newest first.
type Finder func(kind string, equal map[string]string) ([]*record.Record, error)

// Order is a command that a Reaction gives.
type Order struct {
	Kind    string
	ID      record.ID
	Command string
	Note    string
	Args    any
}

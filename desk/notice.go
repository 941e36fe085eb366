package desk

import (
	"fmt"
	"reflect"
	"time"

	"konbit/record"
)

// Public is the header flag of a record of which the public sees something. The
// commands that publish set it, the ones that end it leave it as long as a page should
// say that it has ended.
const Public = "public"

// The sorts of notices: the parts of the public pages, and their feeds.
const (
	Alerts = "alerts"
	People = "people"
)

// Notice is what the public sees of a record: exactly this. Nothing else of the record
// leaves by the public pages and feeds.
type Notice struct {
	Sort    string    // Alerts or People
	Rank    int       // the higher, the further up
	Since   time.Time // of what it tells
	Until   time.Time // it is taken away then; zero: when a command says so
	Areas   []string  // words for where it is about
	PCodes  []string
	Photo   string // hash of an attachment of the record; "": none
	Contact string // whom to tell

	// What is read, by language. What is not said in the reader's language is shown in
	// the one that there is.
	Title Text
	Text  Text
	Facts []Fact

	// Ended says that it is over: a key of the desk's labels. Title, Text, Facts, Photo
	// and Contact of such a notice are not shown, whatever they hold.
	Ended string

	// Documents are the same in formats for programs, such as a CAP message.
	Documents []Document
}

// Fact is a line of a notice: a label of the desk, and what stands behind it.
type Fact struct {
	Label string // key of the desk's labels, "field.missing.person.clothing"
	Text  Text
}

// Document is a notice for programs.
type Document struct {
	Type string // media type
	Body []byte
}

// Say is a text that is the same in every language.
func Say(s string) Text { return Text{s, s, s, s} }

// Publish declares what the public sees of a record of the kind: fn is asked for each new
// version of a record with the flag Public, and returns nil for nothing. It must be pure.
// T is the kind's body.
func Publish[T any](fn func(*T, *record.Record) *Notice) Option {
	return option(func(k *Kind) {
		if t := reflect.TypeFor[T](); t != k.schema.typ {
			panic(fmt.Sprintf("desk: kind %s: Publish is for %v, the body is %v", k.Name, t, k.schema.typ))
		}
		k.publish = func(body any, r *record.Record) *Notice { return fn(body.(*T), r) }
	})
}

// Publishes reports whether the public may see something of the kind.
func (k *Kind) Publishes() bool { return k.publish != nil }

// Notice returns what the public sees of a record, nil for nothing.
func (k *Kind) Notice(r *record.Record) (*Notice, error) {
	if k.publish == nil {
		return nil, nil
	}
	for _, f := range r.Flags {
		if f == Public {
			body, err := k.Parse(r.Body)
			if err != nil {
				return nil, err
			}
			return k.publish(body, r), nil
		}
	}
	return nil, nil
}

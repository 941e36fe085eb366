package record

import (
	"errors"
	"fmt"
	"strings"
)

// Code says what sort of error it is; one place (package web) maps it to HTTP.
type Code string

// The codes. A caller switches on them, never on a message.
const (
	Invalid     Code = "invalid"      // the input is wrong; Fields say where
	NotFound    Code = "not-found"    // it does not exist, or the reader may not know that it does
	Denied      Code = "denied"       // the role does not allow the command
	Unsigned    Code = "unsigned"     // nobody is signed in
	NeedPurpose Code = "need-purpose" // the reader is cleared and must say why he looks
	Conflict    Code = "conflict"     // the record has changed since the version named
	Stale       Code = "stale"        // the workflow does not allow the command in this state
	TooLarge    Code = "too-large"    // over a stated limit
	TooMany     Code = "too-many"     // slow down; try again later
	Unavailable Code = "unavailable"  // the node cannot do it now: disk full, shutting down
	Corrupt     Code = "corrupt"      // stored data does not equal what the ledger says
	Internal    Code = "internal"     // a fault of ours
)

// Error is the one error type that reaches a person.
type Error struct {
	Code    Code
	Op      string // what was being done: "incident.verify"
	Message string // for the person, in plain English; screens translate by Code
	Hint    string // for the operator: what to do about it
	Fields  Fields // where the input is wrong
	Err     error  // cause, for the log; never shown
}

// Error joins operation, message, fields and cause.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	b.WriteString(e.Message)
	for i, f := range e.Fields {
		if i == 5 {
			fmt.Fprintf(&b, "; and %d more", len(e.Fields)-5)
			break
		}
		fmt.Fprintf(&b, "; %s: %s", f.Path, f.Message)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error whose message is for the person. To keep a cause for the
// log, set Err.
func Errorf(code Code, op, format string, args ...any) *Error {
	return &Error{Code: code, Op: op, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of err, Internal for an error that is not ours, "" for nil.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return Internal
}

// Field is one thing that is wrong with the input.
type Field struct {
	Path    string `json:"path"` // "body.severity", "links[2].note"
	Code    string `json:"code"` // "required", "max", "enum" ...: screens translate it
	Message string `json:"message"`
}

// Fields collects everything that is wrong, so that a person mends it in one go.
type Fields []Field

// Add appends one.
func (f *Fields) Add(path, code, message string) {
	*f = append(*f, Field{path, code, message})
}

// Err returns an Invalid error when there is any, else nil.
func (f Fields) Err(op string) error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Code: Invalid, Op: op, Message: "the input is not valid", Fields: f}
}

// Index writes the path of the i-th element.
func Index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

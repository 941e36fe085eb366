package desk

import (
	"encoding/json"
	"fmt"
	"reflect"

	"konbit/record"
)

// Sets reports whether there are fields that only commands set.
func (k *Kind) Sets() bool { return k.schema.sets }

// Kept returns a body that a person or a program gave, as Decode does, with the fields
// that only commands set as they were before: nil before for a new record. It is refused
// when it gives one of them another value.
func (k *Kind) Kept(given, before json.RawMessage) (any, json.RawMessage, record.Fields) {
	var f record.Fields
	old, now := reflect.New(k.schema.typ), reflect.New(k.schema.typ)
	err := json.Unmarshal(given, now.Interface())
	if err == nil && before != nil {
		err = json.Unmarshal(before, old.Interface())
	}
	if err != nil {
		f.Add("body", "json", err.Error())
		return nil, nil, f
	}
	for i := range k.schema.fields {
		s := &k.schema.fields[i]
		if !s.Set {
			continue
		}
		a, b := old.Elem().FieldByIndex(s.index), now.Elem().FieldByIndex(s.index)
		if !b.IsZero() && !reflect.DeepEqual(a.Interface(), b.Interface()) {
			f.Add("body."+s.Path, "set", "a command sets this, it cannot be given")
			continue
		}
		b.Set(a)
	}
	if len(f) > 0 {
		return nil, nil, f
	}
	out, err := json.Marshal(now.Interface())
	if err != nil {
		f.Add("body", "json", err.Error())
	}
	return now.Interface(), out, f
}

// checkSet refuses a declaration whose commands' fields could not be left out.
func checkSet(fields []Field, top bool) error {
	for i := range fields {
		f := &fields[i]
		if f.Set && (!top || f.Required || f.When != "") {
			return fmt.Errorf("field %q is set by commands: it must be a member of the body itself, with omitempty or omitzero, and without when", f.Path)
		}
		if err := checkSet(f.Fields, false); err != nil {
			return err
		}
	}
	return nil
}

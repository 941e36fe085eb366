package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"konbit/desk"
	"konbit/record"
)

// readBody reads a body whole, within the limit that the route set.
func readBody(r *http.Request) ([]byte, error) {
	var buf bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= maxBody {
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(r.Body)
	var tooBig *http.MaxBytesError
	switch {
	case err == nil:
		return buf.Bytes(), nil
	case errors.As(err, &tooBig):
		return nil, err
	}
	return nil, &record.Error{Code: record.Invalid, Op: "request", Message: "the body did not arrive whole", Err: err}
}

// strict decodes one JSON value into v, which points to a struct. Members that
// the struct does not have, wrong types and what follows the value are refused
// by name. Kind, if given, names what is wrong inside a member "body".
func strict(b []byte, v any, k *desk.Kind) error {
	if utf8.Valid(b) {
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if d.Decode(v) == nil {
			if _, err := d.Token(); err == io.EOF {
				return nil
			}
			return record.Fields{{Path: "body", Code: "json", Message: "something follows the JSON value"}}.Err("request")
		}
	}
	return explain(b, reflect.TypeOf(v).Elem(), k).Err("request")
}

// explain finds every member that cannot be read. It is the slow path.
func explain(b []byte, t reflect.Type, k *desk.Kind) record.Fields {
	var f record.Fields
	if len(bytes.TrimSpace(b)) == 0 {
		f.Add("body", "required", "a JSON object is required")
		return f
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		var syn *json.SyntaxError
		if errors.As(err, &syn) {
			f.Add("body", "json", fmt.Sprintf("malformed JSON at byte %d: %s", syn.Offset, syn.Error()))
		} else {
			f.Add("body", "type", "must be an object")
		}
		return f
	}
	for name, m := range members {
		if name == "body" && k != nil {
			_, _, bf := k.Decode(m)
			f = append(f, bf...)
			continue
		}
		if !utf8.Valid(m) || !utf8.ValidString(name) {
			f.Add(strings.ToValidUTF8(name, "?"), "utf8", "not valid UTF-8")
			continue
		}
		one, err := json.Marshal(map[string]json.RawMessage{name: m})
		if err != nil {
			f.Add(name, "json", "malformed JSON")
			continue
		}
		d := json.NewDecoder(bytes.NewReader(one))
		d.DisallowUnknownFields()
		if err := d.Decode(reflect.New(t).Interface()); err != nil {
			f = append(f, memberFault(name, err))
		}
	}
	slices.SortFunc(f, func(a, b record.Field) int { return strings.Compare(a.Path, b.Path) })
	if len(f) == 0 {
		f.Add("body", "json", "malformed JSON")
	}
	return f
}

// memberFault says what is wrong with one member.
func memberFault(name string, err error) record.Field {
	var te *json.UnmarshalTypeError
	switch unknown, isUnknown := strings.CutPrefix(err.Error(), "json: unknown field "); {
	case errors.As(err, &te):
		path := name
		if te.Field != "" {
			path = te.Field
		}
		return record.Field{Path: path, Code: "type", Message: "must be " + typeName(te.Type) + ", not " + te.Value}
	case isUnknown:
		inner := strings.Trim(unknown, `"`)
		if inner != name {
			name += "." + inner
		}
		return record.Field{Path: name, Code: "unknown", Message: "no such field"}
	}
	return record.Field{Path: name, Code: "invalid", Message: strings.TrimPrefix(err.Error(), "json: ")}
}

func typeName(t reflect.Type) string {
	if t == nil {
		return "another type"
	}
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Array:
		return "a text"
	}
	return "an object"
}

package desktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/record"
)

// Bodies generates valid bodies of k from its fields, optional ones left out
// half of the time.
func Bodies(k *desk.Kind) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any { return object(t, "", k.Fields()) })
}

func object(t *rapid.T, prefix string, fields []desk.Field) map[string]any {
	out := map[string]any{}
	for i := range fields {
		f := &fields[i]
		if !f.Required && !asked(f, out) && !rapid.Bool().Draw(t, "with "+f.Path) {
			continue
		}
		put(out, strings.Split(strings.TrimPrefix(f.Path, prefix), "."), value(t, f))
	}
	return out
}

// asked reports whether the body so far makes f required.
func asked(f *desk.Field, body map[string]any) bool {
	on, values := f.Needs()
	v, _ := body[on].(string)
	return on != "" && slices.Contains(values, v)
}

func put(m map[string]any, path []string, v any) {
	for ; len(path) > 1; path = path[1:] {
		sub, ok := m[path[0]].(map[string]any)
		if !ok {
			sub = map[string]any{}
			m[path[0]] = sub
		}
		m = sub
	}
	m[path[0]] = v
}

func value(t *rapid.T, f *desk.Field) any {
	switch f.Type {
	case "text":
		return text(t, f, bound(f.Max, desk.DefaultMaxText))
	case "integer":
		return rapid.IntRange(int(bound(f.Min, -1_000_000)), int(bound(f.Max, 1_000_000))).Draw(t, f.Path)
	case "number":
		return rapid.Float64Range(bound(f.Min, -1e9), bound(f.Max, 1e9)).Draw(t, f.Path)
	case "flag":
		return rapid.Bool().Draw(t, f.Path)
	case "time":
		return moment(t, f.Path)
	case "interval":
		from := moment(t, f.Path+".from")
		span := time.Duration(rapid.IntRange(1, 400*24*3600).Draw(t, f.Path+" seconds")) * time.Second
		return record.Interval{From: from, To: from.Add(span)}
	case "pcode":
		return rapid.StringMatching(`(cod-20[0-9]{2}:)?[A-Z]{2}[0-9]{2,6}`).Draw(t, f.Path)
	case "id":
		return id(t, f.Path)
	case "list":
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			e := *f
			e.Required = true
			return text(t, &e, 200)
		}), least(f), most(f)).Draw(t, f.Path)
	case "rows":
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) map[string]any {
			return object(t, f.Path+".", f.Fields)
		}), least(f), most(f)).Draw(t, f.Path)
	}
	panic("desktest: no generator for type " + f.Type)
}

func least(f *desk.Field) int {
	if f.Required {
		return max(1, int(bound(f.Min, 0)))
	}
	return int(bound(f.Min, 0))
}

func most(f *desk.Field) int { return max(least(f), min(int(bound(f.Max, 5)), 5)) }

func bound(p *float64, or float64) float64 {
	if p == nil {
		return or
	}
	return *p
}

// letters holds what people of the region write, and what breaks careless code.
const letters = "abcdeghijklmnoprstuvyz ABCDEFG àâçèéêëîïñóôòùúüÀÉÈÒÑ¿¡'’\"<>&{}\\/=+-@,;.:!?()%#0123456789\n\t漢字🙂\u200b\u0301"

func text(t *rapid.T, f *desk.Field, most float64) string {
	if len(f.Enum) > 0 {
		return rapid.SampledFrom(f.Enum).Draw(t, f.Path)
	}
	if f.Pattern != "" {
		return rapid.StringMatching(f.Pattern).Draw(t, f.Path)
	}
	low := 0
	if f.When != "" {
		low = 1
	}
	if f.Type == "text" {
		low = max(low, int(bound(f.Min, 0)))
	}
	if f.Required {
		low = max(low, 1)
	}
	if rapid.IntRange(0, 50).Draw(t, f.Path+" full") == 0 {
		return strings.Repeat("é", int(most))
	}
	return rapid.StringOfN(rapid.RuneFrom([]rune(letters)), low, max(low, min(40, int(most))), -1).Draw(t, f.Path)
}

func moment(t *rapid.T, label string) time.Time {
	return time.Unix(rapid.Int64Range(0, 4_000_000_000).Draw(t, label), 0).UTC()
}

func id(t *rapid.T, label string) record.ID {
	var v record.ID
	copy(v[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
	v[6], v[8] = v[6]&0x0f|0x70, v[8]&0x3f|0x80
	return v
}

// WrongInput shows that k refuses what it must refuse, and that each refusal
// names the field.
func WrongInput(k *desk.Kind) (problems []string) {
	good := func() map[string]any { return example(k) }
	try := func(what, at string, body any) {
		raw, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		_, canon, fields := k.Decode(raw)
		for _, f := range fields {
			if strings.HasPrefix(f.Path, at) && f.Code != "" && f.Message != "" {
				return
			}
		}
		problems = append(problems, fmt.Sprintf("%s: %s must be refused and name %s; got %v, canonical %.200s", k.Name, what, at, fields, canon))
	}
	if raw, _ := json.Marshal(good()); true {
		if _, _, fields := k.Decode(raw); len(fields) > 0 {
			return []string{fmt.Sprintf("%s: the example %s is refused: %v", k.Name, raw, fields)}
		}
	}
	with := func(path string, v any) map[string]any {
		m := good()
		put(m, strings.Split(path, "."), v)
		return m
	}
	try("an unknown field", "body.zzz", with("zzz", 1))
	for _, raw := range []string{"", "null", "[]", "7", `"x"`, "{", "{}x", "{\"a\":1}}", "\xff", "{\"\xff\":1}"} {
		if _, _, fields := k.Decode([]byte(raw)); len(fields) == 0 {
			problems = append(problems, fmt.Sprintf("%s: the body %q is accepted", k.Name, raw))
		}
	}
	sub := map[string]bool{}
	for _, f := range k.Fields() {
		at := "body." + f.Path
		if first, _, nested := strings.Cut(f.Path, "."); nested && !sub[first] {
			sub[first] = true
			try("an unknown field within "+first, "body."+first+".zzz", with(first+".zzz", 1))
			try(first+" as a text", "body."+first, with(first, "x"))
		}
		if f.Required {
			m := good()
			remove(m, strings.Split(f.Path, "."))
			try("a body without "+f.Path, at, m)
		}
		for _, bad := range wrongTypes(f.Type) {
			try(fmt.Sprintf("%s = %v (%T)", f.Path, bad, bad), at, with(f.Path, bad))
		}
		if f.Min != nil && (f.Type == "integer" || f.Type == "number") {
			try(f.Path+" below its least", at, with(f.Path, *f.Min-1))
		}
		if f.Max != nil && (f.Type == "integer" || f.Type == "number") {
			try(f.Path+" over its most", at, with(f.Path, *f.Max+1))
		}
		switch {
		case f.Type == "text" && len(f.Enum) > 0:
			try(f.Path+" not of its values", at, with(f.Path, "zzz"))
		case f.Type == "text" && f.Pattern == "":
			try(f.Path+" too long", at, with(f.Path, strings.Repeat("é", int(*f.Max)+1)))
			try(f.Path+" of 10 MB", at, with(f.Path, strings.Repeat("x", 10<<20)))
			try(f.Path+" with a control character", at, with(f.Path, "a\x00b"))
		case f.Type == "text":
			try(f.Path+" against its pattern", at, with(f.Path, "\u2603 zzz"))
		case f.Type == "list":
			entry := "x"
			if len(f.Enum) > 0 {
				entry = f.Enum[0]
				try(f.Path+" with an unknown value", at+"[0]", with(f.Path, []string{"zzz"}))
			} else {
				try(f.Path+" with a long text", at+"[1]", with(f.Path, []string{"x", strings.Repeat("x", 201)}))
			}
			over := make([]string, int(bound(f.Max, 500))+1)
			for i := range over {
				over[i] = entry
			}
			try(f.Path+" with too many", at, with(f.Path, over))
		case f.Type == "interval":
			now := time.Unix(0, 0).UTC()
			try(f.Path+" that ends before it begins", at, with(f.Path, record.Interval{From: now.Add(1), To: now}))
			try(f.Path+" without an end", at, with(f.Path, map[string]any{"from": now}))
		case f.Type == "pcode":
			try(f.Path+" that is a name", at, with(f.Path, "Léogâne"))
		case f.Type == "id":
			try(f.Path+" that is no identifier", at, with(f.Path, "12"))
		}
	}
	return problems
}

func wrongTypes(typ string) []any {
	switch typ {
	case "integer":
		return []any{"3", 1.5, true, []int{1}, map[string]any{}}
	case "number":
		return []any{"3", true, []int{1}, map[string]any{}}
	case "flag":
		return []any{"true", 1, []bool{true}, map[string]any{}}
	case "list", "rows":
		return []any{"x", 7, true, map[string]any{}, []any{7}}
	case "interval":
		return []any{"2026", 7, true, []any{}}
	}
	return []any{7, true, []any{"x"}, map[string]any{"x": 1}}
}

func remove(m map[string]any, path []string) {
	for ; len(path) > 1; path = path[1:] {
		m, _ = m[path[0]].(map[string]any)
	}
	delete(m, path[0])
}

// example is one valid body, the same every time: each field that is required or
// asked for, and no other.
func example(k *desk.Kind) map[string]any {
	m := Bodies(k).Example(1)
	for _, f := range k.Fields() {
		if !f.Required && !asked(&f, m) {
			remove(m, strings.Split(f.Path, "."))
		}
	}
	return m
}

// Fuzz feeds Decode of every kind of d with what the fuzzer finds: it must not
// crash, and what it accepts must have one canonical form.
func Fuzz(f *testing.F, d *desk.Desk) {
	for i, k := range d.Kinds {
		for n := range 4 {
			raw, err := json.Marshal(Bodies(k).Example(n))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), raw)
		}
		f.Add(uint8(i), []byte(`{"title":"\ud800","a":{"b":[1e999]}}`))
	}
	f.Fuzz(func(t *testing.T, which uint8, raw []byte) {
		k := d.Kinds[int(which)%len(d.Kinds)]
		body, canon, fields := k.Decode(raw)
		if len(fields) > 0 {
			for _, fd := range fields {
				if fd.Path == "" || fd.Code == "" || fd.Message == "" {
					t.Fatalf("a refusal that says nothing: %+v", fd)
				}
			}
			return
		}
		k.CaveatsFor(body)
		k.Index(&record.Record{}, body)
		_, again, fields := k.Decode(canon)
		if len(fields) > 0 || string(again) != string(canon) {
			t.Fatalf("canonical form %s becomes %s, %v", canon, again, fields)
		}
	})
}

package transfer

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones of mappings, also where the machine has none
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// zone loads a time zone by its IANA name; "" is UTC.
func zone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, fmt.Errorf("the machine's own zone is not a zone")
	}
	return time.LoadLocation(name)
}

// isoLayouts are read when a mapping names no layouts.
var isoLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly}

// readTime reads a time by the first layout that fits. Without a zone in the
// text it is in loc.
func readTime(s string, layouts []string, loc *time.Location) (time.Time, error) {
	if len(layouts) == 0 {
		layouts = isoLayouts
	}
	for _, l := range layouts {
		switch l {
		case "unix", "unix-ms":
			if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > -1e14 && n < 1e14 {
				if l == "unix" {
					return time.Unix(n, 0).UTC(), nil
				}
				return time.UnixMilli(n).UTC(), nil
			}
		default:
			if t, err := time.ParseInLocation(l, s, loc); err == nil {
				return t.UTC(), nil
			}
		}
	}
	if len(layouts) == 1 {
		return time.Time{}, fmt.Errorf("%q is not a time written as %s", short(s), layouts[0])
	}
	return time.Time{}, fmt.Errorf("%q is not a time written in one of the %d ways given", short(s), len(layouts))
}

var (
	jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
	grouped    = regexp.MustCompile(`^[+-]?[0-9]{1,3}([,' ][0-9]{3})+(\.[0-9]+)?$`)
	commaOnly  = regexp.MustCompile(`^[+-]?[0-9]+,[0-9]+$`)
	oneGroup   = regexp.MustCompile(`^[+-]?[1-9][0-9]{0,2},[0-9]{3}$`)
)

// readNumber returns a number in JSON's form. It takes thousands in groups and,
// where that cannot mean thousands, a decimal comma. degrees says that a comma
// is always decimal.
func readNumber(s string, degrees bool) (string, error) {
	if jsonNumber.MatchString(s) {
		return s, nil
	}
	t := strings.Map(func(c rune) rune {
		switch c {
		case '\u00a0', '\u202f', '\u2009':
			return ' '
		case '−':
			return '-'
		}
		return c
	}, s)
	switch {
	case commaOnly.MatchString(t) && (degrees || !oneGroup.MatchString(t)):
		t = strings.Replace(t, ",", ".", 1)
	case oneGroup.MatchString(t):
		return "", fmt.Errorf("%q may be thousands or a decimal: write it without the comma", short(s))
	case grouped.MatchString(t):
		t = strings.NewReplacer(",", "", "'", "", " ", "").Replace(t)
	}
	v, err := strconv.ParseFloat(t, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || strings.ContainsAny(t, "xXpP_") {
		return "", fmt.Errorf("%q is not a number", short(s))
	}
	return strconv.FormatFloat(v, 'g', -1, 64), nil
}

// readInteger returns a whole number in JSON's form. A comma before three digits
// means thousands, since nothing else can be meant.
func readInteger(s string) (string, error) {
	if oneGroup.MatchString(s) {
		s = strings.Replace(s, ",", "", 1)
	}
	n, err := readNumber(s, false)
	if err != nil {
		return "", fmt.Errorf("%q is not a whole number", short(s))
	}
	if strings.ContainsAny(n, ".eE") {
		v, _ := strconv.ParseFloat(n, 64)
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			return "", fmt.Errorf("%q is not a whole number", short(s))
		}
		n = strconv.FormatFloat(v, 'f', 0, 64)
	}
	return n, nil
}

var flagWords = map[string]bool{
	"true": true, "yes": true, "y": true, "1": true, "x": true, "wi": true, "vre": true, "oui": true, "o": true, "vrai": true, "si": true, "s": true, "verdadero": true,
	"false": false, "no": false, "n": false, "0": false, "non": false, "fo": false, "faux": false, "falso": false,
}

// readFlag reads yes and no in the four languages.
func readFlag(s string) (string, error) {
	v, ok := flagWords[fold(s)]
	if !ok {
		return "", fmt.Errorf("%q is not yes or no", short(s))
	}
	return strconv.FormatBool(v), nil
}

// fold brings names together that people write differently: lower case, without
// accents, every run of other characters one space.
func fold(s string) string {
	var b strings.Builder
	gap := false
	for _, c := range norm.NFD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, c):
		case unicode.IsLetter(c) || unicode.IsDigit(c):
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteRune(unicode.ToLower(c))
		default:
			gap = true
		}
	}
	return b.String()
}

// readList takes a cell apart: a JSON list of texts, else parts between sep.
func readList(s, sep string) []string {
	if strings.HasPrefix(s, "[") {
		var l []string
		if json.Unmarshal([]byte(s), &l) == nil {
			return l
		}
	}
	return parts(s, sep)
}

func parts(s, sep string) []string {
	if sep == "" {
		sep = ";"
	}
	var out []string
	for p := range strings.SplitSeq(s, sep) {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// writeList is the reverse of readList, as plain as the items allow.
func writeList(l []string) string {
	plain := len(l) > 0
	for i, s := range l {
		plain = plain && s != "" && s == strings.TrimSpace(s) && !strings.Contains(s, ";") && (i > 0 || s[0] != '[')
	}
	if plain {
		return strings.Join(l, "; ")
	}
	b, _ := json.Marshal(l)
	return string(b)
}

package question

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"konbit/record"
)

// Normalize makes an identifier comparable, so that two people who write the same
// thing ask the same thing. country is the country of a telephone that is written
// without one, ISO 3166 alpha-2, lower case. Letters that look alike are kept
// apart: a serial with O is another one than that with 0.
func Normalize(typ, value, country string) (string, error) {
	if len(value) > 200 {
		return "", wrong("max", "is too long for an identifier")
	}
	switch record.IdentifierType(typ) {
	case record.Telephone:
		return telephone(value, country)
	case record.Vessel:
		return vessel(value)
	}
	return letters(value)
}

func wrong(code, message string) error {
	return record.Fields{{Path: "value", Code: code, Message: message}}.Err("question.ask")
}

// letters keeps letters and digits, in upper case and without accents: plates,
// passports, serials of firearms, marks of registry.
func letters(value string) (string, error) {
	var b strings.Builder
	n := 0
	for _, r := range norm.NFKD.String(value) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			b.WriteRune(unicode.ToUpper(r))
			n++
		}
	}
	switch {
	case n < 3:
		return "", wrong("min", "needs at least 3 letters or digits")
	case n > 40:
		return "", wrong("max", "has more than 40 letters and digits")
	}
	return b.String(), nil
}

// vessel writes an IMO number (seven digits, the last a check digit: IMO
// resolution A.1117(30)) as IMO9074729 and an MMSI (nine digits: ITU-R M.585) as
// MMSI336123456. Anything else is a mark of registry or a name.
func vessel(value string) (string, error) {
	s, err := letters(value)
	if err != nil {
		return "", err
	}
	if d, ok := strings.CutPrefix(s, "IMO"); ok && digits(d) {
		if !imo(d) {
			return "", wrong("check", "is no IMO number: the check digit does not fit")
		}
		return s, nil
	}
	d, named := strings.CutPrefix(s, "MMSI")
	switch {
	case digits(d) && len(d) == 9:
		return "MMSI" + d, nil
	case named && digits(d):
		return "", wrong("length", "an MMSI has nine digits")
	case imo(s):
		return "IMO" + s, nil
	}
	return s, nil
}

func digits(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

func imo(s string) bool {
	if len(s) != 7 || !digits(s) {
		return false
	}
	sum := 0
	for i := range 6 {
		sum += int(s[i]-'0') * (7 - i)
	}
	return sum%10 == int(s[6]-'0')
}

// plan is how a country's telephones are written at home (ITU-T E.164, national
// numbering plans): calling code, digits without it, and what is dialled before
// them and left out from abroad.
type plan struct {
	code   string
	digits int // 0: they differ
	trunk  string
}

var plans = func() map[string]plan {
	m := map[string]plan{
		"ht": {"509", 8, ""}, "cu": {"53", 8, "0"}, "mx": {"52", 10, ""}, "co": {"57", 10, ""}, "ve": {"58", 10, "0"},
		"fr": {"33", 9, "0"}, "gp": {"590", 9, "0"}, "mf": {"590", 9, "0"}, "bl": {"590", 9, "0"}, "mq": {"596", 9, "0"}, "gf": {"594", 9, "0"},
		"gy": {"592", 7, ""}, "sr": {"597", 7, ""}, "bz": {"501", 7, ""}, "aw": {"297", 7, ""}, "cw": {"599", 0, ""}, "bq": {"599", 7, ""},
		"pa": {"507", 8, ""}, "cr": {"506", 8, ""}, "ni": {"505", 8, ""}, "hn": {"504", 8, ""}, "gt": {"502", 8, ""}, "sv": {"503", 8, ""},
		"br": {"55", 0, "0"}, "gb": {"44", 10, "0"}, "nl": {"31", 9, "0"}, "es": {"34", 9, ""},
	}
	// The North American Numbering Plan: area code and number, ten digits.
	for _, c := range strings.Fields("us ca do pr jm bs bb tt ag ai bm vg vi ky dm gd ms kn lc vc sx tc") {
		m[c] = plan{"1", 10, ""}
	}
	return m
}()

// telephone writes a number as E.164 does, with a leading plus.
func telephone(value, country string) (string, error) {
	value = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(norm.NFKC.String(value))), "tel:")
	var b strings.Builder
	for i, r := range value {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case r == '+' && i == 0, strings.ContainsRune(" -./()\u00a0\u2011\u2013", r):
		default:
			return "", wrong("invalid", "is no telephone number: digits, and + before the country")
		}
	}
	d := b.String()
	international := strings.HasPrefix(value, "+")
	p, known := plans[country]
	if !international {
		for _, prefix := range []string{"00", "011"} {
			if (prefix == "00") != (p.code == "1") && strings.HasPrefix(d, prefix) {
				d, international = d[len(prefix):], true
				break
			}
		}
	}
	if !international {
		var ok bool
		if d, ok = national(d, p); !known || !ok {
			return "", wrong("country", "cannot be completed: write it with + and the country")
		}
	}
	if len(d) < 7 || len(d) > 15 || d[0] == '0' {
		return "", wrong("length", "is no telephone number: 7 to 15 digits with the country")
	}
	return "+" + d, nil
}

// national completes a number that is written without + by its country's plan.
func national(d string, p plan) (string, bool) {
	switch {
	case p.digits == 0:
		d = strings.TrimPrefix(d, p.trunk)
		return p.code + d, len(d) >= 6
	case len(d) == p.digits:
		return p.code + d, true
	case p.trunk != "" && len(d) == p.digits+len(p.trunk) && strings.HasPrefix(d, p.trunk):
		return p.code + d[len(p.trunk):], true
	case len(d) == p.digits+len(p.code) && strings.HasPrefix(d, p.code):
		return d, true
	}
	return "", false
}

// countryOf is the country that an agency's name begins with, where its
// telephones are known; else the node's.
func (s *Service) countryOf(agency string) string {
	c, _, _ := strings.Cut(agency, ".")
	if _, ok := plans[c]; ok {
		return c
	}
	return s.cfg.Country
}

// mask shows the last three characters.
func mask(value string) string {
	r := []rune(value)
	show := 3
	if len(r) <= 5 {
		show = 1
	}
	for i := range r[:len(r)-min(show, len(r))] {
		r[i] = '•'
	}
	return string(r)
}

package cap

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// What can be wrong with a time. The texts go into messages.
var (
	errTime = errors.New("is not a time like 2026-11-02T08:30:00-05:00")
	errZone = errors.New("does not say its distance from UTC in numbers; UTC is written -00:00, never Z")
)

// parseTime reads a time of CAP 1.2 §3.3.2, and keeps its offset. The older
// versions may have parts of a second too.
func parseTime(s, version string) (time.Time, error) {
	s = trim(s)
	const date = len("2006-01-02T15:04:05")
	if len(s) < date || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, errTime
	}
	year, ok := number(s[0:4])
	month, ok1 := number(s[5:7])
	day, ok2 := number(s[8:10])
	hour, ok3 := number(s[11:13])
	minute, ok4 := number(s[14:16])
	second, ok5 := number(s[17:19])
	if !ok || !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || year == 0 || month == 0 || month > 12 || day == 0 || minute > 59 || second > 59 ||
		hour > 24 || hour == 24 && minute+second > 0 {
		return time.Time{}, errTime
	}
	zone := s[date:]
	nanos := 0
	if version != Version12 && strings.HasPrefix(zone, ".") {
		n := 1
		for n < len(zone) && zone[n] >= '0' && zone[n] <= '9' {
			n++
		}
		if n == 1 {
			return time.Time{}, errTime
		}
		nanos, _ = number((zone[1:min(n, 10)] + "000000000")[:9])
		zone = zone[n:]
	}
	if zone == "" || zone == "Z" {
		return time.Time{}, errZone
	}
	if len(zone) != 6 || zone[0] != '+' && zone[0] != '-' || zone[3] != ':' {
		return time.Time{}, errTime
	}
	hours, ok := number(zone[1:3])
	minutes, ok1 := number(zone[4:6])
	if !ok || !ok1 || minutes > 59 || hours*60+minutes > 14*60 {
		return time.Time{}, errTime
	}
	offset := (hours*60 + minutes) * 60
	if zone[0] == '-' {
		offset = -offset
	}
	if day > 28 && time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Day() != day {
		return time.Time{}, errTime
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, inZone(offset)), nil
}

func inZone(offset int) *time.Location {
	if offset == 0 {
		return time.UTC
	}
	return time.FixedZone("", offset)
}

// appendTime writes a time of CAP 1.2 §3.3.2. Parts of a second and of a minute
// of offset, which it cannot tell, are cut off.
func appendTime(dst []byte, t time.Time) []byte {
	if _, offset := t.Zone(); offset == 0 {
		return append(t.AppendFormat(dst, "2006-01-02T15:04:05"), "-00:00"...)
	} else if offset%60 != 0 {
		t = t.In(inZone(offset / 60 * 60))
	}
	return t.AppendFormat(dst, "2006-01-02T15:04:05-07:00")
}

// number reads digits and nothing else.
func number(s string) (n int, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, s != ""
}

// decimal reads a number of XML Schema's decimal: no exponent.
func decimal(s string) (float64, bool) {
	digits := 0
	dot := false
	for i, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.' && !dot:
			dot = true
		case (c == '+' || c == '-') && i == 0:
		default:
			return 0, false
		}
	}
	if digits == 0 {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

func appendDecimal(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

var (
	errPair   = errors.New("is not pairs of latitude and longitude like 18.5,-72.3 with blanks between them")
	errRange  = errors.New("holds a place that is not on earth: latitudes are from -90 to 90, longitudes from -180 to 180")
	errCircle = errors.New("is not a place and a radius in kilometres like 18.5,-72.3 10")
)

// parsePoint reads "latitude,longitude" (CAP 1.2 §3.2.4).
func parsePoint(s string) (Point, error) {
	lat, lon, ok := strings.Cut(s, ",")
	if !ok {
		return Point{}, errPair
	}
	var p Point
	var ok1 bool
	p.Lat, ok = decimal(lat)
	p.Lon, ok1 = decimal(lon)
	switch {
	case !ok || !ok1:
		return Point{}, errPair
	case !p.onEarth():
		return Point{}, errRange
	}
	return p, nil
}

func (p Point) onEarth() bool {
	return p.Lat >= -90 && p.Lat <= 90 && p.Lon >= -180 && p.Lon <= 180
}

// parsePolygon reads pairs with blanks between them. What makes them an area is
// for Check.
func parsePolygon(s string) ([]Point, error) {
	ring := make([]Point, 0, strings.Count(s, ","))
	for {
		s = strings.TrimLeft(s, blanks)
		if s == "" {
			break
		}
		n := strings.IndexAny(s, blanks)
		if n < 0 {
			n = len(s)
		}
		p, err := parsePoint(s[:n])
		if err != nil {
			return nil, err
		}
		ring = append(ring, p)
		s = s[n:]
	}
	if len(ring) == 0 {
		return nil, errPair
	}
	return ring, nil
}

func parseCircle(s string) (Circle, error) {
	parts := strings.Fields(s)
	if len(parts) != 2 {
		return Circle{}, errCircle
	}
	center, err := parsePoint(parts[0])
	if err == errRange {
		return Circle{}, err
	}
	radius, ok := decimal(parts[1])
	if err != nil || !ok || radius < 0 {
		return Circle{}, errCircle
	}
	return Circle{center, radius}, nil
}

func appendPoint(dst []byte, p Point) []byte {
	dst = append(appendDecimal(dst, p.Lat), ',')
	return appendDecimal(dst, p.Lon)
}

var errReferences = errors.New("is not sender,identifier,sent, with blanks between several")

// parseReferences reads CAP 1.2 §3.2.1 references; CAP 1.0 has identifier/sender.
func parseReferences(s, version string) ([]Reference, error) {
	var out []Reference
	for _, one := range strings.Fields(s) {
		var r Reference
		if version == Version10 {
			r.Identifier, r.Sender, _ = strings.Cut(one, "/")
		} else {
			sender, rest, _ := strings.Cut(one, ",")
			identifier, sent, _ := strings.Cut(rest, ",")
			t, err := parseTime(sent, version)
			if err == errZone && sent != "" {
				return nil, err
			} else if err != nil {
				return nil, errReferences
			}
			r = Reference{sender, identifier, t}
		}
		if !isName(r.Sender) || !isName(r.Identifier) {
			return nil, errReferences
		}
		out = append(out, r)
	}
	if out == nil {
		return nil, errReferences
	}
	return out, nil
}

// isName reports whether s may be an identifier or a sender (CAP 1.2 §3.2.1).
func isName(s string) bool { return s != "" && !strings.ContainsAny(s, " \t\r\n,<&") }

// parseGroup reads values with blanks between them; those that hold blanks stand
// in quotation marks (CAP 1.2 §3.2.1 addresses).
func parseGroup(s string) []string {
	var out []string
	for {
		s = strings.TrimLeft(s, blanks)
		if s == "" {
			return out
		}
		if quoted, rest, ok := strings.Cut(s[1:], `"`); s[0] == '"' && ok {
			out = append(out, quoted)
			s = rest
			continue
		}
		n := strings.IndexAny(s, blanks)
		if n < 0 {
			n = len(s)
		}
		out = append(out, s[:n])
		s = s[n:]
	}
}

// isLanguage reports whether s has the form of XML Schema's language, RFC 3066.
func isLanguage(s string) bool {
	for i, part := range strings.Split(s, "-") {
		if len(part) == 0 || len(part) > 8 {
			return false
		}
		for _, c := range []byte(part) {
			if !(c|0x20 >= 'a' && c|0x20 <= 'z' || i > 0 && c >= '0' && c <= '9') {
				return false
			}
		}
	}
	return true
}

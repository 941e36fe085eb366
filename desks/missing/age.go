package missing

import (
	"fmt"
	"time"
)

// Grown is the age at which somebody is no child any more (Convention on the
// Rights of the Child, article 1).
const Grown = 18

// epoch is before every case of this program but those that were entered from
// older files. A body does not say when somebody was last seen; who had not come of
// age by then counts as a child until an age is given.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// years is how old somebody is, as far as it was said.
type years struct {
	age, min, max *int
	born          string
}

func (p *Person) years() years { return years{p.Age, p.AgeMin, p.AgeMax, p.Born} }

// child reports whether that is, or may well be, a child's age.
func (y years) child() bool {
	under := func(n *int) bool { return n != nil && *n < Grown }
	switch {
	case under(y.age), under(y.max):
		return true
	case y.age != nil:
		return false
	case y.min != nil:
		return under(y.min)
	case y.born != "":
		return y.childAt(epoch)
	}
	return false
}

// none reports whether nothing was said.
func (y years) none() bool { return y == years{} }

// childAt reports whether somebody born then was a child at t, doubts being on the
// side of the child.
func (y years) childAt(t time.Time) bool {
	_, born, ok := y.birth()
	return ok && t.Before(born.AddDate(Grown, 0, 0))
}

// birth returns the first and the last day that born can mean. A day that its
// month does not have means any day of the month.
func (y years) birth() (first, last time.Time, ok bool) {
	if t, err := time.Parse(time.DateOnly, y.born); err == nil {
		return t, t, true
	}
	if len(y.born) >= len("2006-01") {
		if t, err := time.Parse("2006-01", y.born[:len("2006-01")]); err == nil {
			return t, t.AddDate(0, 1, -1), true
		}
	}
	if len(y.born) == len("2006") {
		if t, err := time.Parse("2006", y.born); err == nil {
			return t, t.AddDate(1, 0, -1), true
		}
	}
	return time.Time{}, time.Time{}, false
}

// words writes the age at t as it is published: "9", "8–10", "60+", "" for not known.
func (y years) words(t time.Time) string {
	first, last, born := y.birth()
	switch {
	case y.age != nil:
		return span(*y.age, *y.age)
	case y.min != nil && y.max != nil:
		return span(*y.min, *y.max)
	case y.min != nil:
		return fmt.Sprintf("%d+", *y.min)
	case y.max != nil:
		return span(0, *y.max)
	case born && !t.Before(last):
		return span(full(last, t), full(first, t))
	}
	return ""
}

func span(a, b int) string {
	if a == b {
		return fmt.Sprint(a)
	}
	return fmt.Sprintf("%d–%d", min(a, b), max(a, b))
}

// full counts the full years from born to t.
func full(born, t time.Time) int {
	n := t.Year() - born.Year()
	if t.Before(born.AddDate(n, 0, 0)) {
		n--
	}
	return n
}

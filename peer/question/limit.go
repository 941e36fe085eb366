package question

import (
	"sync"
	"time"
)

// limiter keeps two token buckets for each name.
type limiter struct {
	limits Limits
	mu     sync.Mutex
	of     map[string]*buckets
}

type buckets struct {
	minute, day float64 // tokens left
	at          time.Time
}

// take takes n tokens of both buckets, or none. A clock that goes back refills nothing.
func (l *limiter) take(name string, n int, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]*buckets{}
	}
	b := l.of[name]
	if b == nil {
		b = &buckets{float64(l.limits.Minute), float64(l.limits.Day), now}
		l.of[name] = b
	}
	if d := now.Sub(b.at); d > 0 {
		b.minute = min(float64(l.limits.Minute), b.minute+d.Minutes()*float64(l.limits.Minute))
		b.day = min(float64(l.limits.Day), b.day+d.Hours()/24*float64(l.limits.Day))
		b.at = now
	}
	if b.minute < float64(n) || b.day < float64(n) {
		return false
	}
	b.minute -= float64(n)
	b.day -= float64(n)
	return true
}

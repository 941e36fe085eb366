package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// announce says to those for whom this node is the hub who is connected, a while
// after it has changed, so that a link that flickers costs the others little.
func (l *links) announce(ctx context.Context) {
	for sleep(ctx, time.Hour, l.comers) && sleep(ctx, l.pace.quiet, nil) {
		if !l.isHub() {
			continue
		}
		w := wordFrame(framePresent, presentWord{Here: l.present()})
		l.everybody(func(c *conn) {
			if l.member(c.line.name) {
				c.sayLatest("present", w)
			}
		})
		if !sleep(ctx, 4*l.pace.quiet, nil) {
			return
		}
	}
}

func (l *links) isHub() bool {
	d := l.trust.Directory()
	return d != nil && d.Hub == l.self
}

// member reports whether a node is in the region whose hub this one is. Others,
// with which it exchanges besides, are no business of the region's, nor the region of theirs.
func (l *links) member(name string) bool {
	n, d := l.trust.Node(name), l.trust.Directory()
	return n != nil && d != nil && n.Region == d.Region
}

// present lists who of the region is connected.
func (l *links) present() []string {
	here := []string{}
	l.everybody(func(c *conn) {
		if l.member(c.line.name) {
			here = append(here, c.line.name)
		}
	})
	slices.Sort(here)
	return here
}

// takePresent notes who is connected to a hub.
func (ln *line) takePresent(here []string) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.here = presence(here)
}

func presence(here []string) map[string]bool {
	m := make(map[string]bool, len(here))
	for _, name := range here {
		m[name] = true
	}
	return m
}

// values keeps small things by name; store.Store has it.
type values interface {
	Value(ctx context.Context, name string) ([]byte, error)
	SetValue(ctx context.Context, name string, value []byte) error
}

// contactsName is under what the times of contact are kept.
const contactsName = "peer.contact"

// loadContacts reads when each node was last heard of.
func (l *links) loadContacts(ctx context.Context) error {
	b, err := l.values.Value(ctx, contactsName)
	if err != nil || len(b) == 0 {
		return err
	}
	var at map[string]time.Time
	if json.Unmarshal(b, &at) != nil {
		return nil // it is only shown, and found out again
	}
	for name, t := range at {
		l.line(name).contact = t
	}
	return nil
}

// keepContacts keeps when each node was last heard of.
func (l *links) keepContacts(ctx context.Context) {
	if l.values == nil {
		return
	}
	at := map[string]time.Time{}
	l.mu.Lock()
	lines := slices.Collect(maps.Values(l.lines))
	l.mu.Unlock()
	for _, ln := range lines {
		if t := ln.contacted(); !t.IsZero() {
			at[ln.name] = t.UTC().Truncate(time.Second)
		}
	}
	b, err := json.Marshal(at)
	if err != nil || bytes.Equal(b, l.kept) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := l.values.SetValue(ctx, contactsName, b); err != nil {
		l.log.Error("times of contact are not kept", "error", err)
		return
	}
	l.kept = b
}

// contacted is when the node was last heard of.
func (ln *line) contacted() time.Time {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.conn != nil {
		return later(ln.contact, ln.conn.heardAt())
	}
	return ln.contact
}

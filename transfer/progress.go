package transfer

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Bar shows an import's progress to a person: one line that is drawn again on a
// terminal, otherwise a line every few seconds.
type Bar struct {
	w        io.Writer
	terminal bool
	width    int
	last     time.Duration
	drawn    bool
}

// NewBar makes a bar on f, which is usually os.Stderr.
func NewBar(f *os.File) *Bar {
	b := &Bar{w: f, terminal: term.IsTerminal(int(f.Fd())), width: 80, last: -time.Hour}
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		b.width = w
	}
	return b
}

// The intervals between two lines.
const (
	redraw = 100 * time.Millisecond
	repeat = 5 * time.Second
)

// Update shows p. It is meant as Options.Progress.
func (b *Bar) Update(p Progress) {
	wait := repeat
	if b.terminal {
		wait = redraw
	}
	last := p.Total > 0 && p.Done >= p.Total
	if p.Elapsed-b.last < wait && !(last && b.terminal) {
		return
	}
	b.last = p.Elapsed
	text := fmt.Sprintf("%s rows · %s/s · %d created, %d unchanged, %d updated, %d refused",
		of(p.Done, p.Total), thousands(int(p.PerSecond)), p.Created, p.Unchanged, p.Updated, p.Refused)
	if !b.terminal {
		fmt.Fprintln(b.w, text)
		return
	}
	if p.Total > 0 && b.width >= 60 {
		const cells = 20
		full := min(cells*p.Done/p.Total, cells)
		text = "[" + strings.Repeat("█", full) + strings.Repeat("░", cells-full) + "] " + text
	}
	if r := []rune(text); len(r) >= b.width {
		text = string(r[:b.width-1])
	}
	fmt.Fprint(b.w, "\r\x1b[K", text)
	b.drawn = true
}

// Done ends the line that was being drawn.
func (b *Bar) Done() {
	if b.drawn {
		fmt.Fprintln(b.w)
		b.drawn = false
	}
}

func of(done, total int) string {
	if total <= 0 {
		return thousands(done)
	}
	return thousands(done) + " of " + thousands(total)
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

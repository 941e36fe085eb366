package transfer

import (
	"context"
	"io"
	"time"
)

// OnWait makes r call fn instead of waiting.
func OnWait(r *Remote, fn func(context.Context, time.Duration) error) { r.wait = fn }

// NewTestBar makes a bar on any writer.
func NewTestBar(w io.Writer, terminal bool, width int) *Bar {
	return &Bar{w: w, terminal: terminal, width: width, last: -time.Hour}
}

var RetryAfter = retryAfter

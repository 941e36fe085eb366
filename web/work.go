package web

import (
	"context"
	"sync"
)

// background is work that goes on when the request that began it is answered. It
// ends with the server.
type background struct {
	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
	closed bool
}

// start runs fn, unless the server is being closed. fn must return soon after its
// context ends.
func (b *background) start(fn func(ctx context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	if b.ctx == nil {
		b.ctx, b.cancel = context.WithCancel(context.Background())
	}
	b.done.Go(func() { fn(b.ctx) })
	return true
}

// stop ends everything that is running and waits for it.
func (b *background) stop() {
	b.mu.Lock()
	b.closed = true
	if b.cancel != nil {
		b.cancel()
	}
	b.mu.Unlock()
	b.done.Wait()
}

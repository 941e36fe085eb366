package peer

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Run exchanges with other nodes until ctx ends: it follows the ledger, keeps the
// links, looks after witnesses, and fetches attachments.
func (x *Exchange) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, part := range []func(context.Context) error{x.runStreams, x.runLinks, x.runWitness, x.runAttachments} {
		g.Go(func() error { return part(ctx) })
	}
	err := g.Wait()
	x.stream.taken.finish()
	return err
}

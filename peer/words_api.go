package peer

import (
	"context"

	"konbit/store"
	"konbit/wire/bundle"
)

// Talk says words to a node that are said once and may be lost.
func (x *Exchange) Talk(node string, items ...bundle.Item) { x.talk(node, items...) }

// OnWord says what to do with the words of a topic. It is called before Run. An
// error is an alarm.
func (x *Exchange) OnWord(topic string, do func(ctx context.Context, from *store.Node, it bundle.Item) error) {
	x.onWord(topic, do)
}

// OnLink says what to do when a node can be reached that could not be before. It
// is called before Run; do must not wait for long.
func (x *Exchange) OnLink(do func(ctx context.Context, node string)) { x.met = append(x.met, do) }

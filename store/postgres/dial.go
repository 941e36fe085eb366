package postgres

import (
	"context"
	"net"
	"time"
)

// vanished is how long a server may leave us without a sign of life on a connection
// before it counts as gone. Without it, what waits for an answer waits for a quarter of
// an hour when a machine loses its power or its network.
const vanished = 3 * time.Second

// dial connects to a server.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 2}, Control: impatient}
	return d.DialContext(ctx, network, address)
}

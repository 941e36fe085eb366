package bus

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// dialer makes one connection for the client library, which is closed when ctx ends
// before the server has answered. It does TLS itself, because the guard stands within.
type dialer struct {
	ctx  context.Context
	url  *url.URL
	conn net.Conn
	stop func() bool
	err  error
}

var _ nats.CustomDialer = (*dialer)(nil)

// Dial implements nats.CustomDialer. It keeps the error, which the library replaces.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	n := net.Dialer{Timeout: patience}
	if d.conn, d.err = n.DialContext(d.ctx, network, address); d.err != nil {
		return nil, d.err
	}
	d.stop = context.AfterFunc(d.ctx, func() { d.conn.Close() })
	if d.web() {
		return d.conn, nil
	}
	g, err := d.greet()
	if d.err = err; err != nil {
		return nil, err
	}
	return g, nil
}

// web reports whether NATS goes over a WebSocket, which is left to the library.
func (d *dialer) web() bool { return strings.HasPrefix(d.url.Scheme, "ws") }

// SkipTLSHandshake tells the library who does TLS.
func (d *dialer) SkipTLSHandshake() bool { return !d.web() }

// greet reads the server's first line, which says whether TLS follows.
func (d *dialer) greet() (*guard, error) {
	d.conn.SetDeadline(time.Now().Add(patience))
	defer d.conn.SetDeadline(time.Time{})
	var line []byte
	for b := [1]byte{}; b[0] != '\n'; line = append(line, b[0]) { // by single bytes, so that nothing of TLS is taken
		if _, err := io.ReadFull(d.conn, b[:]); err != nil {
			return nil, err
		}
		if len(line) == maxLine {
			return nil, errProtocol
		}
	}
	var info struct {
		Required  bool `json:"tls_required"`
		Available bool `json:"tls_available"`
	}
	said, ok := strings.CutPrefix(string(line), "INFO ")
	if !ok || json.Unmarshal([]byte(said), &info) != nil {
		return nil, errProtocol
	}
	g := &guard{Conn: d.conn, first: line}
	if info.Required || info.Available && d.url.Scheme == "tls" { // with neither the library refuses tls:
		c := tls.Client(d.conn, &tls.Config{ServerName: d.url.Hostname(), MinVersion: tls.VersionTLS12})
		if err := c.HandshakeContext(d.ctx); err != nil {
			return nil, err
		}
		g.Conn = c
	}
	return g, nil
}

// done hands the connection over, or closes it after an error. It reports whether
// ctx ended before.
func (d *dialer) done(err error) (ended bool) {
	if d.stop == nil {
		return false
	}
	ended = !d.stop()
	if err != nil {
		d.conn.Close()
	}
	return ended
}

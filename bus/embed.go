package bus

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"

	"konbit/record"
)

// embed starts a server inside this process, which listens at the address when there is one.
func embed(listen string) (*server.Server, error) {
	opts := &server.Options{
		DontListen: true, NoLog: true, NoSigs: true, NoSystemAccount: true,
		// Whoever is on this machine may connect: he gets no more of its memory than a
		// process of the node needs, and cannot slow others down.
		MaxPayload: MaxPayload, MaxPending: 8 << 20, MaxConn: 256, MaxSubs: 1024, NoFastProducerStall: true,
	}
	if listen != "" {
		address, err := loopback(listen)
		if err != nil {
			return nil, err
		}
		opts.DontListen, opts.Host, opts.Port = false, address.Addr().String(), int(address.Port())
		if opts.Port == 0 {
			opts.Port = server.RANDOM_PORT
		}
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return nil, &record.Error{Code: record.Internal, Op: "bus.open", Message: "the NATS server inside this process cannot be made", Err: err}
	}
	var why complaint
	s.SetLogger(&why, false, false)
	s.Start()
	if listen != "" && s.Addr() == nil {
		s.Shutdown()
		return nil, &record.Error{Code: record.Unavailable, Op: "bus.open", Message: "the bus cannot listen at " + listen,
			Hint: "another program may listen there already", Err: why.err}
	}
	return s, nil
}

// loopback reads an address that only this machine reaches: whoever gets to the server
// may use it.
func loopback(listen string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(listen)
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, ipErr := netip.ParseAddr(host)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || ipErr != nil || portErr != nil || !ip.IsLoopback() {
		return netip.AddrPort{}, &record.Error{Code: record.Invalid, Op: "bus.open", Message: "the bus listens at a loopback address only",
			Hint: "127.0.0.1:4222, for example; processes on other machines need a NATS cluster"}
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

// complaint is a server's log that keeps why the server could not start. The rest is of
// no use to an administrator, and strangers could fill it.
type complaint struct{ err error }

var _ server.Logger = (*complaint)(nil)

func (c *complaint) Fatalf(format string, v ...any) { c.err = fmt.Errorf(format, v...) }
func (c *complaint) Errorf(string, ...any)          {}
func (c *complaint) Warnf(string, ...any)           {}
func (c *complaint) Noticef(string, ...any)         {}
func (c *complaint) Debugf(string, ...any)          {}
func (c *complaint) Tracef(string, ...any)          {}

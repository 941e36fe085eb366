package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"unicode"

	"github.com/nats-io/nats.go"

	"konbit/record"
)

// place is a server's address.
type place struct {
	name           string   // for the administrator: "the NATS server nats.example:4222"
	url            *url.URL // without secrets, which the library would put into its errors; nil: the server of this process
	user, password string   // a user alone is a token
}

// places reads addresses separated by commas, and shuffles them, so that the
// processes of a node spread over the servers. Its errors do not quote an address,
// which may hold a password.
func places(list string) ([]place, error) {
	var out []place
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if !strings.Contains(part, "://") {
			part = "nats://" + part
		}
		u, err := url.Parse(part)
		var port string
		if err == nil {
			port = map[string]string{"nats": "4222", "tls": "4222", "ws": "80", "wss": "443"}[u.Scheme]
		}
		if err != nil || port == "" || u.Hostname() == "" {
			return nil, &record.Error{Code: record.Invalid, Op: "bus.open", Message: fmt.Sprintf("address %d of the NATS servers cannot be read", len(out)+1),
				Hint: "nats://user:password@host:4222 or tls:, ws:, wss:; what is special in a password is written %2C and the like"}
		}
		if u.Port() == "" {
			u.Host = net.JoinHostPort(u.Hostname(), port)
		}
		p := place{name: "the NATS server " + u.Host, url: u, user: u.User.Username()}
		p.password, _ = u.User.Password()
		u.User = nil
		out = append(out, p)
	}
	if out == nil {
		return nil, record.Errorf(record.Invalid, "bus.open", "no address of a NATS server is given")
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out, nil
}

// cannot says in a sentence why there is no connection.
func (p place) cannot(err error) string {
	var cert *tls.CertificateVerificationError
	var dns *net.DNSError
	var reason string
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired),
		errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		return p.name + " refuses the user and password, or the token, that its address gives"
	case errors.Is(err, nats.ErrPermissionViolation):
		return p.name + " does not let this node use its subjects"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return p.name + " does not offer TLS"
	case errors.As(err, &cert):
		return p.name + " shows a certificate that is not trusted here: " + p.clean(cert.Err)
	case errors.As(err, &dns) && dns.IsNotFound:
		reason = "its name is not known"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout), errors.Is(err, nats.ErrStaleConnection):
		reason = "no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		reason = "connection refused"
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, nats.ErrConnectionClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		reason = "it broke the connection off"
	default:
		reason = p.clean(err)
	}
	return p.name + " cannot be reached: " + reason
}

// clean returns an error's text without secrets, and without what a stranger's server
// may have put into it to mislead who reads it.
func (p place) clean(err error) string {
	text := strings.TrimPrefix(err.Error(), "nats: ")
	for _, s := range []string{p.password, p.user} {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
	if r := []rune(text); len(r) > 160 {
		text = string(r[:160])
	}
	return text
}

// token makes a name one token of a subject. Different names stay different.
func token(name string) string {
	if name == "" {
		return "_"
	}
	var out strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
			out.WriteByte(c)
		default:
			fmt.Fprintf(&out, "_%02x", c)
		}
	}
	return out.String()
}

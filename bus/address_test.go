package bus

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// trusted and untrusted are certificates of 127.0.0.1.
var trusted, untrusted tls.Certificate

// TestMain lets this process trust one certificate, as an administrator would.
func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "bus")
	if err != nil {
		panic(err)
	}
	trusted, untrusted = certificate(), certificate()
	file := filepath.Join(folder, "trusted.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trusted.Certificate[0]}), 0o600); err != nil {
		panic(err)
	}
	os.Setenv("SSL_CERT_FILE", file)
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	raw, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

func TestEveryWayToAServer(t *testing.T) {
	whole(t)
	secure := &tls.Config{Certificates: []tls.Certificate{trusted}}
	false_ := &tls.Config{Certificates: []tls.Certificate{untrusted}}
	web := func(c *tls.Config) server.WebsocketOpts {
		return server.WebsocketOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoTLS: c == nil, TLSConfig: c}
	}
	for name, c := range map[string]struct {
		url  string // with the server's port
		opts server.Options
		away string // what it says; "": traffic flows
	}{
		"plain":                {"nats://127.0.0.1:%d", server.Options{}, ""},
		"no scheme":            {"127.0.0.1:%d", server.Options{}, ""},
		"password":             {"nats://dispatch:sesame%%2C1@127.0.0.1:%d", server.Options{Username: "dispatch", Password: "sesame,1"}, ""},
		"wrong password":       {"nats://dispatch:sesame%%2C2@127.0.0.1:%d", server.Options{Username: "dispatch", Password: "sesame,1"}, "refuses the user and password"},
		"token":                {"nats://sesame@127.0.0.1:%d", server.Options{Authorization: "sesame"}, ""},
		"wrong token":          {"nats://sesame2@127.0.0.1:%d", server.Options{Authorization: "sesame"}, "refuses the user and password, or the token"},
		"TLS":                  {"tls://127.0.0.1:%d", server.Options{TLSConfig: secure, TLSTimeout: 5}, ""},
		"TLS that is required": {"nats://127.0.0.1:%d", server.Options{TLSConfig: secure, TLSTimeout: 5}, ""},
		"TLS, untrusted":       {"tls://127.0.0.1:%d", server.Options{TLSConfig: false_, TLSTimeout: 5}, "certificate that is not trusted"},
		"TLS that is not":      {"tls://127.0.0.1:%d", server.Options{}, "does not offer TLS"},
		"WebSocket":            {"ws://127.0.0.1:%d", server.Options{Websocket: web(nil)}, ""},
		"WebSocket, TLS":       {"wss://127.0.0.1:%d", server.Options{Websocket: web(secure)}, ""},
		"WebSocket, untrusted": {"wss://127.0.0.1:%d", server.Options{Websocket: web(false_)}, "certificate that is not trusted"},
		"WebSocket that isn't": {"ws://127.0.0.1:%d", server.Options{}, "cannot be reached"},
		"no such name":         {"nats://sesame@nowhere.invalid:%d", server.Options{}, "cannot be reached"},
		"not allowed": {"nats://a:sesame@127.0.0.1:%d", server.Options{Users: []*server.User{{Username: "a", Password: "sesame",
			Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{"konbit.another.>"}}, Subscribe: &server.SubjectPermission{Allow: []string{"konbit.another.>"}}}}}},
			"does not let this node use its subjects"},
		"not allowed to send": {"nats://a:sesame@127.0.0.1:%d", server.Options{Users: []*server.User{{Username: "a", Password: "sesame",
			Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{"konbit.another.>"}}}}}},
			"does not let this node use its subjects"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveNATS(t, c.opts)
			p := port(s)
			if strings.HasPrefix(c.url, "ws") && c.opts.Websocket.Host != "" {
				u := s.WebsocketURL()
				if _, err := fmt.Sscanf(u[strings.LastIndex(u, ":")+1:], "%d", &p); err != nil {
					t.Fatal(err)
				}
			}
			var log journal
			b := open(t, Config{URL: fmt.Sprintf(c.url, p), Log: log.log(), Echo: true})
			heard := make(chan string, 64)
			b.Subscribe("grown", 1, func(p []byte) { heard <- string(p) })
			if c.away == "" {
				flowing(t, b)
				expect(t, heard, "")
				b.Publish("grown", []byte("42"))
				expect(t, heard, "42")
			} else {
				await(t, c.away, func() bool {
					b.Publish("grown", nil)
					why, _, _ := b.Away()
					return strings.Contains(why, c.away)
				})
			}
			b.Close()
			why, _, _ := b.Away()
			if got := log.String() + why; strings.Contains(got, "sesame") {
				t.Errorf("a secret gets out:\n%s", got)
			} else if c.away != "" && !strings.Contains(got, c.away) {
				t.Errorf("the log does not tell:\n%s", got)
			}
		})
	}
}

func TestServersWordsAreCleaned(t *testing.T) {
	list, err := places("nats://dispatch:s%2Ame@a:1")
	if err != nil {
		t.Fatal(err)
	}
	got := list[0].cannot(fmt.Errorf("nats: no s*me\x1b[2J dispatch here %s", strings.Repeat("é", 1000)))
	if !strings.HasPrefix(got, "the NATS server a:1 cannot be reached: no ***[2J *** here é") || len(got) > 500 {
		t.Errorf("%q", got)
	}
}

// TestServerThatLiesEndsTheConnectionAlone has servers announce what would end the
// process if the client library believed it.
func TestServerThatLiesEndsTheConnectionAlone(t *testing.T) {
	whole(t)
	const huge = "4611686018427387904"
	for name, lie := range map[string]string{
		"a length":                          "MSG SUBJECT SID " + huge + "\r\nabc",
		"with a header":                     "HMSG SUBJECT SID 10 " + huge + "\r\nabc",
		"in small letters":                  "msg SUBJECT SID " + huge + "\r\nabc",
		"with a number that is cut":         "MSG SUBJECT SID " + huge + "\r3\nabc",
		"after a message that ends early":   "MSG SUBJECT SID 0\r\n\nMSG SUBJECT SID 50\r\nMSG SUBJECT SID " + huge + "\r\nabc",
		"after words that do not end":       "INFO \nMSG SUBJECT SID 80\r\nMSG SUBJECT SID " + huge + "\r\nabc",
		"after an error that does not end":  "-ERR \nMSG SUBJECT SID 80\r\nMSG SUBJECT SID " + huge + "\r\nabc",
		"after a message that does not end": "MSG SUBJECT SID 3\r\nabcd\r\nMSG SUBJECT SID " + huge + "\r\nabc",
		"a line without end":                "INFO " + strings.Repeat("x", maxLine+1),
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, Config{URL: at(liar(t, lie))})
			b.Subscribe("grown", 1, func([]byte) {})
			says(t, b, "what answers there does not speak NATS")
		})
	}
}

// TestGuardLetsNATSThrough cuts a sound stream into pieces of every size.
func TestGuardLetsNATSThrough(t *testing.T) {
	stream := []byte("INFO {\"a\":1}\r\nPING\r\nPONG\r\n+OK\r\n-ERR 'Slow Consumer'\r\nMSG a.b 1 0\r\n\r\nMSG a.b 1 reply 5\r\n12\r\n3\r\nHMSG a 2 12 14\r\nNATS/1.0\r\n\r\nab\r\nPING\r\n")
	for size := 1; size <= len(stream); size++ {
		var g guard
		for rest := bytes.Clone(stream); len(rest) > 0; {
			n := min(size, len(rest))
			if !g.sound(rest[:n]) {
				t.Fatalf("in pieces of %d it stops before %q", size, rest[n:])
			}
			rest = rest[n:]
		}
		if len(g.line) != 0 || g.skip != 0 || g.tail != "" {
			t.Fatalf("in pieces of %d something is left: %+v", size, g)
		}
	}
}

// liar is a server that answers a subscription with what it is told.
func liar(t *testing.T, lie string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go lieTo(c, lie)
		}
	}()
	return l.Addr().String()
}

func lieTo(c net.Conn, lie string) {
	defer c.Close()
	fmt.Fprint(c, "INFO {\"server_id\":\"x\",\"proto\":1,\"max_payload\":1048576}\r\n")
	var got []byte
	for buf := make([]byte, 4096); ; {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		for got = append(got, buf[:n]...); ; {
			line, rest, whole := bytes.Cut(got, []byte("\r\n"))
			if !whole {
				break
			}
			got = rest
			switch words := strings.Fields(string(line)); words[0] {
			case "PING":
				fmt.Fprint(c, "PONG\r\n")
			case "SUB":
				fmt.Fprint(c, strings.NewReplacer("SUBJECT", words[1], "SID", words[2]).Replace(lie))
			}
		}
	}
}

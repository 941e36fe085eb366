package peer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net"
	"slices"
	"sync"
	"time"

	"konbit/ledger"
	"konbit/record"
	"konbit/store"
)

// HelloType is the DSSE payload type of what two nodes say in a handshake.
const HelloType = "application/vnd.konbit.hello+json"

// A handshake takes two requests of the one that dials:
//
//	hello    -> who I am, whom I want, a nonce
//	         <- a challenge, signed by the one that was dialled
//	session  -> both nonces and what I have, signed
//	         <- both nonces, what I have and a token, signed
//
// The challenge is made of a secret and the time, so that a stranger who asks
// for many costs no memory. It is good once, for a minute.
const (
	challengeLife = time.Minute
	sessionLife   = 12 * time.Hour // then a new handshake, when nothing is under way; a silent one ends within a minute
	maxHello      = 2 << 20        // bytes of a message; a card and a list of what a hub keeps may be in it
	maxStored     = 4096           // entries of that list
)

// helloRequest begins a handshake.
type helloRequest struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Nonce []byte `json:"nonce"` // 32 bytes
}

// signedWord is a greeting with its signature.
type signedWord struct {
	Payload []byte `json:"payload"` // a greeting
	KeyID   string `json:"keyId"`
	Sig     []byte `json:"sig"`
	Card    []byte `json:"card,omitempty"` // of the dialler, when the other did not know its key
}

// greeting is what is signed. As says which of the three it is, so that none
// passes for another.
type greeting struct {
	As        string    `json:"as"` // challenge, dialler, dialled
	From      string    `json:"from"`
	To        string    `json:"to"`
	Nonce     []byte    `json:"nonce"`
	Challenge []byte    `json:"challenge"`
	At        time.Time `json:"at"`
	Have      *have     `json:"have,omitempty"`
	Token     string    `json:"token,omitempty"`
}

// have is what a node has of the other's stream and documents.
type have struct {
	Applied   [store.Lanes]int64 `json:"applied"`          // of the other's stream
	Received  [store.Lanes]int64 `json:"received"`         // the newest receipt of the other
	Last      int64              `json:"last"`             // the newest number that it gave out
	Card      int64              `json:"card"`             // serial of the other's card
	Region    string             `json:"region,omitempty"` // whose directory it has
	Directory int64              `json:"directory"`        // and its serial
	Stored    []storedWord       `json:"stored,omitempty"` // what it carries of the other's streams
	Here      []string           `json:"here,omitempty"`   // who is connected to it, when it is a hub
}

// doors is what the side that is dialled remembers of handshakes.
type doors struct {
	secret [32]byte
	mu     sync.Mutex
	open   map[string]*conn     // sessions by token; one a node, see attach
	used   map[string]time.Time // challenges of handshakes that succeeded
	fails  map[string]*failures // by address
}

type failures struct {
	count float64
	at    time.Time
}

func (d *doors) init() {
	rand.Read(d.secret[:])
	d.open, d.used, d.fails = map[string]*conn{}, map[string]time.Time{}, map[string]*failures{}
}

// challenge makes one for a hello at a time; it holds the time and proves itself.
func (d *doors) challenge(r *helloRequest, at time.Time) []byte {
	m := hmac.New(sha256.New, d.secret[:])
	b := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli()))
	m.Write(b)
	for _, s := range []string{r.From, r.To, string(r.Nonce)} {
		m.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		m.Write([]byte(s))
	}
	return m.Sum(b)
}

// redeem checks a challenge that was answered, and takes it.
func (d *doors) redeem(g *greeting, now time.Time) error {
	if len(g.Challenge) != 8+sha256.Size {
		return refusal(record.Denied, "expired", "the challenge is none of ours")
	}
	at := time.UnixMilli(int64(binary.BigEndian.Uint64(g.Challenge)))
	want := d.challenge(&helloRequest{From: g.From, To: g.To, Nonce: g.Nonce}, at)
	if subtle.ConstantTimeCompare(want, g.Challenge) != 1 || now.Sub(at).Abs() > challengeLife {
		return refusal(record.Denied, "expired", "the challenge is none of ours, or too old")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, again := d.used[string(g.Challenge)]; again {
		return refusal(record.Denied, "replayed", "this answer to the challenge was given before")
	}
	d.used[string(g.Challenge)] = at
	return nil
}

// admit gives a connection its token.
func (d *doors) admit(c *conn) {
	var b [32]byte
	rand.Read(b[:])
	c.token = base64.RawURLEncoding.EncodeToString(b[:])
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[c.token] = c
}

// session returns the connection of a token.
func (d *doors) session(token string) *conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open[token]
}

func (d *doors) close(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, c.token)
}

// sweep forgets what is over.
func (d *doors) sweep(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, at := range d.used {
		if now.Sub(at).Abs() > 2*challengeLife {
			delete(d.used, k)
		}
	}
	for k, f := range d.fails {
		if time.Since(f.at) > 10*time.Minute {
			delete(d.fails, k)
		}
	}
}

// Failed handshakes of an address: so many at once, and one more every so often.
const (
	manyFails  = 20
	failEvery  = 5 * time.Second
	maxFailers = 10_000
)

// fail notes a failed handshake and reports whether the address has had too many.
// One that can prove who it is is never turned away for the failures of others.
func (d *doors) fail(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.fails[host]
	if f == nil {
		if len(d.fails) >= maxFailers {
			return true
		}
		f = &failures{at: time.Now()}
		d.fails[host] = f
	}
	f.count = max(0, f.count-float64(time.Since(f.at))/float64(failEvery)) + 1
	f.at = time.Now()
	f.count = min(f.count, manyFails+1)
	return f.count > manyFails
}

// refusal is an error that the other side reads by its name.
func refusal(code record.Code, name, text string, args ...any) error {
	return record.Errorf(code, "link."+name, text, args...)
}

// signed signs a greeting with our link key.
func (l *links) signed(g *greeting) (*signedWord, error) {
	b, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	key := l.sign()
	return &signedWord{Payload: b, KeyID: ledger.KeyID(key.Public().(ed25519.PublicKey)), Sig: ledger.SignAs(key, HelloType, b)}, nil
}

// anyKey is some public key (the base point, RFC 8032 §5.1). What is verified with it
// is refused all the same.
func anyKey() ed25519.PublicKey {
	k := bytes.Repeat([]byte{0x66}, ed25519.PublicKeySize)
	k[0] = 0x58
	return k
}

// verified reads a greeting of a node that is known. In a handshake only the key
// in force counts: a key that was retired because it was lost must not open a link.
func verified(w *signedWord, n *store.Node, as string) (*greeting, error) {
	key := anyKey() // a stranger must cost as much as a node that is known
	if n != nil {
		key = n.Sign
	}
	if ok := ledger.VerifyAs(key, HelloType, w.Payload, w.Sig); !ok || n == nil || ledger.KeyID(n.Sign) != w.KeyID {
		return nil, refusal(record.Denied, "unknown", "the node is not known here, or not with this key")
	}
	var g greeting
	if err := json.Unmarshal(w.Payload, &g); err != nil || g.As != as || g.From != n.Name {
		return nil, refusal(record.Invalid, "malformed", "the greeting cannot be read")
	}
	return &g, nil
}

// mayLink says by name why a node whose key was proven may not connect.
func (l *links) mayLink(n *store.Node) error {
	switch n.State {
	case store.NodeActive:
		ln := l.line(n.Name)
		ln.mu.Lock()
		defer ln.mu.Unlock()
		if ln.byHand {
			return refusal(record.Unavailable, "cut", "the link was cut by hand")
		}
		return nil
	case store.NodePending:
		return refusal(record.Denied, "pending", "an administrator has not approved the node yet")
	case store.NodeRevoked:
		return refusal(record.Denied, "revoked", "the node was revoked")
	}
	return refusal(record.Denied, "refused", "the node was refused: an administrator has to resume it")
}

// haveOf is what we tell a node that we have.
func (l *links) haveOf(ctx context.Context, n *store.Node) (*have, error) {
	applied, err := l.flow.appliedOf(ctx, n.Name)
	if err != nil {
		return nil, err
	}
	out, err := l.flow.outgoing(ctx, n.Name)
	if err != nil {
		return nil, err
	}
	h := &have{Applied: applied, Received: out.Received, Last: out.Last, Card: n.Serial}
	if d := l.trust.Directory(); d != nil {
		h.Region, h.Directory = d.Region, d.Serial
	}
	if l.isHub() && l.member(n.Name) {
		h.Here = append(l.present(), l.self) // never empty: that would say nothing
	}
	if l.relay != nil {
		h.Stored = l.relay.stored(n.Name, l.fullName)
		h.Stored = h.Stored[:min(len(h.Stored), maxStored)]
	}
	return h, nil
}

// greet makes what the other said count for a connection, before it is attached.
func (l *links) greet(ctx context.Context, c *conn, n *store.Node, h *have) error {
	if h == nil || len(h.Stored) > maxStored || min(slices.Min(h.Applied[:]), slices.Min(h.Received[:]), h.Last) < 0 {
		return refusal(record.Invalid, "malformed", "the greeting does not say what the node has")
	}
	if err := l.flow.hear(ctx, n, h.Applied, h.Last); err != nil {
		return err
	}
	c.start = h.Applied
	c.card, c.region, c.directory = h.Card, h.Region, h.Directory
	if h.Here != nil {
		c.here = presence(append(h.Here, l.self))
	}
	for _, w := range h.Stored {
		c.out.stored(w)
	}
	return nil
}

// welcome says what is due once a connection is attached: documents, our receipt
// when the other does not have it, and what is kept of receipts for it and for
// nodes that it carries for.
func (l *links) welcome(ctx context.Context, c *conn, h *have) {
	c.documents()
	applied, err := l.flow.appliedOf(ctx, c.line.name)
	if err == nil && applied != h.Received {
		c.owe(c.line.name)
	}
	if l.relay != nil {
		for _, b := range l.relay.receipts(c.line.name) {
			c.say(frame(frameReceipt, b))
		}
	}
	for _, n := range l.trust.Active() {
		if n.Name == c.line.name || l.hubOf(n) != c.line.name {
			continue
		}
		if applied, err := l.flow.appliedOf(ctx, n.Name); err == nil && applied != [store.Lanes]int64{} {
			c.owe(n.Name)
		}
	}
}

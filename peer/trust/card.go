package trust

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"konbit/record"
)

// What a document may hold at most.
const (
	MaxCard      = 256 << 10 // bytes of a card with its envelope
	MaxDirectory = 8 << 20   // bytes of a directory with its envelope
	MaxOldKeys   = 64        // replaced keys of one agency or node
	maxAgencies  = 200       // of one node
	maxURLs      = 8
	maxMembers   = 1000
	maxIn        = 50 // communities of one agency
)

// Overlap is how long a link key that was replaced in good order still counts.
const Overlap = 30 * 24 * time.Hour

var (
	nodeName   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,80}/[a-z0-9][a-z0-9-]{0,40}$`)
	regionName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,39}$`)
	country    = regexp.MustCompile(`^[A-Z]{2}$`)
)

// NodeName reports whether s has the form of a node's name: "konbit.node/1a2b3c4d".
func NodeName(s string) bool { return nodeName.MatchString(s) }

// RegionName reports whether s has the form of a region's name: "hispaniola".
func RegionName(s string) bool { return regionName.MatchString(s) }

// Short returns a node's name in addresses: the part after the slash.
func Short(node string) string { return node[strings.LastIndexByte(node, '/')+1:] }

// SignedCard is a card that was read, with the bytes that it came in.
type SignedCard struct {
	Card
	Bytes    []byte
	envelope *envelope
}

// SignedBy reports whether the key signed the card.
func (c *SignedCard) SignedBy(key ed25519.PublicKey) bool { return c.envelope.by(key) }

// SignCard signs a card: with the node's link key, and with those that it
// replaced, so that who trusts one of them can trust the new one.
func SignCard(c *Card, keys ...ed25519.PrivateKey) ([]byte, error) {
	if err := c.check().Err("card"); err != nil {
		return nil, err
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return seal(CardType, b, keys...)
}

// ParseCard reads a card and checks that it says what a card may say, and that
// the key that it names signed it. Whether that key is to be trusted is another
// question: see Service.TakeCard.
func ParseCard(b []byte) (*SignedCard, error) {
	const op = "card"
	e, err := unseal(op, CardType, b, MaxCard)
	if err != nil {
		return nil, err
	}
	c := &SignedCard{Bytes: slices.Clone(b), envelope: e}
	if err := json.Unmarshal(e.payload, &c.Card); err != nil {
		return nil, &record.Error{Code: record.Invalid, Op: op, Message: "this is no card", Err: err}
	}
	if err := c.check().Err(op); err != nil {
		return nil, err
	}
	if !e.by(c.Sign) {
		return nil, record.Errorf(record.Denied, op, "the card of %s is not signed with the key that it names", c.Node)
	}
	return c, nil
}

// check says what is wrong with a card.
func (c *Card) check() record.Fields {
	var f record.Fields
	if !NodeName(c.Node) {
		f.Add("node", "invalid", "must be the name of a node: konbit.node/1a2b3c4d")
	}
	words(&f, "title", c.Title, 1, 200)
	if v, err := note.NewVerifier(c.Ledger); err != nil || len(c.Ledger) > 300 {
		f.Add("ledger", "invalid", "must be the key of a ledger's checkpoints")
	} else if v.Name() != c.Node {
		f.Add("ledger", "invalid", "is the key of another node")
	}
	checkKey(&f, "sign", c.Sign)
	checkOld(&f, "oldSign", c.Sign, c.OldSign)
	if _, err := age.ParseX25519Recipient(c.Seal); err != nil || len(c.Seal) > 100 {
		f.Add("seal", "invalid", "must be an age recipient (X25519)")
	}
	if len(c.URLs) > maxURLs {
		f.Add("urls", "max", fmt.Sprintf("at most %d addresses", maxURLs))
	}
	for i, u := range c.URLs {
		if err := checkURL(u); err != "" {
			f.Add(record.Index("urls", i), "invalid", err)
		}
	}
	if len(c.Agencies) > maxAgencies {
		f.Add("agencies", "max", fmt.Sprintf("at most %d agencies", maxAgencies))
		return f
	}
	seen := map[string]bool{}
	for i := range c.Agencies {
		a := &c.Agencies[i]
		if seen[a.ID] {
			f.Add(record.Index("agencies", i), "repeated", "is named twice")
		}
		seen[a.ID] = true
		a.check(&f, record.Index("agencies", i))
	}
	if c.Serial <= 0 {
		f.Add("serial", "min", "must be above 0")
	}
	return f
}

func (a *Agency) check(f *record.Fields, at string) {
	if !record.AgencyID(a.ID) {
		f.Add(at+".id", "invalid", "must be a country or sphere and a name, in lower case: ht.cc")
	}
	words(f, at+".name", a.Name, 1, 200)
	words(f, at+".contact", a.Contact, 0, 500)
	if a.Country != "" && !country.MatchString(a.Country) {
		f.Add(at+".country", "invalid", "must be two capital letters (ISO 3166-1): HT")
	}
	checkKey(f, at+".key", a.Key)
	checkOld(f, at+".oldKeys", a.Key, a.OldKeys)
}

func checkKey(f *record.Fields, at string, k ed25519.PublicKey) {
	if len(k) != ed25519.PublicKeySize {
		f.Add(at, "invalid", "must be an Ed25519 public key, 32 bytes")
	}
}

func checkOld(f *record.Fields, at string, now ed25519.PublicKey, old []OldKey) {
	if len(old) > MaxOldKeys {
		f.Add(at, "max", fmt.Sprintf("at most %d replaced keys", MaxOldKeys))
		return
	}
	for i, o := range old {
		checkKey(f, record.Index(at, i), o.Key)
		if now.Equal(o.Key) {
			f.Add(record.Index(at, i), "invalid", "is the key in force, too")
		}
	}
}

// words says what is wrong with something that people will read.
func words(f *record.Fields, path, s string, least, most int) {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		f.Add(path, "utf8", "not valid UTF-8")
	case n < least || strings.TrimSpace(s) == "" && least > 0:
		f.Add(path, "required", "must not be empty")
	case n > most:
		f.Add(path, "max", "too long")
	case strings.ContainsFunc(s, hidden):
		f.Add(path, "invalid", "must not contain control characters")
	}
}

// hidden reports whether a character could make words read as others: controls,
// and marks that turn the direction of writing.
func hidden(r rune) bool {
	return unicode.IsControl(r) || r >= 0x200e && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// checkURL says what is wrong with the address of a node, "" when nothing is.
func checkURL(s string) string {
	if len(s) > 300 || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return hidden(r) || unicode.IsSpace(r) }) {
		return "must be an address of at most 300 characters"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Hostname() == "":
		return "must be an address that begins with https:// or http://"
	case u.User != nil:
		return "must not hold a name or a password"
	case u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(s, "?#"):
		return "must end before ? and #"
	}
	return ""
}

package trust

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"konbit/record"
	"konbit/store"
)

const (
	maxInvitations = 50
	longestInvite  = 30 * 24 * time.Hour
	usualInvite    = 48 * time.Hour
)

// A joinRequest is the body of POST /peer/v1/join. Proof is the HMAC-SHA256 of the
// card under the invitation's secret; the secret itself never travels but in the
// code.
type joinRequest struct {
	Card  []byte    `json:"card"`
	Proof []byte    `json:"proof"`
	Time  time.Time `json:"time"` // the joiner's clock, for whoever looks into a quarrel of clocks
}

// A joinAnswer carries the inviter's card and, into a region, its directory. Proof
// covers both, so that nobody in between can put another region in their place.
type joinAnswer struct {
	Card      []byte `json:"card"`
	Directory []byte `json:"directory,omitempty"`
	Proof     []byte `json:"proof"`
}

func joinProof(secret, card []byte) []byte { return proof(secret, "konbit join", card) }

func answerProof(secret []byte, a *joinAnswer) []byte {
	return proof(secret, "konbit joined", a.Card, a.Directory)
}

// proof is an HMAC over framed parts, so that no part can be taken for another.
func proof(secret []byte, what string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, secret)
	io.WriteString(h, what)
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return h.Sum(nil)
}

// Invite makes an invitation: to exchange with this node or, at a founder, to join
// its region. url is where the other reaches this node, "" for the first of ours;
// life is bounded to 30 days, 0 means two.
func (s *Service) Invite(ctx context.Context, actor string, region bool, url string, life time.Duration) (code string, err error) {
	const op = "peer.invite"
	if life == 0 {
		life = usualInvite
	}
	if life < time.Minute || life > longestInvite {
		return "", record.Errorf(record.Invalid, op, "an invitation is good for a minute to 30 days")
	}
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return "", err
	}
	if region && !s.founder() {
		return "", record.Errorf(record.Denied, op, "only the node that founded a region invites into it")
	}
	if url == "" && len(s.cfg.URLs) > 0 {
		url = s.cfg.URLs[0]
	}
	if url == "" {
		return "", record.Errorf(record.Invalid, op, "this node has no address at which another could reach it; name one")
	}
	if err := s.refresh(ctx); err != nil {
		return "", err
	}
	s.expire()
	if len(s.memory.Invitations) >= maxInvitations {
		return "", record.Errorf(record.TooMany, op, "%d invitations are open; wait until one is used or expires", maxInvitations)
	}
	v := Invitation{URL: strings.TrimRight(url, "/"), Fingerprint: Fingerprint(s.Self().Sign), Region: region, Expires: s.cfg.Now().Add(life).UTC().Truncate(time.Minute)}
	rand.Read(v.Secret[:])
	if code, err = v.Code(); err != nil {
		return "", err
	}
	s.memory.Invitations = append(s.memory.Invitations, invitation{Secret: v.Secret[:], Region: region, Expires: v.Expires, By: actor})
	if err := s.keep(ctx); err != nil {
		return "", err
	}
	e := Entry{What: "node invited", URLs: []string{v.URL}, Why: "until " + v.Expires.Format(time.RFC3339)}
	if region {
		e.Region = s.memory.Region.Name
	}
	return code, s.commit(ctx, actor, e)
}

// expire drops invitations that are over.
func (s *Service) expire() {
	now := s.cfg.Now()
	s.memory.Invitations = slices.DeleteFunc(s.memory.Invitations, func(i invitation) bool { return !now.Before(i.Expires) })
}

// Join asks the node that made an invitation to exchange with us. The code proves
// its key, so it is active here at once; there, an administrator approves. Into a
// region it also tells us whom to believe from then on. After a lost answer the same
// code can be used again.
func (s *Service) Join(ctx context.Context, actor, code string) (*store.Node, error) {
	const op = "peer.join"
	inv, err := ParseCode(code)
	if err != nil {
		return nil, err
	}
	if now := s.cfg.Now(); !now.Before(inv.Expires) {
		e := record.Errorf(record.Stale, op, "this invitation was good until %s", inv.Expires.Format(time.RFC3339))
		e.Hint = "ask for a new one; or the clock of this machine is wrong: it says " + now.UTC().Format(time.RFC3339)
		return nil, e
	}
	card, err := s.SelfCard(ctx)
	if err != nil {
		return nil, err
	}
	if Fingerprint(s.Self().Sign) == inv.Fingerprint {
		return nil, record.Errorf(record.Invalid, op, "this invitation is our own")
	}
	a, err := s.ask(ctx, inv, card)
	if err != nil {
		return nil, err
	}
	c, d, err := a.check(op, inv)
	if err != nil {
		return nil, err
	}
	end, err := s.begin(ctx)
	defer end()
	if err != nil {
		return nil, err
	}
	return s.joined(ctx, op, actor, inv, c, d)
}

// ask sends the request and reads the answer.
func (s *Service) ask(ctx context.Context, inv *Invitation, card []byte) (*joinAnswer, error) {
	const op = "peer.join"
	body, err := json.Marshal(joinRequest{Card: card, Proof: joinProof(inv.Secret[:], card), Time: s.cfg.Now().UTC()})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, inv.URL+joinPath, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, &record.Error{Code: record.Unavailable, Op: op, Message: "the node at " + inv.URL + " cannot be reached", Hint: "is the line up, and the address right?", Err: err}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, refusal(op, inv.URL, res)
	}
	var a joinAnswer
	if err := json.NewDecoder(io.LimitReader(res.Body, 2*(MaxCard+MaxDirectory))).Decode(&a); err != nil {
		return nil, &record.Error{Code: record.Unavailable, Op: op, Message: "the answer of " + inv.URL + " cannot be read", Err: err}
	}
	return &a, nil
}

// check says whether the answer is the inviter's, whose key the code names.
func (a *joinAnswer) check(op string, inv *Invitation) (*SignedCard, *SignedDirectory, error) {
	forged := func(why string) error {
		e := record.Errorf(record.Denied, op, "who answers at %s is not the node that made this invitation: %s", inv.URL, why)
		e.Hint = "somebody may sit in between; take it up with whoever gave you the code"
		return e
	}
	c, err := ParseCard(a.Card)
	if err != nil {
		return nil, nil, err
	}
	if p := Fingerprint(c.Sign); !hmac.Equal(p[:], inv.Fingerprint[:]) {
		return nil, nil, forged("it has another key")
	}
	if !hmac.Equal(a.Proof, answerProof(inv.Secret[:], a)) {
		return nil, nil, forged("it does not know the secret of the code")
	}
	if !inv.Region {
		return c, nil, nil
	}
	d, err := ParseDirectory(a.Directory)
	if err != nil {
		return nil, nil, err
	}
	if d.find(c.Node) < 0 {
		return nil, nil, forged("it is not in the region whose directory it shows")
	}
	return c, d, nil
}

// joined writes what a join has brought.
func (s *Service) joined(ctx context.Context, op, actor string, inv *Invitation, c *SignedCard, d *SignedDirectory) (*store.Node, error) {
	v := s.now.Load()
	if err := v.admissible(op, c); err != nil {
		return nil, err
	}
	n := store.Node{Since: s.time()}
	if old := v.named[c.Node]; old != nil {
		if n = *old; n.State == store.NodeRevoked {
			return nil, revoked(op, old)
		}
	}
	if r := s.memory.Region; d != nil && r != nil && (r.Name != d.Region || !r.Key.Equal(d.Key)) {
		return nil, record.Errorf(record.Conflict, op, "this node is in the region %s, and can be in one only", r.Name)
	}
	if !slices.Contains(c.URLs, inv.URL) && !s.memory.Routes[c.Node].Fixed {
		if s.memory.Routes == nil {
			s.memory.Routes = map[string]route{}
		}
		s.memory.Routes[c.Node] = route{URLs: []string{inv.URL}}
	}
	e := Entry{What: "node joined", Node: c.Node, Title: c.Title, Fingerprint: Spoken(c.Sign), Serial: c.Serial, URLs: []string{inv.URL}}
	if d != nil {
		s.memory.Region = &region{Name: d.Region, Key: d.Key}
		n.Region, e.Region = d.Region, d.Region
	}
	if err := s.keep(ctx); err != nil {
		return nil, err
	}
	if c.Serial < n.Serial && c.Sign.Equal(n.Sign) { // an answer that was long under way
		newer, err := ParseCard(n.Card)
		if err != nil {
			return nil, err
		}
		c = newer
	}
	s.fill(&n, c)
	if n.State != store.NodeActive && n.State != store.NodeRefused {
		n.State, n.Since, n.Why = store.NodeActive, s.time(), ""
	}
	if err := s.commit(ctx, actor, e, append(changedNode(v, n), s.agencies(v, c, nil)...)...); err != nil {
		return nil, err
	}
	if d != nil && (s.memory.dir == nil || s.memory.dir.Serial < d.Serial) {
		if err := s.apply(ctx, actor, Entry{What: "directory taken"}, d); err != nil {
			return nil, err
		}
	}
	return s.node(op, c.Node)
}

// admit is the inviter's side: it keeps the joiner as pending, and answers.
func (s *Service) admit(ctx context.Context, r *joinRequest) (*joinAnswer, error) {
	const op = "peer.join"
	s.change.Lock()
	defer s.change.Unlock()
	inv := s.invitation(r)
	if inv == nil {
		return nil, errNoInvitation
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	c, err := ParseCard(r.Card)
	if err != nil {
		return nil, err
	}
	if inv.Node != "" && inv.Node != c.Node {
		return nil, record.Errorf(record.Denied, op, "this invitation was used already, by another node")
	}
	var region string
	if inv.Region {
		if !s.founder() {
			return nil, record.Errorf(record.Stale, op, "this node founded no region")
		}
		region = s.memory.Region.Name
	}
	if err := s.receive(ctx, op, c, region); err != nil {
		return nil, err
	}
	inv.Node = c.Node
	if err := s.keep(ctx); err != nil {
		return nil, err
	}
	if err := s.refresh(ctx); err != nil {
		return nil, err
	}
	a := &joinAnswer{Card: s.Self().Card}
	if region != "" {
		a.Directory = s.memory.dir.Bytes
	}
	a.Proof = answerProof(inv.Secret, a)
	return a, nil
}

// errNoInvitation is for who knows no secret of ours.
var errNoInvitation = &record.Error{Code: record.Denied, Op: "peer.join", Message: "the invitation is not known here, or has expired", Hint: "ask for a new one"}

// invitation returns the open invitation that the request proves to know. It looks
// at every one, whichever fits.
func (s *Service) invitation(r *joinRequest) (found *invitation) {
	s.expire()
	for i := range s.memory.Invitations {
		if inv := &s.memory.Invitations[i]; hmac.Equal(r.Proof, joinProof(inv.Secret, r.Card)) {
			found = inv
		}
	}
	return found
}

// receive keeps a node that knows a secret of ours until it is approved. It does
// nothing for one that is active already, except into a region: that a person decides.
func (s *Service) receive(ctx context.Context, op string, c *SignedCard, region string) error {
	n := s.now.Load().named[c.Node]
	if n == nil || n.State == store.NodePending {
		return s.pend(ctx, op, nobody, c, region)
	}
	if n.State == store.NodeRevoked {
		return record.Errorf(record.Denied, op, "the node %s was revoked here", c.Node)
	}
	if err := s.trusted(op, n, c); err != nil {
		return err
	}
	if err := s.takeCard(ctx, nobody, n, c); err != nil || region == "" || n.Region == region {
		return err
	}
	now := *s.now.Load().named[c.Node]
	now.Region = region
	s.route(&now)
	e := Entry{What: "node asked to join", Node: n.Name, Title: n.Title, Fingerprint: Spoken(now.Sign), Region: region}
	return s.commit(ctx, nobody, e, store.PutNode{Node: now})
}

// refusal is what another node answered, as words that nobody vouches for.
func refusal(op, url string, res *http.Response) error {
	var p problem
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&p); err != nil || p.Detail == "" {
		p.Detail = res.Status
	}
	code := record.Unavailable
	switch res.StatusCode {
	case http.StatusForbidden, http.StatusUnauthorized:
		code = record.Denied
	case http.StatusConflict:
		code = record.Conflict
	case http.StatusTooManyRequests:
		code = record.TooMany
	}
	return &record.Error{Code: code, Op: op, Message: fmt.Sprintf("the node at %s says: %q", url, tidy(p.Detail, 300)), Hint: tidy(p.Hint, 300)}
}

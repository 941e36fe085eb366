package web

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"konbit/account"
	"konbit/desk"
	"konbit/peer"
	"konbit/peer/trust"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
)

// Exchange is what the console shows and does of the exchange with other nodes;
// peer.Exchange has it.
type Exchange interface {
	Links
	Handler() http.Handler
	Alarms(ctx context.Context, limit int) ([]peer.Alarm, error)
	Holders(ctx context.Context, id record.ID) ([]peer.Holder, error)
	CutLink(node string, cut bool) error
	Export(ctx context.Context, node string, w io.Writer) (bundles, items int, err error)
	Import(ctx context.Context, r io.Reader, progress func(done int64)) (peer.Told, error)
	Holding() <-chan struct{}
	Cosigned(ctx context.Context) (map[string]string, error)
	Want(ctx context.Context, rec *record.Record, hash string) (peer.Fetching, error)
}

// Links tells how the links to other nodes are.
type Links interface {
	Status(ctx context.Context) ([]peer.Status, error)
	StatusChanged() <-chan struct{} // closed at the next change
}

// SelfView is this node as others know it.
type SelfView struct {
	Name        string   `json:"name"`
	Short       string   `json:"short" doc:"The part of the name after the slash"`
	Title       string   `json:"title"`
	Fingerprint string   `json:"fingerprint" doc:"Of the signing key, in groups that can be read over the telephone"`
	URLs        []string `json:"urls"`
	Agencies    []string `json:"agencies"`
}

// RegionView is the region that the node belongs to.
type RegionView struct {
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint" doc:"Of the founding key"`
	Serial      int64  `json:"serial"`
	Founder     bool   `json:"founder" doc:"This node holds the founding key"`
	Hub         string `json:"hub,omitempty"`
}

// PeersView is everything about the exchange that the asker may know.
type PeersView struct {
	Self   *SelfView     `json:"self,omitempty"`
	Region *RegionView   `json:"region"`
	Peers  []peer.Status `json:"peers"`
	Alarms []peer.Alarm  `json:"alarms"`
}

// InvitationView is an invitation, to be shown, read out or photographed.
type InvitationView struct {
	Code        string    `json:"code"`
	URL         string    `json:"url"`
	Fingerprint string    `json:"fingerprint"`
	Expires     time.Time `json:"expires"`
	QR          []string  `json:"qr" doc:"Rows of a QR code, 1 is dark"`
}

// MemberView is one node of a region.
type MemberView struct {
	Node        string             `json:"node"`
	Short       string             `json:"short"`
	Title       string             `json:"title"`
	Fingerprint string             `json:"fingerprint"`
	Agencies    []MemberAgencyView `json:"agencies"`
	Revoked     *time.Time         `json:"revoked,omitempty"`
	Why         string             `json:"why,omitempty"`
}

// MemberAgencyView is one agency of a region.
type MemberAgencyView struct {
	ID          string                `json:"id"`
	Name        string                `json:"name"`
	Country     string                `json:"country,omitempty"`
	Communities map[string]*time.Time `json:"communities" doc:"Since when; it gets nothing that is older"`
}

// DirectoryView is what a region's founding key has signed.
type DirectoryView struct {
	Region  string       `json:"region"`
	Serial  int64        `json:"serial"`
	At      *time.Time   `json:"at,omitempty"`
	Members []MemberView `json:"members"`
}

// HoldersView says who holds a record.
type HoldersView struct {
	Holders []peer.Holder `json:"holders"`
}

const peersTag, peersAt = "peers", "/api/v1/peers"

// peerRoot is where other nodes ask.
const peerRoot = "/peer/"

func (s *Server) registerPeers() {
	huma.Register(s.api, op("list-peers", http.MethodGet, peersAt, "Other nodes, and how far the exchange with each is", peersTag), func(ctx context.Context, _ *empty) (*struct{ Body *PeersView }, error) {
		v, err := s.peersView(ctx)
		return &struct{ Body *PeersView }{v}, s.fail(err)
	})
	s.registerJoining()
	s.registerRegion()
	s.registerSticks()
	post := func(id, path, summary string, do func(ctx context.Context, r *policy.Reader, node string, body *peerChange) error) {
		huma.Register(s.api, op(id, http.MethodPost, peersAt+"/{node}"+path, summary, peersTag), func(ctx context.Context, in *struct {
			Node string `path:"node" doc:"Its short name"`
			Body peerChange
		}) (*peerAnswer, error) {
			return s.changePeer(ctx, in.Node, func(r *policy.Reader, n *store.Node) error { return do(ctx, r, n.Name, &in.Body) })
		})
	}
	post("approve-peer", "/approve", "Trust a node, after comparing its fingerprint by telephone", func(ctx context.Context, r *policy.Reader, node string, b *peerChange) error {
		for agency, in := range b.Communities {
			if err := s.mayBring(r, agency, in); err != nil {
				return err
			}
		}
		return s.trust().Approve(ctx, r.Person, node, b.Fingerprint, b.Communities, b.Since)
	})
	post("revoke-peer", "/revoke", "Send a node nothing any more, for good", func(ctx context.Context, r *policy.Reader, node string, b *peerChange) error {
		return s.trust().Revoke(ctx, r.Person, node, b.Why)
	})
	post("resume-peer", "/resume", "Trust a node again whose ledger was found rolled back or forked", func(ctx context.Context, r *policy.Reader, node string, _ *peerChange) error {
		return s.trust().Resume(ctx, r.Person, node)
	})
	post("cap-peer", "/caps", "Bound what is sent to a node in some hours of the day", func(ctx context.Context, r *policy.Reader, node string, b *peerChange) error {
		return s.trust().SetCaps(ctx, r.Person, node, b.Caps)
	})
	post("route-peer", "/route", "Say where a node is dialled, or who carries for it", func(ctx context.Context, r *policy.Reader, node string, b *peerChange) error {
		return s.trust().SetLink(ctx, r.Person, node, b.URLs, b.Via)
	})
	post("cut-peer", "/link", "Cut a link, or mend it: in a trial alone", func(_ context.Context, _ *policy.Reader, node string, b *peerChange) error {
		if !s.cfg.Node.Demo {
			return record.Errorf(record.NotFound, "peer.link", "links are cut by hand only in a demo")
		}
		return s.exchange().CutLink(node, b.Cut)
	})
	for _, name := range s.cfg.Desks.KindNames() {
		s.route(s.cfg.Desks.Kind(name), http.MethodGet, "/{id}/holders", "holders", "Which nodes hold a record of yours, or still have to give it back",
			huma.Operation{Responses: map[string]*huma.Response{"200": s.answer("The nodes", HoldersView{})}}, s.holders)
	}
}

// peerChange is the body of what is done to a node; each act reads its own part.
type peerChange struct {
	Fingerprint string              `json:"fingerprint,omitempty" doc:"approve: as the other side reads it out"`
	Communities map[string][]string `json:"communities,omitempty" doc:"approve: by agency"`
	Since       time.Time           `json:"since,omitzero" doc:"approve: it gets nothing that is older"`
	Why         string              `json:"why,omitempty" doc:"revoke: the reason" maxLength:"500"`
	Caps        []store.Cap         `json:"caps,omitempty" doc:"caps: replaces those in force" maxItems:"24"`
	URLs        []string            `json:"urls,omitempty" doc:"route: where to dial it" maxItems:"8"`
	Via         string              `json:"via,omitempty" doc:"route: the node that carries for it"`
	Cut         bool                `json:"cut,omitempty" doc:"link: cut it; else mend it"`
}

type peerAnswer struct{ Body peer.Status }

// runsNode returns the reader when he may change how this node exchanges.
func (s *Server) runsNode(ctx context.Context) (*policy.Reader, error) {
	r, err := s.signedIn(ctx)
	if err != nil {
		return nil, err
	}
	if s.exchange() == nil {
		return nil, record.Errorf(record.Unavailable, "peer", "this node exchanges with no others")
	}
	if !r.Scope("admin") || !r.HoldsAnywhere(desk.Administrator) {
		return nil, record.Errorf(record.Denied, "peer", "only an administrator of this node may do this")
	}
	return r, nil
}

// mayBring refuses to bring an agency into a community that others are in: whoever is in it sees
// what is released to it, so that takes an administrator of one that is. A region's founder
// answers for the agencies of other nodes, not for those that share this one.
func (s *Server) mayBring(r *policy.Reader, agency string, communities []string) error {
	d, founder := s.cfg.Accounts.Directory(), s.trust().Founder()
	for _, c := range communities {
		in := slices.Clone(d.Communities[c])
		if founder {
			in = slices.DeleteFunc(in, func(a string) bool { return !d.Agencies[a].Local })
		}
		if r.Person == account.Node || len(in) == 0 || slices.Contains(in, agency) || slices.ContainsFunc(in, func(a string) bool { return d.Holds(r.Person, a, desk.Administrator) }) {
			continue
		}
		e := record.Errorf(record.Denied, "peer.membership", "an agency joins %s by the word of one that is in it", c)
		e.Hint = "ask an administrator of " + strings.Join(in, ", ")
		return e
	}
	return nil
}

func (s *Server) peersView(ctx context.Context) (*PeersView, error) {
	r, err := s.signedIn(ctx)
	if err != nil {
		return nil, err
	}
	v := &PeersView{Peers: []peer.Status{}, Alarms: []peer.Alarm{}}
	x := s.exchange()
	if x == nil {
		return v, nil
	}
	all, err := x.Status(ctx)
	if err != nil {
		return nil, err
	}
	if !oversees(r) {
		for _, p := range all {
			v.Peers = append(v.Peers, s.dot(r, p))
		}
		return v, nil
	}
	v.Peers = append(v.Peers, all...)
	if v.Alarms, err = x.Alarms(ctx, 100); err != nil {
		return nil, err
	}
	if v.Alarms == nil {
		v.Alarms = []peer.Alarm{}
	}
	self := s.trust().Self()
	v.Self = &SelfView{Name: self.Name, Short: trust.Short(self.Name), Title: self.Title, Fingerprint: trust.Spoken(self.Sign), URLs: some(self.URLs), Agencies: some(self.Agencies)}
	v.Region = s.regionView()
	return v, nil
}

func (s *Server) regionView() *RegionView {
	d := s.trust().Directory()
	if d == nil {
		return nil
	}
	return &RegionView{Name: d.Region, Fingerprint: trust.Spoken(d.Key), Serial: d.Serial, Founder: s.trust().Founder(), Hub: trust.Short(d.Hub)}
}

// dot is what everybody who is signed in may know of a node: whether it can be
// reached. How much waits for it tells each release of the other agencies of this
// node: it is for who looks after it, and for a node of one agency.
func (s *Server) dot(r *policy.Reader, p peer.Status) peer.Status {
	d := peer.Status{Name: p.Name, Short: p.Short, Title: p.Title, Agencies: p.Agencies, State: p.State, Since: p.Since, Contact: p.Contact, CutByHand: p.CutByHand}
	if oversees(r) || s.cfg.Accounts.Directory().Serves() == 1 {
		d.Waiting, d.Seconds = p.Waiting, p.Seconds
	}
	return d
}

func (s *Server) changePeer(ctx context.Context, name string, do func(*policy.Reader, *store.Node) error) (*peerAnswer, error) {
	r, err := s.runsNode(ctx)
	if err != nil {
		return nil, s.fail(err)
	}
	n := s.trust().Node(name)
	if n == nil {
		return nil, s.fail(record.Errorf(record.NotFound, "peer", "there is no node %.60q", name))
	}
	if err := do(r, n); err != nil {
		return nil, s.fail(err)
	}
	return s.peerNow(ctx, n.Name)
}

func (s *Server) peerNow(ctx context.Context, node string) (*peerAnswer, error) {
	all, err := s.exchange().Status(ctx)
	if err != nil {
		return nil, s.fail(err)
	}
	for _, p := range all {
		if p.Name == node {
			return &peerAnswer{p}, nil
		}
	}
	return nil, s.fail(record.Errorf(record.NotFound, "peer", "there is no such node"))
}

func (s *Server) registerJoining() {
	huma.Register(s.api, op("invite-peer", http.MethodPost, peersAt+"/invitations", "Invite a node: a code to be read out or photographed, good once", peersTag), func(ctx context.Context, in *struct {
		Body struct {
			Region bool   `json:"region,omitempty" doc:"Into the region that this node founded, not only to this node"`
			Hours  int    `json:"hours,omitempty" minimum:"1" maximum:"720" default:"48"`
			URL    string `json:"url,omitempty" doc:"Where this node can be reached; its own address unless said otherwise"`
		}
	}) (*struct{ Body InvitationView }, error) {
		r, err := s.runsNode(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		v, err := s.invite(ctx, r, in.Body.Region, in.Body.URL, time.Duration(in.Body.Hours)*time.Hour)
		return &struct{ Body InvitationView }{v}, s.fail(err)
	})
	huma.Register(s.api, op("join-peer", http.MethodPost, peersAt+"/join", "Ask a node to exchange with this one, with the code of its invitation", peersTag), func(ctx context.Context, in *struct {
		Body struct {
			Code string `json:"code" maxLength:"2000"`
		}
	}) (*peerAnswer, error) {
		r, err := s.runsNode(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		n, err := s.trust().Join(ctx, r.Person, in.Body.Code)
		if err != nil {
			return nil, s.fail(err)
		}
		return s.peerNow(ctx, n.Name)
	})
	s.handle(huma.Operation{OperationID: "get-card", Method: http.MethodGet, Path: peersAt + "/card", Summary: "This node's signed card, to be carried where no network is", Tags: []string{peersTag},
		Responses: map[string]*huma.Response{"200": {Description: "A card", Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: "object"}}}}}}, func(w http.ResponseWriter, r *http.Request) error {
		if _, err := s.runsNode(r.Context()); err != nil {
			return err
		}
		b, err := s.trust().SelfCard(r.Context())
		if err != nil {
			return err
		}
		w.Header()["Content-Type"] = jsonType
		w.Header().Set("Content-Disposition", `attachment; filename="konbit-card-`+trust.Short(s.trust().Self().Name)+`.json"`)
		return write(w, b)
	})
	huma.Register(s.api, op("add-card", http.MethodPost, peersAt+"/card", "Take the card of another node; it waits for approval", peersTag), func(ctx context.Context, in *struct {
		Body struct {
			Card string `json:"card" maxLength:"262144"`
		}
	}) (*peerAnswer, error) {
		r, err := s.runsNode(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		n, err := s.trust().AddCard(ctx, r.Person, []byte(in.Body.Card))
		if err != nil {
			return nil, s.fail(err)
		}
		return s.peerNow(ctx, n.Name)
	})
	huma.Register(s.api, op("rotate-key", http.MethodPost, peersAt+"/rotate", "Make a new key; the old one counts for what it signed, unless it was compromised", peersTag), func(ctx context.Context, in *struct {
		Body struct {
			What        string `json:"what" doc:"link, seal, or an agency of this node"`
			Compromised bool   `json:"compromised,omitempty" doc:"The old key counts no longer, from this moment"`
		}
	}) (*struct{ Body SelfView }, error) {
		r, err := s.runsNode(ctx)
		if err == nil && record.AgencyID(in.Body.What) && r.Person != account.Node && in.Body.What != r.Agency {
			err = record.Errorf(record.Denied, "peer.rotate", "the key of %.80s is replaced by an administrator of its own", in.Body.What)
		}
		if err == nil {
			err = s.trust().Rotate(ctx, r.Person, in.Body.What, in.Body.Compromised)
		}
		if err != nil {
			return nil, s.fail(err)
		}
		v, err := s.peersView(ctx)
		if err != nil || v.Self == nil {
			return nil, s.fail(err)
		}
		return &struct{ Body SelfView }{*v.Self}, nil
	})
}

func (s *Server) invite(ctx context.Context, r *policy.Reader, region bool, url string, life time.Duration) (v InvitationView, err error) {
	if url == "" {
		if us := s.trust().Self().URLs; len(us) > 0 {
			url = us[0]
		}
	}
	if v.Code, err = s.trust().Invite(ctx, r.Person, region, url, life); err != nil {
		return v, err
	}
	i, err := trust.ParseCode(v.Code)
	if err != nil {
		return v, err
	}
	v.URL, v.Expires, v.Fingerprint = i.URL, i.Expires, trust.Spoken(s.trust().Self().Sign)
	v.QR, err = trust.QR(v.Code)
	return v, err
}

func (s *Server) registerRegion() {
	huma.Register(s.api, op("found-region", http.MethodPost, peersAt+"/region", "Found a region: its directory is signed here, and this node carries for its members", peersTag), func(ctx context.Context, in *struct {
		Body struct {
			Name string `json:"name" maxLength:"40"`
		}
	}) (*struct{ Body *RegionView }, error) {
		r, err := s.runsNode(ctx)
		if err == nil {
			err = s.trust().Found(ctx, r.Person, in.Body.Name)
		}
		if err != nil {
			return nil, s.fail(err)
		}
		return &struct{ Body *RegionView }{s.regionView()}, nil
	})
	huma.Register(s.api, op("get-directory", http.MethodGet, peersAt+"/directory", "Who is in the region, and in which communities since when", peersTag), func(ctx context.Context, _ *empty) (*struct{ Body DirectoryView }, error) {
		r, err := s.signedIn(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		if s.exchange() == nil || !oversees(r) {
			return nil, s.fail(record.Errorf(record.Denied, "peer.directory", "only an auditor or an administrator may do this"))
		}
		v, err := s.directoryView()
		return &struct{ Body DirectoryView }{v}, s.fail(err)
	})
	huma.Register(s.api, op("set-membership", http.MethodPost, peersAt+"/membership", "Say in which communities an agency is", peersTag), func(ctx context.Context, in *struct {
		Body struct {
			Agency      string                `json:"agency"`
			Communities map[string]*time.Time `json:"communities" doc:"Since when; null: from the beginning"`
		}
	}) (*struct{ Body DirectoryView }, error) {
		r, err := s.runsNode(ctx)
		if err == nil {
			err = s.mayBring(r, in.Body.Agency, slices.Collect(maps.Keys(in.Body.Communities)))
		}
		if err == nil {
			since := map[string]time.Time{}
			for c, t := range in.Body.Communities {
				if since[c] = (time.Time{}); t != nil {
					since[c] = t.UTC()
				}
			}
			err = s.trust().SetMembership(ctx, r.Person, in.Body.Agency, since)
		}
		if err != nil {
			return nil, s.fail(err)
		}
		v, err := s.directoryView()
		return &struct{ Body DirectoryView }{v}, s.fail(err)
	})
}

func (s *Server) directoryView() (DirectoryView, error) {
	v := DirectoryView{Members: []MemberView{}}
	d := s.trust().Directory()
	if d == nil {
		return v, nil
	}
	at := d.At
	v.Region, v.Serial, v.At = d.Region, d.Serial, &at
	for _, m := range d.Members {
		c, err := trust.ParseCard(m.Card)
		if err != nil {
			return v, err
		}
		mv := MemberView{Node: c.Node, Short: trust.Short(c.Node), Title: c.Title, Fingerprint: trust.Spoken(c.Sign), Agencies: []MemberAgencyView{}, Revoked: m.Revoked, Why: m.Why}
		for _, a := range c.Agencies {
			av := MemberAgencyView{ID: a.ID, Name: a.Name, Country: a.Country, Communities: map[string]*time.Time{}}
			for name, t := range m.Communities[a.ID] {
				if av.Communities[name] = nil; !t.IsZero() {
					av.Communities[name] = &t
				}
			}
			mv.Agencies = append(mv.Agencies, av)
		}
		v.Members = append(v.Members, mv)
	}
	return v, nil
}

// registerSticks is for where no network is.
func (s *Server) registerSticks() {
	file := map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}
	s.handle(huma.Operation{OperationID: "export-bundle", Method: http.MethodGet, Path: peersAt + "/{node}/bundle", Summary: "Everything that waits for a node, as a file to be carried", Tags: []string{peersTag},
		Parameters: []*huma.Param{inPath("node", "Its short name", &huma.Schema{Type: "string"})},
		Responses:  map[string]*huma.Response{"200": {Description: "Sealed bundles (docs/bundle.md)", Content: file}}}, s.exportBundle)
	s.handle(huma.Operation{OperationID: "import-bundle", Method: http.MethodPost, Path: peersAt + "/bundles", Summary: "Take a file of bundles, in any order and twice without harm", Tags: []string{peersTag}, MaxBodyBytes: -1,
		RequestBody: &huma.RequestBody{Required: true, Content: file},
		Responses:   map[string]*huma.Response{"200": s.answer("What was done, and what was refused", peer.Told{})}}, s.importBundle)
}

// maxStick bounds a file of bundles.
const maxStick = 4 << 30

func (s *Server) exportBundle(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.runsNode(r.Context()); err != nil {
		return err
	}
	n := s.trust().Node(r.PathValue("node"))
	if n == nil {
		return record.Errorf(record.NotFound, "peer", "there is no such node")
	}
	rc := http.NewResponseController(w)
	rc.SetWriteDeadline(time.Time{})
	out := &lazy{w: w, before: func(h http.Header) {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", `attachment; filename="konbit-to-`+trust.Short(n.Name)+"-"+s.cfg.Now().UTC().Format("20060102-1504")+`.bundle"`)
	}}
	bundles, _, err := s.exchange().Export(r.Context(), n.Name, out)
	if err == nil && bundles == 0 {
		return record.Errorf(record.Stale, "bundle.export", "nothing waits for %s", n.Title)
	}
	return err
}

func (s *Server) importBundle(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.runsNode(r.Context()); err != nil {
		return err
	}
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(30 * time.Minute))
	told, err := s.exchange().Import(r.Context(), http.MaxBytesReader(nil, r.Body, maxStick), func(int64) {})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, told)
}

// holders tells the people of the owner's agency where their record is.
func (s *Server) holders(w http.ResponseWriter, r *http.Request, k *desk.Kind) error {
	id, err := pathID(r, k)
	if err != nil {
		return err
	}
	reader := s.reader(r.Context())
	rec, err := s.cfg.Records.Get(r.Context(), reader, k.Name, id, "open")
	if err != nil {
		return err
	}
	v := HoldersView{Holders: []peer.Holder{}}
	x := s.exchange()
	if x != nil && rec.Record.Owner == reader.Agency {
		hs, err := x.Holders(r.Context(), id)
		if err != nil {
			return err
		}
		v.Holders = append(v.Holders, hs...)
	}
	return writeJSON(w, http.StatusOK, v)
}

// peerRequest hands what other nodes ask to the exchange, which knows them by
// their keys.
func (s *Server) peerRequest(w http.ResponseWriter, r *http.Request) {
	x := s.exchange()
	if x == nil {
		s.writeError(w, r, record.Errorf(record.NotFound, "peer", "this node exchanges with no others"))
		return
	}
	x.Handler().ServeHTTP(w, r)
}

// maxHolding is how long a request waits while recalls that came in during an
// absence are being carried out.
const maxHolding = 10 * time.Second

// held waits until nothing urgent of a long absence remains to be applied: what
// was recalled meanwhile must be gone before anything is shown.
func (s *Server) held(r *http.Request) error {
	if !shows(r.URL.Path) || !s.holding(r.Context()) {
		return nil
	}
	wait, again := time.NewTimer(maxHolding), time.NewTicker(maxHolding/100)
	defer wait.Stop()
	defer again.Stop()
	for s.holding(r.Context()) {
		select {
		case <-again.C:
		case <-r.Context().Done():
			return errGone
		case <-wait.C:
			e := record.Errorf(record.Unavailable, "peer.holding", "the node is catching up after an absence")
			e.Hint = "try again in a few seconds"
			return e
		}
	}
	return nil
}

// holding reports whether something of an absence remains to be applied.
func (s *Server) holding(ctx context.Context) bool {
	if s.elsewhere() {
		return s.cfg.Processes.Holding(ctx)
	}
	x := s.exchange()
	return x != nil && !isClosed(x.Holding())
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// shows reports whether an address shows records.
func shows(path string) bool {
	for _, p := range [...]string{records, "/api/v1/map/", "/api/v1/search", "/api/v1/feed", "/api/v1/audit/entries", ogcRoot + "/"} {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

// dots is the data of the event "peers": what the top bar shows.
func (s *Server) dots(ctx context.Context, r *policy.Reader) ([]byte, error) {
	x := s.peerLinks()
	if x == nil {
		return nil, errNoDuty
	}
	all, err := x.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]peer.Status, len(all))
	for i, p := range all {
		out[i] = s.dot(r, p)
	}
	slices.SortFunc(out, func(a, b peer.Status) int { return bytes.Compare([]byte(a.Title+a.Name), []byte(b.Title+b.Name)) })
	return json.Marshal(struct {
		Peers []peer.Status `json:"peers"`
	}{out})
}

// dotWatch waits for changes of the links to other nodes, and tells of them at most once a
// second. A nil channel never comes.
type dotWatch struct {
	s       *Server
	x       Links
	changed <-chan struct{} // nil while a change waits to be told
	due     <-chan time.Time
	timer   *time.Timer
	told    time.Time
}

func (s *Server) watchDots() *dotWatch {
	d := &dotWatch{s: s}
	d.renew()
	return d
}

// renew looks at the links of whichever process is on duty now.
func (d *dotWatch) renew() {
	if x := d.s.peerLinks(); x != d.x {
		if d.x = x; x != nil && d.due == nil {
			d.changed = x.StatusChanged()
		}
	}
}

// wait puts the telling off until a second after the one before.
func (d *dotWatch) wait() {
	d.changed = nil
	d.timer = time.NewTimer(max(0, time.Second-time.Since(d.told)))
	d.due = d.timer.C
}

// next watches on; it is called before the state is read, so that no change is missed.
func (d *dotWatch) next() {
	d.told, d.due = time.Now(), nil
	if d.x = d.s.peerLinks(); d.x != nil {
		d.changed = d.x.StatusChanged()
	}
}

func (d *dotWatch) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"konbit/desk"
	"konbit/peer"
	"konbit/peer/question"
	"konbit/policy"
	"konbit/record"
	"konbit/store"
	"konbit/web"
)

// api reaches a node's HTTP interface: a running one by its address, a stopped
// one by its folder. Both know the same commands, which are written once.
type api struct {
	dataFlag
	URL   string `name:"url" help:"Work through a running node instead of --data; the token comes from KONBIT_TOKEN." placeholder:"URL" env:"-"`
	Token string `env:"KONBIT_TOKEN" hidden:""`
}

// caller asks one node.
type caller struct {
	base   string
	token  string
	client *http.Client
}

// with opens the way to the node, does something, and closes it.
func (a *api) with(ctx context.Context, do func(*caller) error) (err error) {
	if a.URL != "" {
		if a.Token == "" {
			return record.Errorf(record.Invalid, "--url", "a running node is asked with a token: put it into KONBIT_TOKEN")
		}
		return do(&caller{base: strings.TrimRight(a.URL, "/"), token: a.Token, client: &http.Client{}})
	}
	n, err := a.open(ctx)
	if err != nil {
		if record.CodeOf(err) == record.Unavailable {
			return fmt.Errorf("%w\nwork through the running node: --url URL, with a token in KONBIT_TOKEN", err)
		}
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	// Whoever has the machine may do anything to the node; the ledger says that it was done here.
	self := &policy.Reader{Person: "node", Roles: map[string][]desk.Role{"*": {desk.Administrator, desk.Operator}}}
	return do(&caller{base: "http://node", client: &http.Client{Transport: inside{n.Handler(self)}}})
}

// inside answers requests with a handler of this process.
type inside struct{ h http.Handler }

func (t inside) RoundTrip(r *http.Request) (*http.Response, error) {
	pr, pw := io.Pipe()
	w := &piped{header: http.Header{}, body: pw, begun: make(chan struct{})}
	go func() {
		t.h.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		pw.Close()
	}()
	select {
	case <-w.begun:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: w.status, Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), Header: w.header, Body: pr, Request: r, ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1}, nil
}

type piped struct {
	header http.Header
	body   *io.PipeWriter
	status int
	begun  chan struct{}
}

func (p *piped) Header() http.Header { return p.header }
func (p *piped) WriteHeader(status int) {
	if p.status == 0 {
		p.status = status
		close(p.begun)
	}
}
func (p *piped) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.body.Write(b)
}

// send asks and returns the answer, whose body the caller closes. What the node
// refuses is an error in its words.
func (c *caller) send(ctx context.Context, method, path string, body io.Reader, typ string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if typ != "" {
		r.Header.Set("Content-Type", typ)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.client.Do(r)
	if err != nil || resp.StatusCode < 300 {
		return resp, err
	}
	defer resp.Body.Close()
	var p web.Problem
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&p) != nil || p.Detail == "" {
		return nil, fmt.Errorf("the node answered %s", resp.Status)
	}
	e := record.Errorf(p.Code, "", "%s", p.Detail)
	e.Hint, e.Fields = p.Hint, p.Fields
	return nil, e
}

// ask sends a value as JSON and reads the answer into another.
func (c *caller) ask(ctx context.Context, method, path string, body, answer any) error {
	var r io.Reader
	typ := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r, typ = bytes.NewReader(b), "application/json"
	}
	resp, err := c.send(ctx, method, path, r, typ)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

const peersPath = "/api/v1/peers"

type peerCmd struct {
	List      peerListCmd      `cmd:"" help:"List the nodes, and how far the exchange with each is." default:"withargs"`
	Invite    peerInviteCmd    `cmd:"" help:"Make an invitation: a code to be read out, good once."`
	Join      peerJoinCmd      `cmd:"" help:"Ask a node to exchange, with the code of its invitation."`
	Card      peerCardCmd      `cmd:"" help:"Write this node's card, to be carried where no network is."`
	Add       peerAddCmd       `cmd:"" help:"Take the card of another node; approve it then."`
	Approve   peerApproveCmd   `cmd:"" help:"Trust a node, after comparing its fingerprint by telephone."`
	Revoke    peerRevokeCmd    `cmd:"" help:"Send a node nothing any more, for good."`
	Resume    peerResumeCmd    `cmd:"" help:"Trust a node again whose ledger was found rolled back or forked."`
	Cap       peerCapCmd       `cmd:"" help:"Bound what is sent to a node in some hours of the day."`
	Route     peerRouteCmd     `cmd:"" help:"Say where a node is dialled, or which node carries for it."`
	Found     peerFoundCmd     `cmd:"" help:"Found a region: its directory is signed here."`
	Directory peerDirectoryCmd `cmd:"" help:"Show who is in the region, and in which communities."`
	Member    peerMemberCmd    `cmd:"" help:"Say in which communities an agency is."`
	Rotate    peerRotateCmd    `cmd:"" help:"Make a new key: link, seal, or an agency's."`
	Holders   peerHoldersCmd   `cmd:"" help:"Say which nodes hold a record, or still have to give it back."`
	Ask       peerAskCmd       `cmd:"" help:"Ask other nodes whether they hold anything about an identifier: hit or no hit."`
	Alarms    peerAlarmsCmd    `cmd:"" help:"Show what other nodes did that they should not, newest first."`
}

type peerListCmd struct{ api }

func (c *peerListCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *caller) error {
		var v web.PeersView
		if err := n.ask(ctx, "GET", peersPath, nil, &v); err != nil {
			return err
		}
		if v.Self != nil {
			fmt.Printf("this node: %s, %s\nfingerprint: %s\n", v.Self.Name, v.Self.Title, v.Self.Fingerprint)
		}
		if v.Region != nil {
			fmt.Printf("region: %s, directory %d, fingerprint %s\n", v.Region.Name, v.Region.Serial, v.Region.Fingerprint)
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
		for _, p := range v.Peers {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Short, p.Title, stateWords(p), strings.Join(p.Agencies, " "), p.Fingerprint)
		}
		return w.Flush()
	})
}

// stateWords says how a node is.
func stateWords(p peer.Status) string {
	s := string(p.State)
	if p.State == peer.Behind || p.State == peer.Cut && p.Waiting > 0 {
		s += fmt.Sprintf(", %d waiting", p.Waiting)
	}
	if p.State == peer.Cut && !p.Since.IsZero() {
		s += " since " + p.Since.Local().Format("2006-01-02 15:04")
	}
	if p.Via != "" {
		s += ", via " + p.Via
	}
	if p.Error != "" {
		s += " (" + p.Error + ")"
	}
	return s
}

func showPeer(p peer.Status) {
	fmt.Printf("%s, %s: %s\nfingerprint: %s\n", p.Short, p.Title, stateWords(p), p.Fingerprint)
}

type peerInviteCmd struct {
	api
	Region  bool   `help:"Into the region that this node founded, not only to this node."`
	Hours   int    `help:"How long it is good." default:"48"`
	Address string `help:"Where this node can be reached." placeholder:"URL"`
}

func (c *peerInviteCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *caller) error {
		var v web.InvitationView
		if err := n.ask(ctx, "POST", peersPath+"/invitations", map[string]any{"region": c.Region, "hours": c.Hours, "url": c.Address}, &v); err != nil {
			return err
		}
		fmt.Printf("%s\n\ngood until %s, once\nfingerprint of this node: %s\n", v.Code, v.Expires.Local().Format("2006-01-02 15:04"), v.Fingerprint)
		printQR(v.QR)
		return nil
	})
}

// printQR draws a QR code with half blocks: dark on the terminal's light.
func printQR(rows []string) {
	if len(rows) == 0 {
		return
	}
	blank := strings.Repeat("0", len(rows[0]))
	rows = slices.Concat([]string{blank, blank}, rows, []string{blank, blank})
	for y := 0; y < len(rows); y += 2 {
		var b strings.Builder
		b.WriteString("  ")
		for x := range rows[y] {
			up, down := rows[y][x] == '1', y+1 < len(rows) && rows[y+1][x] == '1'
			b.WriteString(map[[2]bool]string{{true, true}: " ", {true, false}: "▄", {false, true}: "▀", {false, false}: "█"}[[2]bool{up, down}])
		}
		fmt.Println(b.String())
	}
}

type peerJoinCmd struct {
	Code string `arg:"" help:"As it was read out; blanks and dashes do not matter."`
	api
}

func (c *peerJoinCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *caller) error {
		var p peer.Status
		if err := n.ask(ctx, "POST", peersPath+"/join", map[string]string{"code": c.Code}, &p); err != nil {
			return err
		}
		showPeer(p)
		fmt.Println("Its administrator now compares your fingerprint and approves. Read it out:")
		var v web.PeersView
		if err := n.ask(ctx, "GET", peersPath, nil, &v); err != nil || v.Self == nil {
			return err
		}
		fmt.Println("  " + v.Self.Fingerprint)
		return nil
	})
}

type peerCardCmd struct {
	File string `arg:"" optional:"" help:"Where to write it; standard output when left out." type:"path"`
	api
}

func (c *peerCardCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *caller) error {
		resp, err := n.send(ctx, "GET", peersPath+"/card", nil, "")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = toFile(c.File, resp.Body)
		return err
	})
}

// toFile writes a new file, or to standard output.
func toFile(path string, r io.Reader) (int64, error) {
	if path == "" || path == "-" {
		return io.Copy(os.Stdout, r)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, r)
	return n, errors.Join(err, f.Sync(), f.Close())
}

type peerAddCmd struct {
	File string `arg:"" help:"The card." type:"existingfile"`
	api
}

func (c *peerAddCmd) Run(ctx context.Context) error {
	b, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	return c.with(ctx, func(n *caller) error {
		var p peer.Status
		if err := n.ask(ctx, "POST", peersPath+"/card", map[string]string{"card": string(b)}, &p); err != nil {
			return err
		}
		showPeer(p)
		return nil
	})
}

// peerArg names a node.
type peerArg struct {
	Node string `arg:"" help:"Its short name, as konbit peer list shows it."`
	api
}

// change does something to a node and shows what it is now.
func (c *peerArg) change(ctx context.Context, what string, body any) error {
	return c.with(ctx, func(n *caller) error {
		var p peer.Status
		if err := n.ask(ctx, "POST", peersPath+"/"+url.PathEscape(c.Node)+"/"+what, body, &p); err != nil {
			return err
		}
		showPeer(p)
		return nil
	})
}

type peerApproveCmd struct {
	peerArg
	Fingerprint string   `required:"" help:"As the other side reads it out." placeholder:"DIGITS"`
	Community   []string `help:"Communities of its agencies: do.911=@hispaniola." placeholder:"AGENCY=@NAME"`
	Since       string   `help:"It gets nothing that is older than this day." placeholder:"YYYY-MM-DD"`
}

func (c *peerApproveCmd) Run(ctx context.Context) error {
	body := map[string]any{"fingerprint": c.Fingerprint}
	communities := map[string][]string{}
	for _, s := range c.Community {
		agency, name, ok := strings.Cut(s, "=")
		if !ok {
			return record.Errorf(record.Invalid, "--community", "%q is not of the form do.911=@hispaniola", s)
		}
		communities[agency] = append(communities[agency], name)
	}
	if len(communities) > 0 {
		body["communities"] = communities
	}
	if c.Since != "" {
		t, err := day(c.Since)
		if err != nil {
			return err
		}
		body["since"] = t
	}
	return c.change(ctx, "approve", body)
}

func day(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return t, record.Errorf(record.Invalid, "--since", "%q is not a day such as 2026-05-01", s)
	}
	return t, nil
}

type peerRevokeCmd struct {
	peerArg
	Why string `required:"" help:"The reason, for the ledger." placeholder:"WORDS"`
}

func (c *peerRevokeCmd) Run(ctx context.Context) error {
	return c.change(ctx, "revoke", map[string]string{"why": c.Why})
}

type peerResumeCmd struct{ peerArg }

func (c *peerResumeCmd) Run(ctx context.Context) error { return c.change(ctx, "resume", struct{}{}) }

type peerCapCmd struct {
	peerArg
	Hours []string `help:"8-18=64: 64 kbit/s from 8 to 18 h; 0 kbit/s lets only what is urgent through. None: no bound." placeholder:"FROM-TO=KBIT"`
}

func (c *peerCapCmd) Run(ctx context.Context) error {
	caps := []store.Cap{}
	for _, s := range c.Hours {
		var cap store.Cap
		if n, err := fmt.Sscanf(s, "%d-%d=%d", &cap.From, &cap.To, &cap.Kbit); n != 3 || err != nil {
			return record.Errorf(record.Invalid, "--hours", "%q is not of the form 8-18=64", s)
		}
		caps = append(caps, cap)
	}
	return c.change(ctx, "caps", map[string]any{"caps": caps})
}

type peerRouteCmd struct {
	peerArg
	Dial []string `help:"Addresses at which it is dialled; none: it dials us." placeholder:"URL"`
	Via  string   `help:"Short name of the node that carries for it." placeholder:"NODE"`
}

func (c *peerRouteCmd) Run(ctx context.Context) error {
	return c.change(ctx, "route", map[string]any{"urls": c.Dial, "via": c.Via})
}

type peerFoundCmd struct {
	Name string `arg:"" help:"The region's name: hispaniola."`
	api
}

func (c *peerFoundCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *caller) error {
		var v web.RegionView
		if err := n.ask(ctx, "POST", peersPath+"/region", map[string]string{"name": c.Name}, &v); err != nil {
			return err
		}
		fmt.Printf("founded %s; fingerprint of its key: %s\nkeep a backup of the key: without it the directory cannot be changed any more\n", v.Name, v.Fingerprint)
		return nil
	})
}

type peerDirectoryCmd struct{ api }

func (c *peerDirectoryCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *caller) error { return n.directory(ctx, "GET", peersPath+"/directory", nil) })
}

func (c *caller) directory(ctx context.Context, method, path string, body any) error {
	var v web.DirectoryView
	if err := c.ask(ctx, method, path, body, &v); err != nil {
		return err
	}
	if v.Region == "" {
		fmt.Println("this node is in no region")
		return nil
	}
	fmt.Printf("region %s, directory %d\n", v.Region, v.Serial)
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	for _, m := range v.Members {
		state := ""
		if m.Revoked != nil {
			state = "revoked " + m.Revoked.Format(time.DateOnly) + ": " + m.Why
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.Short, m.Title, m.Fingerprint, state)
		for _, a := range m.Agencies {
			var in []string
			for name, since := range a.Communities {
				if since != nil {
					name += " since " + since.Format(time.DateOnly)
				}
				in = append(in, name)
			}
			slices.Sort(in)
			fmt.Fprintf(w, "  %s\t%s\t%s\n", a.ID, a.Name, strings.Join(in, ", "))
		}
	}
	return w.Flush()
}

type peerMemberCmd struct {
	Agency    string   `arg:"" help:"The agency."`
	Community []string `arg:"" optional:"" help:"All communities that it is in from now on: @caricom, or @caricom=2026-05-01 when it gets nothing older. None: it leaves all."`
	api
}

func (c *peerMemberCmd) Run(ctx context.Context) error {
	in := map[string]*time.Time{}
	for _, s := range c.Community {
		name, since, ok := strings.Cut(s, "=")
		in[name] = nil
		if ok {
			t, err := day(since)
			if err != nil {
				return err
			}
			in[name] = &t
		}
	}
	return c.with(ctx, func(n *caller) error {
		return n.directory(ctx, "POST", peersPath+"/membership", map[string]any{"agency": c.Agency, "communities": in})
	})
}

type peerRotateCmd struct {
	What string `arg:"" help:"link, seal, or an agency of this node."`
	api
	Compromised bool `help:"The old key fell into other hands: it counts no longer, from this moment."`
}

func (c *peerRotateCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *caller) error {
		var v web.SelfView
		if err := n.ask(ctx, "POST", peersPath+"/rotate", map[string]any{"what": c.What, "compromised": c.Compromised}, &v); err != nil {
			return err
		}
		fmt.Printf("done; fingerprint of this node: %s\n", v.Fingerprint)
		return nil
	})
}

type peerAlarmsCmd struct{ api }

func (c *peerAlarmsCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *caller) error {
		var v web.PeersView
		if err := n.ask(ctx, "GET", peersPath, nil, &v); err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
		for _, a := range v.Alarms {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", a.At.Local().Format("2006-01-02 15:04:05"), a.Node, a.Code, a.Text, a.Record)
		}
		return w.Flush()
	})
}

type peerHoldersCmd struct {
	Kind string `arg:"" help:"Record kind: incident."`
	ID   string `arg:"" help:"The record."`
	api
}

func (c *peerHoldersCmd) Run(ctx context.Context) error {
	if c.URL == "" {
		return record.Errorf(record.Invalid, "peer holders", "who holds a record is shown to those who may open it: use --url, with a token of such a person")
	}
	return c.with(ctx, func(n *caller) error {
		var v web.HoldersView
		if err := n.ask(ctx, "GET", "/api/v1/records/"+url.PathEscape(c.Kind)+"/"+url.PathEscape(c.ID)+"/holders", nil, &v); err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
		for _, h := range v.Holders {
			fmt.Fprintf(w, "%s\t%s\tversion %d\tsince %s\t%s\n", h.Title, h.State, h.Version, h.Since.Local().Format("2006-01-02 15:04:05"), h.Reason)
		}
		return w.Flush()
	})
}

type peerAskCmd struct {
	Type  string `arg:"" help:"Sort of identifier: plate, passport, firearm, telephone, vessel."`
	Value string `arg:"" help:"The identifier."`
	api
	Purpose string        `required:"" help:"Why; it stands in the ledgers of both sides." placeholder:"WORDS"`
	Node    []string      `help:"Short names of the nodes to ask; all unless said otherwise." placeholder:"NODE"`
	Wait    time.Duration `help:"How long to wait for answers." default:"20s"`
}

func (c *peerAskCmd) Run(ctx context.Context) error {
	if c.URL == "" {
		return record.Errorf(record.Invalid, "peer ask", "a question goes through a running node: use --url, with a token of an operator")
	}
	return c.with(ctx, func(n *caller) error {
		var q question.Question
		if err := n.ask(ctx, "POST", "/api/v1/questions", map[string]any{"type": c.Type, "value": c.Value, "purpose": c.Purpose, "nodes": c.Node}, &q); err != nil {
			return err
		}
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		end := time.After(c.Wait)
	wait:
		for slices.ContainsFunc(q.Answers, func(a question.Answer) bool { return a.State == question.Waiting }) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-end:
				break wait
			case <-tick.C:
			}
			if err := n.ask(ctx, "GET", "/api/v1/questions/"+url.PathEscape(q.ID), nil, &q); err != nil {
				return err
			}
		}
		for _, a := range q.Answers {
			fmt.Printf("%s: %s %s %s\n", a.Title, a.State, strings.Join(a.Agencies, " "), a.Reason)
		}
		return nil
	})
}

type bundleCmd struct {
	Export bundleExportCmd `cmd:"" help:"Write everything that waits for an agency's node to a file, to be carried."`
	Import bundleImportCmd `cmd:"" help:"Take a file of bundles, in any order and twice without harm."`
}

type bundleExportCmd struct {
	To   string `required:"" help:"The agency, or the short name of its node." placeholder:"AGENCY"`
	File string `arg:"" help:"The file." type:"path"`
	api
}

func (c *bundleExportCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *caller) error {
		to, err := n.nodeOf(ctx, c.To)
		if err != nil {
			return err
		}
		resp, err := n.send(ctx, "GET", peersPath+"/"+url.PathEscape(to)+"/bundle", nil, "")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		size, err := toFile(c.File, resp.Body)
		if err != nil {
			return errors.Join(err, os.Remove(c.File))
		}
		fmt.Printf("wrote %s, %d bytes, sealed to %s\n", c.File, size, to)
		return nil
	})
}

// nodeOf finds the node that serves an agency.
func (c *caller) nodeOf(ctx context.Context, to string) (string, error) {
	var v web.PeersView
	if err := c.ask(ctx, "GET", peersPath, nil, &v); err != nil {
		return "", err
	}
	for _, p := range v.Peers {
		if p.Short == to || p.Name == to || slices.Contains(p.Agencies, to) {
			return p.Short, nil
		}
	}
	return "", record.Errorf(record.NotFound, "--to", "no known node serves %q", to)
}

type bundleImportCmd struct {
	File string `arg:"" help:"The file." type:"existingfile"`
	api
}

func (c *bundleImportCmd) Run(ctx context.Context) error {
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	return c.with(ctx, func(n *caller) error {
		show := meter("reading " + c.File + ":")
		resp, err := n.send(ctx, "POST", peersPath+"/bundles", &counting{r: f, total: st.Size(), show: show}, "application/octet-stream")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var t peer.Told
		if err := json.NewDecoder(resp.Body).Decode(&t); err != nil {
			return err
		}
		fmt.Printf("%d bundles: %d applied, %d known already, %d purged, %d refused; %d carried on for others, %d wait for one before them\n", t.Bundles, t.Applied, t.Older, t.Purged, t.Refused, t.Relayed, t.Parked)
		for _, p := range t.Problems {
			fmt.Println("  " + p)
		}
		if t.Refused > 0 {
			return record.Errorf(record.Invalid, "bundle import", "%d were refused", t.Refused)
		}
		return nil
	})
}

// counting shows how much of a file was read.
type counting struct {
	r           io.Reader
	done, total int64
	show        func(done, total int64)
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.done += int64(n)
	c.show(c.done, c.total)
	return n, err
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"konbit/account"
	"konbit/demo"
	"konbit/desk"
	"konbit/intake"
	"konbit/node"
	"konbit/record"
	"konbit/store"
	"konbit/web"
)

// demoPassword opens every account of the demo, and of nothing else.
const demoPassword = "konbit-demo"

// usualRecords is how many incidents the demo's past holds.
const usualRecords = 1500

// demoClock can stand in the past while the past is written.
type demoClock struct{ past atomic.Int64 }

// Now is the time of the past that is being written, or of the world.
func (c *demoClock) Now() time.Time {
	if us := c.past.Load(); us != 0 {
		return time.UnixMicro(us).UTC()
	}
	return time.Now()
}

func (c *demoClock) set(t time.Time) { c.past.Store(t.UnixMicro()) }

// Real lets the clock run with the world.
func (c *demoClock) Real() { c.past.Store(0) }

// cards are the sign-ins that the first page of a node of the demo offers: those
// of its own agencies.
func cards(mine func(agency string) bool) (out []web.DemoCard) {
	names := map[string]string{}
	for _, a := range demo.Agencies() {
		names[a.ID] = a.Name
	}
	for _, p := range demo.People() {
		if p.Card && mine(p.Agency()) {
			out = append(out, web.DemoCard{Name: p.ID, Password: demoPassword, Person: p.Name, Agency: p.Agency(), AgencyName: names[p.Agency()], Role: string(p.Role), Lang: p.Lang})
		}
	}
	return out
}

// openDemo opens the demo's folder and fills it when it is new. The past is
// written under a clock that stands in the past.
func openDemo(ctx context.Context, c *demoCmd, url string, residents net.Listener, log *slog.Logger) (*node.Node, *demo.Story, error) {
	clock, story, now := &demoClock{}, demo.New(c.Seed), time.Now()
	clock.set(now.AddDate(0, 0, -demo.Days-2))
	n, err := node.Open(ctx, node.Config{Data: c.Data, Store: c.Store, Name: "Konbit", URL: url, BaseMap: c.Basemap, Proxy: c.Proxy, Log: log, Demo: true, DemoCards: cards(all), Now: clock.Now, Public: residents, PublicURL: c.PublicURL})
	if err != nil {
		return nil, nil, err
	}
	if n.Intake.Size() == 0 {
		count := c.Records
		if count == 0 {
			count = usualRecords
		}
		if err = people(ctx, n, all); err == nil {
			err = fill(ctx, clock, story.History(now, count), func(a demo.Act) error { return give(ctx, n, a) })
		}
		if err == nil {
			err = n.SkipReactions(ctx)
		}
	} else if n.Accounts.Directory().People[demo.People()[0].ID] == nil {
		err = errors.New("this is the data of a node that is no demo: name another folder or store")
	} else { // the past is there already: another story begins now
		story = demo.New(uint64(now.UnixNano()))
	}
	clock.Real()
	if err == nil {
		err = n.Accounts.Reload(ctx)
	}
	if err != nil {
		n.Close()
		return nil, nil, err
	}
	return n, story, nil
}

// all is for a demo of one node: every agency is its own.
func all(string) bool { return true }

// people makes the agencies, those of other nodes too, and the people of a
// node's own.
func people(ctx context.Context, n *node.Node, mine func(agency string) bool) error {
	for _, a := range demo.Agencies() {
		if _, err := n.Accounts.AddAgency(ctx, account.Node, store.Agency{ID: a.ID, Name: a.Name, Country: a.Country, Communities: a.Communities, Local: mine(a.ID)}); err != nil {
			return err
		}
	}
	for _, p := range demo.People() {
		if !mine(p.Agency()) {
			continue
		}
		grants := []store.Grant{{Agency: p.Agency(), Desk: "*", Role: p.Role}}
		if p.Role == desk.Auditor { // the ombudsman's auditor audits every agency of the house
			grants = nil
			for _, a := range demo.Agencies() {
				if !mine(a.ID) {
					continue
				}
				grants = append(grants, store.Grant{Agency: a.ID, Desk: "*", Role: p.Role})
			}
		}
		if p.Role == desk.Administrator { // so that he sees what he looks after
			grants = append(grants, store.Grant{Agency: p.Agency(), Desk: "*", Role: desk.Viewer})
		}
		if _, err := n.Accounts.AddPerson(ctx, account.Node, store.Person{ID: p.ID, Name: p.Name, Lang: p.Lang, Grants: grants, Clearances: p.Clearances}, demoPassword); err != nil {
			return err
		}
	}
	return nil
}

// fill lets the past happen.
func fill(ctx context.Context, clock *demoClock, acts []demo.Act, give func(demo.Act) error) error {
	show := meter("filling the demo's region:")
	refused := 0
	for i, a := range acts {
		clock.set(a.At)
		if err := give(a); err != nil {
			if !a.About.IsZero() && ctx.Err() == nil {
				continue // what it answers is on another node, and has not come yet
			}
			if record.CodeOf(err) == record.Invalid || ctx.Err() != nil {
				return fmt.Errorf("act %d, %s %s: %w", i, a.Kind, a.Command, err)
			}
			refused++
		}
		show(int64(i+1), int64(len(acts)))
	}
	if refused > len(acts)/50 {
		return fmt.Errorf("%d of the demo's %d acts were refused", refused, len(acts))
	}
	return nil
}

// give turns an act into a command.
func give(ctx context.Context, n *node.Node, a demo.Act) error {
	r, err := n.Accounts.Reader(a.Person, a.Agency, nil, "demo")
	if err != nil {
		return err
	}
	c := &intake.Command{Kind: a.Kind, Name: a.Command, Record: a.ID, By: r, Note: a.Note, Args: a.Args}
	if d := a.Draft; d != nil {
		c.Draft = &intake.Draft{Observed: d.Observed, Marking: d.Marking, Place: d.Place, Links: d.Links, Body: d.Body, Note: a.Note}
	}
	if a.Command == desk.Mark {
		c.Marking, c.Args = &record.Marking{}, nil
		if err := json.Unmarshal(a.Args, c.Marking); err != nil {
			return err
		}
	}
	_, err = n.Intake.Do(ctx, c)
	return err
}

// trickle keeps the room alive until ctx ends.
func trickle(ctx context.Context, story *demo.Story, give func(demo.Act) error, log *slog.Logger) {
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		a := story.Next(time.Now())
		if err := give(a); err != nil {
			story.Forget(a.ID)
			if ctx.Err() == nil {
				log.Debug("demo", "command", a.Kind+"."+a.Command, "error", err)
			}
		}
		timer.Reset(story.Pause())
	}
}

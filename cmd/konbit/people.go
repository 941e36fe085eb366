package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"konbit/account"
	"konbit/desk"
	"konbit/node"
	"konbit/record"
	"konbit/store"
)

type agencyCmd struct {
	Add  agencyAddCmd  `cmd:"" help:"Add an agency."`
	Set  agencySetCmd  `cmd:"" help:"Change an agency's name, contact or communities."`
	List agencyListCmd `cmd:"" help:"List the agencies."`
}

type agencyAddCmd struct {
	ID string `arg:"" help:"Identifier: ht.pnh, do.911, int.ocha."`
	dataFlag
	Name      string   `required:"" help:"As people say it."`
	Country   string   `required:"" help:"Two letters (ISO 3166-1)." placeholder:"CC"`
	Community []string `help:"Communities that it belongs to: @hispaniola." placeholder:"@NAME"`
	Contact   string   `help:"How a person reaches it."`
	Foreign   bool     `help:"It has a node of its own: this one does not keep its records."`
}

func (c *agencyAddCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *node.Node) error {
		a, err := n.Accounts.AddAgency(ctx, account.Node, store.Agency{ID: c.ID, Name: c.Name, Country: strings.ToUpper(c.Country), Communities: c.Community, Contact: c.Contact, Local: !c.Foreign})
		if err != nil {
			return err
		}
		fmt.Printf("added %s, %s\n", a.ID, a.Name)
		return nil
	})
}

type agencySetCmd struct {
	ID string `arg:"" help:"The agency."`
	dataFlag
	Name      *string  `help:"As people say it."`
	Contact   *string  `help:"How a person reaches it."`
	Community []string `help:"All the communities that it belongs to from now on." placeholder:"@NAME"`
	Alone     bool     `help:"It belongs to no community any more."`
}

func (c *agencySetCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *node.Node) error {
		change := account.AgencyChange{Name: c.Name, Contact: c.Contact}
		if c.Alone || len(c.Community) > 0 {
			change.Communities = &c.Community
		}
		a, err := n.Accounts.UpdateAgency(ctx, account.Node, c.ID, change)
		if err != nil {
			return err
		}
		fmt.Printf("%s, %s, in: %s\n", a.ID, a.Name, strings.Join(a.Communities, " "))
		return nil
	})
}

type agencyListCmd struct{ dataFlag }

func (c *agencyListCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *node.Node) error {
		w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
		dir := n.Accounts.Directory()
		for _, id := range sorted(dir.Agencies) {
			a := dir.Agencies[id]
			where := "here"
			if !a.Local {
				where = "elsewhere"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", a.ID, a.Country, a.Name, strings.Join(a.Communities, " "), where)
		}
		return w.Flush()
	})
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

type userCmd struct {
	Add   userAddCmd   `cmd:"" help:"Add a person."`
	List  userListCmd  `cmd:"" help:"List the people."`
	Reset userResetCmd `cmd:"" help:"Make a one-time link with which a person sets a new password."`
}

type userAddCmd struct {
	Name string `arg:"" help:"Short name, lower case: ana. With --agency ht.cc the person is ht.cc/ana."`
	dataFlag
	Agency       string   `required:"" help:"The person's agency." placeholder:"ID"`
	Role         []string `required:"" help:"viewer, operator, supervisor, auditor, administrator; DESK:ROLE for one desk alone." placeholder:"ROLE"`
	Display      string   `help:"As people say it; the short name when it is left out."`
	Lang         string   `help:"ht, fr, es or en." default:"fr" enum:"ht,fr,es,en"`
	Clearance    []string `help:"Handling caveats that the person is cleared for: victim, juvenile, source, medical, financial." placeholder:"CAVEAT"`
	PasswordFile string   `help:"Read the password from a file; '-' asks for it. Without it a one-time link is printed." placeholder:"FILE"`
}

func (c *userAddCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *node.Node) error {
		p := store.Person{ID: c.Agency + "/" + c.Name, Name: c.Display, Lang: c.Lang, Clearances: c.Clearance}
		if p.Name == "" {
			p.Name = c.Name
		}
		for _, r := range c.Role {
			d, role, ok := strings.Cut(r, ":")
			if !ok {
				d, role = "*", r
			}
			if !slices.Contains(desk.Roles, desk.Role(role)) {
				return record.Errorf(record.Invalid, "user add", "there is no role %q", role)
			}
			p.Grants = append(p.Grants, store.Grant{Agency: c.Agency, Desk: d, Role: desk.Role(role)})
		}
		password, err := secret(c.PasswordFile)
		if c.PasswordFile == "-" {
			password, err = ask("Password for " + p.ID + ": ")
		}
		if err != nil {
			return err
		}
		link, err := n.Accounts.AddPerson(ctx, account.Node, p, password)
		if err != nil {
			return err
		}
		fmt.Printf("added %s\n", p.ID)
		if link != "" {
			fmt.Printf("The person sets a password within a day at this path of the node's address:\n  /password#%s\n", link)
		}
		return nil
	})
}

type userListCmd struct{ dataFlag }

func (c *userListCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *node.Node) error {
		w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
		dir := n.Accounts.Directory()
		for _, id := range sorted(dir.People) {
			p := dir.People[id]
			var roles []string
			for _, g := range p.Grants {
				roles = append(roles, g.Agency+":"+g.Desk+":"+string(g.Role))
			}
			state := ""
			if p.Disabled {
				state = "disabled"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.ID, p.Name, strings.Join(roles, " "), strings.Join(p.Clearances, " "), state)
		}
		return w.Flush()
	})
}

type userResetCmd struct {
	Name string `arg:"" help:"The person: ht.cc/ana."`
	dataFlag
}

func (c *userResetCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *node.Node) error {
		link, err := n.Accounts.ResetLink(ctx, account.Node, c.Name)
		if err != nil {
			return err
		}
		fmt.Printf("/password#%s\n", link)
		return nil
	})
}

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token and print it alone; it is not shown again."`
	List   tokenListCmd   `cmd:"" help:"List the tokens."`
	Revoke tokenRevokeCmd `cmd:"" help:"Revoke a token."`
}

type tokenCreateCmd struct {
	dataFlag
	User  string   `required:"" help:"For whom it acts: ht.cc/ana, or ana when that is clear." placeholder:"NAME"`
	Name  string   `help:"What it is for." default:"command line"`
	Scope []string `help:"read, write, admin, audit." default:"read,write"`
	Days  int      `help:"How long it is good for." default:"90"`
}

func (c *tokenCreateCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *node.Node) error {
		person, ok := n.Accounts.Directory().Resolve(c.User)
		if !ok {
			return record.Errorf(record.NotFound, "token create", "there is no person %q, or more than one", c.User)
		}
		secret, _, err := n.Accounts.CreateToken(ctx, account.Node, account.NewToken{Name: c.Name, Person: person, Scopes: c.Scope, Expires: time.Now().Add(time.Duration(c.Days) * 24 * time.Hour)})
		if err != nil {
			return err
		}
		fmt.Println(secret)
		return nil
	})
}

type tokenListCmd struct{ dataFlag }

func (c *tokenListCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *node.Node) error {
		ts, err := n.Accounts.Tokens(ctx, account.Node, "")
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
		for _, t := range ts {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\tuntil %s\n", t.ID, t.Person, t.Name, strings.Join(t.Scopes, " "), t.Expires.Format(time.DateOnly))
		}
		return w.Flush()
	})
}

type tokenRevokeCmd struct {
	ID string `arg:"" help:"The token's identifier, as token list shows it."`
	dataFlag
}

func (c *tokenRevokeCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(n *node.Node) error {
		return n.Accounts.RevokeToken(ctx, account.Node, c.ID)
	})
}

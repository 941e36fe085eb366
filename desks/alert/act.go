package alert

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"konbit/desk"
	"konbit/record"
	"konbit/wire/cap"
)

type none = struct{}

// ReviewIn is how long an alert that one person published alone may wait for another to look.
const ReviewIn = time.Hour

// propose asks a second person to publish what the body says now. What is public stays
// until then.
func propose(c *desk.Change[Alert], _ none) error {
	if err := Problems(c.Body, &c.Record.Header, c.Now).Err("alert.propose"); err != nil {
		return err
	}
	c.Body.ProposedBy, c.Body.ProposedAt = c.Actor, moment(c.Now)
	return nil
}

// approve publishes what was proposed. Nothing can have been edited since.
func approve(c *desk.Change[Alert], _ none) error {
	const op = "alert.approve"
	if by := c.Body.ProposedBy; by == "" || by == c.Actor {
		return second(op, "proposed")
	}
	l := look(c.Body, &c.Record.Header, c.Now)
	if err := l.errors.Err(op); err != nil {
		return err
	}
	c.Body.ApprovedBy, c.Body.ApprovedAt = c.Actor, moment(c.Now)
	issue(c, l.message)
	return nil
}

func second(op, did string) error {
	return &record.Error{Code: record.Denied, Op: op, Message: "a second person is needed: not whoever " + did + " it", Hint: "ask another supervisor of your agency"}
}

type overrideArgs struct {
	Ground string `json:"ground" max:"1000" widget:"lines"` // why it cannot wait
}

// override publishes alone, in an emergency.
func override(c *desk.Change[Alert], a overrideArgs) error {
	const op = "alert.override"
	l := look(c.Body, &c.Record.Header, c.Now)
	if strings.TrimSpace(a.Ground) == "" {
		l.errors.Add("args.ground", "required", "say why it cannot wait")
	}
	if err := l.errors.Err(op); err != nil {
		return err
	}
	b := c.Body
	b.OverrideBy, b.OverrideAt, b.OverrideGround = c.Actor, moment(c.Now), a.Ground
	issue(c, l.message)
	flag(c.Record, Unreviewed)
	return nil
}

// review says that a second person has looked at what one published alone.
func review(c *desk.Change[Alert], _ none) error {
	const op = "alert.review"
	if !slices.Contains(c.Record.Flags, Unreviewed) {
		return record.Errorf(record.Stale, op, "there is nothing to review: two people published it, or somebody has reviewed it")
	}
	if c.Body.OverrideBy == c.Actor {
		return second(op, "published")
	}
	c.Body.ReviewedBy, c.Body.ReviewedAt = c.Actor, moment(c.Now)
	unflag(c.Record, Unreviewed, Overdue)
	return nil
}

func remind(c *desk.Change[Alert], _ none) error {
	flag(c.Record, Overdue)
	return nil
}

// giveBack ends a proposal.
func giveBack(c *desk.Change[Alert], _ none) error {
	c.Body.ProposedBy, c.Body.ProposedAt = "", nil
	return nil
}

// revise begins an Update. What is public does not change by it.
func revise(c *desk.Change[Alert], _ none) error {
	b := c.Body
	own := *b
	own.Published, own.Messages = "", nil // they do not change meanwhile
	raw, err := json.Marshal(earlier{own, c.Record.Place})
	b.Before, b.ProposedBy, b.ProposedAt = string(raw), "", nil
	return err
}

// earlier is what is being revised.
type earlier struct {
	Body  Alert         `json:"body"`
	Place *record.Place `json:"place,omitempty"`
}

// drop gives up an Update.
func drop(c *desk.Change[Alert], _ none) error { return restore(c) }

// restore gives back what was there before it was revised, so that the fields say what the
// public sees.
func restore(c *desk.Change[Alert]) error {
	b := c.Body
	if b.Before == "" {
		return nil
	}
	var was earlier
	if err := json.Unmarshal([]byte(b.Before), &was); err != nil {
		return &record.Error{Code: record.Corrupt, Op: c.Record.Kind, Message: "what was there before it was revised cannot be read", Err: err}
	}
	// A review may have been since.
	was.Body.ReviewedBy, was.Body.ReviewedAt = b.ReviewedBy, b.ReviewedAt
	was.Body.Published, was.Body.Messages = b.Published, b.Messages
	*b, c.Record.Place = was.Body, was.Place
	return nil
}

// issue sends what the body says, which is m.
func issue(c *desk.Change[Alert], m *cap.Alert) {
	send(c, m)
	c.Body.Before = ""
	unflag(c.Record, desk.Public)
	if c.Body.Status == Actual && c.Body.Scope == Public {
		flag(c.Record, desk.Public)
	}
}

// send makes m the newest message.
func send(c *desk.Change[Alert], m *cap.Alert) {
	b := c.Body
	b.Published = string(cap.Marshal(m))
	b.Messages = append(b.Messages, Sent{m.Identifier, m.Sent, Sort(strings.ToLower(m.MsgType)), len(b.Messages) + 1})
}

type cancelArgs struct {
	HT string `json:"ht,omitempty" max:"1000" widget:"lines"`
	FR string `json:"fr,omitempty" max:"1000" widget:"lines"`
	ES string `json:"es,omitempty" max:"1000" widget:"lines"`
	EN string `json:"en,omitempty" max:"1000" widget:"lines"`
}

// OverFor is how long a page says that an alert was cancelled.
const OverFor = 24 * time.Hour

// cancel ends it with a Cancel to whoever got it, and says why in each language in which
// it was published.
func cancel(c *desk.Change[Alert], args cancelArgs) error {
	const op = "alert.cancel"
	if err := restore(c); err != nil {
		return err
	}
	m, err := InForce(c.Body)
	if err != nil || m == nil {
		return &record.Error{Code: record.Corrupt, Op: op, Message: "what was sent before cannot be read", Err: err}
	}
	said := desk.Text(args)
	sent := zoneOf(c.Body, &c.Record.Header).at(c.Now)
	e := envelope(c.Body, &c.Record.Header, sent)
	m.Identifier, m.Sent, m.References, m.MsgType = e.Identifier, e.Sent, e.References, "Cancel"
	var f record.Fields
	for k := range m.Info {
		i := &m.Info[k]
		why := strings.TrimSpace(said.In(i.Language))
		if why == "" {
			f.Add("args."+i.Language, "required", "say why it is cancelled")
		}
		i.Headline, i.Description, i.Instruction, i.ResponseType = clip(why), why, "", nil
		i.Effective, i.Onset, i.Expires = time.Time{}, time.Time{}, sent.Add(OverFor)
	}
	report := cap.Check(m, c.Now)
	for _, bad := range report.Errors {
		at := "body"
		if g := infoPath.FindStringSubmatch(bad.Path); g != nil {
			k, _ := strconv.Atoi(g[1])
			at = "args." + m.Info[k].Language
		}
		add(&f, at, bad.Code, bad.Message)
	}
	if err := f.Err(op); err != nil {
		return err
	}
	send(c, m)
	return nil
}

// expire ends it by itself; receivers know from the message when.
func expire(c *desk.Change[Alert], _ none) error {
	unflag(c.Record, desk.Public)
	return restore(c)
}

// expiry ends what is over.
var expiry = desk.Reaction{
	Name: "expiry",
	Kind: "alert",
	At: func(r *record.Record) time.Time {
		at, _ := ends(r)
		return at
	},
	Do: func(e desk.Event) ([]desk.Order, error) {
		at, err := ends(e.Record)
		if err != nil || at.IsZero() || e.Now.Before(at) {
			return nil, err
		}
		return []desk.Order{{Kind: e.Record.Kind, ID: e.Record.ID, Command: "expire"}}, nil
	},
}

// ends is when what is in force expires, zero when nothing is.
func ends(r *record.Record) (time.Time, error) {
	if !inForce(r.State) {
		return time.Time{}, nil
	}
	var b Alert
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return time.Time{}, err
	}
	m, err := InForce(&b)
	if err != nil || m == nil || len(m.Info) == 0 {
		return time.Time{}, err
	}
	return m.Info[0].Expires, nil
}

func inForce(state string) bool {
	return slices.Contains([]string{"live", "revising", "reproposed"}, state)
}

// reviewing flags what nobody else has looked at within the hour.
var reviewing = desk.Reaction{
	Name:    "reviewing",
	Kind:    "alert",
	Command: "override",
	After:   ReviewIn,
	Do: func(e desk.Event) ([]desk.Order, error) {
		f := e.Record.Flags
		if !slices.Contains(f, Unreviewed) || slices.Contains(f, Overdue) {
			return nil, nil
		}
		return []desk.Order{{Kind: e.Record.Kind, ID: e.Record.ID, Command: "remind"}}, nil
	},
}

func flag(r *record.Record, name string) {
	unflag(r, name)
	r.Flags = append(r.Flags, name)
}

func unflag(r *record.Record, names ...string) {
	r.Flags = slices.DeleteFunc(slices.Clone(r.Flags), func(f string) bool { return slices.Contains(names, f) })
}

func moment(t time.Time) *time.Time {
	t = t.UTC().Truncate(time.Second)
	return &t
}

// clip shortens a text to a headline, between words.
func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	const most = cap.MaxHeadline - 1
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	r := []rune(s)[:most-3]
	if i := slices.IndexFunc(r[len(r)/2:], unicode.IsSpace); i >= 0 {
		for !unicode.IsSpace(r[len(r)-1]) {
			r = r[:len(r)-1]
		}
	}
	return strings.TrimRight(string(r), " ,;:-.") + "..."
}

package kerneltest

import (
	"encoding/json"
	"slices"
	"time"

	"konbit/desk"
	"konbit/record"
)

// Remark is the body of the kinds "remark", an answer to anything, and "seen",
// whose agency alone decides who sees it.
type Remark struct {
	Text string `json:"text" search:"title"`
}

// Ask is the body of the kind "ask", which is addressed to one agency.
type Ask struct {
	To  string     `json:"to" facet:"true" widget:"agency"`
	Due *time.Time `json:"due,omitempty"`
}

// Tell is the body of the kind "tell": only the agency that was asked gives it.
type Tell struct {
	Done bool `json:"done,omitempty" facet:"true"`
}

// Answers declares a desk whose records answer others. A "tell" moves the "ask"
// that it answers, and one that is open when it is due is flagged "late".
func Answers() *desk.Desk {
	plain := []desk.Option{desk.Path("said"), desk.Flow{"said": {"withdraw": "gone"}}, desk.Allow{"withdraw": desk.Operator}, desk.OpenIn("said"), desk.KeepYears(1)}
	with := func(o ...desk.Option) []desk.Option { return append(o, plain...) }
	due := func(r *record.Record) (t time.Time) {
		var a Ask
		if json.Unmarshal(r.Body, &a) == nil && a.Due != nil {
			t = *a.Due
		}
		return t
	}
	d := &desk.Desk{Name: "answers", Kinds: desk.Kinds{
		desk.KindOf[Remark]("remark", with(desk.Answers{})...),
		desk.KindOf[Remark]("seen", with(desk.Answers{Own: true})...),
		desk.KindOf[Tell]("tell", with(desk.Answers{Kinds: []string{"ask"}, Asked: true})...),
		desk.KindOf[Ask]("ask", desk.Answers{Alone: true}, desk.Address{To: "to", Due: "due"},
			desk.Path("open", "done"), desk.Flow{"open": {"settle": "done", "flag": "open"}},
			desk.Allow{"settle": desk.Operator, "flag": desk.Operator}, desk.Automatic("settle", "flag"), desk.OpenIn("open"), desk.KeepYears(1),
			desk.Handle("flag", func(c *desk.Change[Ask], _ struct{}) error {
				c.Record.Flags = append(c.Record.Flags, "late")
				return nil
			})),
	}, Reactions: []desk.Reaction{
		{Name: "told", Kind: "tell", Foreign: true, Do: func(e desk.Event) (orders []desk.Order, err error) {
			for _, l := range e.Record.Links { // what is not its to order is dropped
				orders = append(orders, desk.Order{Kind: l.Kind, ID: l.ID, Command: "settle"})
			}
			return orders, nil
		}},
		{Name: "late", Kind: "ask", At: due, Do: func(e desk.Event) ([]desk.Order, error) {
			if e.Record.State != "open" || slices.Contains(e.Record.Flags, "late") || e.Now.Before(due(e.Record)) {
				return nil, nil
			}
			return []desk.Order{{Kind: "ask", ID: e.Record.ID, Command: "flag"}}, nil
		}},
	}}
	d.Files = Labels(d)
	return d
}

// Link links to what is answered.
func Link(to *record.Record) record.Link {
	return record.Link{Rel: desk.RelAnswers, Kind: to.Kind, ID: to.ID}
}

// Package answer is the desk for what an agency has to say about another one's
// record. Only its owner writes a record, so whoever knows better, saw something
// or has a question says so in a record of his own agency that links to it.
//
// A request and its reply are two records of two agencies: the reply moves the
// request on. This package must not know what sort of record is answered.
package answer

import (
	"embed"
	"time"

	"konbit/desk"
	"konbit/record"
)

// Comment is a remark on a record.
type Comment struct {
	Text string `json:"text" max:"5000" search:"title" widget:"lines"`
}

// Sighting is what somebody saw himself of what a record tells; where and when
// are in the header.
type Sighting struct {
	Text      string      `json:"text"            max:"5000" search:"title" widget:"lines"`
	Certainty Certainty   `json:"certainty"       facet:"true"`
	Grade     Reliability `json:"grade,omitempty" facet:"true"`
}

// Correction says that one thing in a record is wrong. The record's owner changes
// it, or does not.
type Correction struct {
	Field string `json:"field,omitempty" max:"100" facet:"true" widget:"field"` // path of the field; "" for the whole
	Right string `json:"right"           max:"2000" search:"title" widget:"lines"`
	Why   string `json:"why"             max:"2000" search:"text"  widget:"lines"`
}

// Request asks one agency for information.
type Request struct {
	To       string     `json:"to"                 max:"80" facet:"true" search:"id" widget:"agency" pattern:"^[a-z0-9]{2,12}([.][a-z0-9][a-z0-9-]{0,30}){1,3}$"`
	Question string     `json:"question"           max:"5000" search:"title" widget:"lines"`
	Urgency  Urgency    `json:"urgency"            facet:"true"`
	Deadline *time.Time `json:"deadline,omitempty"`
	Basis    string     `json:"basis,omitempty"    max:"500" search:"text"` // the law or the agreement that it rests on
}

// Reply is what the agency that was asked says to a request.
type Reply struct {
	Outcome Outcome `json:"outcome"          facet:"true"`
	Text    string  `json:"text,omitempty"   max:"20000" search:"title" widget:"lines" when:"outcome=answer|part"`
	Rest    string  `json:"rest,omitempty"   max:"2000"  search:"text"  widget:"lines" when:"outcome=part"`    // what is still to come
	Reason  string  `json:"reason,omitempty" max:"2000"  search:"title" widget:"lines" when:"outcome=refusal"` // why not
}

//go:embed labels.yaml
var files embed.FS

// New makes the desk. Each call makes a fresh one.
func New() *desk.Desk {
	return &desk.Desk{
		Name:      "answer",
		Icon:      "M4 4h16v12H9l-5 4.5zM8 8.500h8M8 12h5",
		Kinds:     desk.Kinds{request(), reply(), comment(), sighting(), correction()},
		Reactions: []desk.Reaction{replied, overdue, renewed},
		Files:     files,
	}
}

// said is the course of an answer that nothing follows from: it stands until its
// agency takes it back.
func said(extra ...desk.Option) []desk.Option {
	return append([]desk.Option{
		desk.Path("said"),
		desk.Flow{"said": {"withdraw": "withdrawn"}, "withdrawn": {"restore": "said"}},
		desk.Allow{"withdraw": desk.Operator, "restore": desk.Operator},
		desk.OpenIn("said"),
		desk.Freeze("withdrawn"),
		desk.AskPurpose(),
		desk.KeepYears(10),
	}, extra...)
}

func comment() *desk.Kind {
	return desk.KindOf[Comment]("comment", said(
		desk.Answers{},
		desk.Columns("text", "state", "observed", "owner"),
		desk.Form("comment", "text", "attachments"),
	)...)
}

func sighting() *desk.Kind {
	return desk.KindOf[Sighting]("sighting", said(
		desk.Answers{Own: true},
		desk.Columns("certainty", "text", "place", "observed", "state", "owner"),
		desk.Form("seen", "text", "certainty", "grade", "attachments"),
		desk.Form("where", "place", "observed"),
		desk.OnMap("circle", "certainty"),
	)...)
}

func correction() *desk.Kind {
	return desk.KindOf[Correction]("correction", said(
		desk.Answers{},
		desk.Columns("field", "right", "why", "state", "owner"),
		desk.Form("correction", "field", "right", "why", "attachments"),
	)...)
}

func request() *desk.Kind {
	return desk.KindOf[Request]("rfi",
		desk.Answers{Alone: true},
		desk.Address{To: "to", Due: "deadline", Rank: "urgency"},
		desk.UrgentWhen(func(r *Request) bool { return r.Urgency == Urgent }),
		desk.Path("asked", "partly", "answered"),
		desk.Flow{
			"asked":     {"answer": "answered", "part": "partly", "refuse": "refused", "remind": "asked", "renew": "asked", "withdraw": "withdrawn"},
			"partly":    {"answer": "answered", "part": "partly", "refuse": "refused", "remind": "partly", "renew": "partly", "reask": "asked", "withdraw": "withdrawn"},
			"answered":  {"answer": "answered", "part": "partly", "refuse": "refused", "reask": "asked"},
			"refused":   {"answer": "answered", "part": "partly", "refuse": "refused", "reask": "asked"},
			"withdrawn": {"reopen": "asked"},
		},
		desk.Allow{
			"answer": desk.Operator, "part": desk.Operator, "refuse": desk.Operator, "reask": desk.Operator,
			"remind": desk.Operator, "renew": desk.Operator, "withdraw": desk.Operator, "reopen": desk.Operator,
		},
		desk.Automatic("answer", "part", "refuse", "reask", "remind", "renew"),
		desk.Handle("answer", settle),
		desk.Handle("part", settle),
		desk.Handle("refuse", settle),
		desk.Handle("reask", reask),
		desk.Handle("remind", remind),
		desk.Handle("renew", renew),
		desk.Handle("withdraw", renew),
		desk.Flags(Overdue),
		desk.OpenIn("asked", "partly"),
		desk.Freeze("answered", "refused", "withdrawn"),
		desk.Columns("urgency", "question", "to", "deadline", "state", "owner"),
		desk.Form("request", "to", "question", "urgency", "deadline", "basis", "attachments"),
		desk.AskPurpose(),
		desk.KeepYears(10),
	)
}

func reply() *desk.Kind {
	return desk.KindOf[Reply]("reply", said(
		desk.Answers{Kinds: []string{"rfi"}, Asked: true, Each: "outcome"},
		desk.Columns("outcome", "text", "rest", "reason", "state", "owner"),
		desk.Form("reply", "outcome", "text", "rest", "reason", "attachments"),
	)...)
}

// answered returns the link to the record that r answers, nil when there is none.
func answered(r *record.Record) *record.Link {
	for i := range r.Links {
		if r.Links[i].Rel == desk.RelAnswers {
			return &r.Links[i]
		}
	}
	return nil
}

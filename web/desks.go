package web

import (
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"konbit/desk"
	"konbit/policy"
)

// DesksView is everything that a screen needs to know about the desks.
type DesksView struct {
	Desks []DeskView `json:"desks"`
}

// DeskView is a desk with its words.
type DeskView struct {
	Name   string               `json:"name"`
	Icon   string               `json:"icon" doc:"SVG path data for a 24 by 24 box, drawn as a line"`
	Labels map[string]desk.Text `json:"labels"`
	Kinds  []KindView           `json:"kinds"`
}

// KindView is a kind as its desk declares it, and what you may do with it.
type KindView struct {
	Name     string                       `json:"name"`
	Start    string                       `json:"start"`
	Path     []string                     `json:"path" doc:"States of the usual course"`
	States   []string                     `json:"states"`
	Open     []string                     `json:"open" doc:"States of work not yet done"`
	Frozen   []string                     `json:"frozen" doc:"States in which a record cannot be edited"`
	Flow     map[string]map[string]string `json:"flow" doc:"State, command, next state"`
	Columns  []string                     `json:"columns"`
	Sections []desk.Section               `json:"sections"`
	Symbol   desk.Symbol                  `json:"symbol"`
	Placed   bool                         `json:"placed" doc:"It is drawn on maps"`
	Purpose  bool                         `json:"purpose" doc:"Opening a protected record asks why"`
	Protect  []string                     `json:"protect" doc:"Handling caveats that every record carries"`
	Flags    []string                     `json:"flags"`
	Similar  bool                         `json:"similar" doc:"Possible duplicates are suggested"`
	KeepDays int                          `json:"keepDays"`
	Fields   []desk.Field                 `json:"fields"`
	Args     map[string][]desk.Field      `json:"args" doc:"Of each command that takes any"`
	Allowed  []string                     `json:"allowed" doc:"Commands that you may give on records of your agency"`
	CanRead  bool                         `json:"canRead"`
	Answers  *desk.Answers                `json:"answers,omitempty" doc:"It answers other records: it stands in their timelines and is offered beside them"`
	Address  *desk.Address                `json:"address,omitempty" doc:"Each record is addressed to one agency, which finds it in an inbox"`
}

func (s *Server) registerDesks() {
	s.handle(huma.Operation{OperationID: "list-desks", Method: http.MethodGet, Path: "/api/v1/desks", Summary: "The desks: what each keeps, how it looks, and what you may do", Tags: []string{"desks"},
		Responses: map[string]*huma.Response{"200": s.answer("Every desk", DesksView{})}},
		func(w http.ResponseWriter, r *http.Request) error {
			reader, err := s.signedIn(r.Context())
			if err != nil {
				return err
			}
			w.Header().Set("Cache-Control", "private, no-cache")
			return writeJSON(w, http.StatusOK, s.desks(reader))
		})
}

func (s *Server) desks(r *policy.Reader) DesksView {
	v := DesksView{Desks: []DeskView{}}
	for _, d := range s.cfg.Desks.Desks {
		dv := DeskView{Name: d.Name, Icon: d.Icon, Labels: s.cfg.Desks.Labels(d.Name), Kinds: []KindView{}}
		for _, k := range d.Kinds {
			dv.Kinds = append(dv.Kinds, kindView(k, r))
		}
		v.Desks = append(v.Desks, dv)
	}
	return v
}

func kindView(k *desk.Kind, r *policy.Reader) KindView {
	v := KindView{
		Name: k.Name, Start: k.Start, Path: some(k.Path), States: k.States(), Open: some(k.Open), Frozen: some(k.Frozen), Flow: k.Flow,
		Columns: some(k.Columns), Sections: some(k.Sections), Symbol: k.Symbol, Placed: k.Placed(), Purpose: k.Purpose, Protect: some(k.Protect),
		Flags: some(k.Flags), Similar: k.Near.Metres > 0, KeepDays: int(k.Keep.Hours() / 24), Fields: some(k.Fields()), Args: map[string][]desk.Field{}, Allowed: []string{}, CanRead: r.CanRead(k),
		Answers: k.Answers, Address: k.Address,
	}
	if v.Flow == nil {
		v.Flow = desk.Flow{}
	}
	for _, c := range k.Commands() {
		if args := k.Args(c); len(args) > 0 {
			v.Args[c] = args
		}
		if r.May(k, c) == nil && !slices.Contains(k.Automatic, c) {
			v.Allowed = append(v.Allowed, c)
		}
	}
	return v
}

// some is a list that is written as [] when it is empty.
func some[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return slices.Clip(l)
}

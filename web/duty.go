package web

import (
	"context"
	"net/http"
	"strings"

	"konbit/peer/question"
	"konbit/peer/trust"
	"konbit/record"
	"konbit/store"
)

// Duty is what runs once only, where several processes serve one node.
type Duty struct {
	Exchange  Exchange // nil: this node exchanges with no others
	Trust     *trust.Service
	Questions *question.Service
}

// Processes is the side of a Server that knows of the other processes of its node.
type Processes interface {
	Links // as the process on duty sees them
	OnDuty() bool
	// Fresh makes what is kept in memory of agencies, people and rights as new as
	// the store. It is called before an answer rests on them.
	Fresh(ctx context.Context) error
	// Holding reports whether the process on duty still carries out what was recalled
	// while the node was away: until then nothing may be shown.
	Holding(ctx context.Context) bool
	// Forward hands a request to the process on duty.
	Forward(w http.ResponseWriter, r *http.Request) error
	// Sibling reports whether a request comes from another process of this node, so
	// that the address that it names is believed.
	Sibling(r *http.Request) bool
	// List returns all processes, the one on duty first.
	List(ctx context.Context) ([]store.Process, error)
}

// idle is the duty of a process that has none.
var idle = &Duty{}

// duty returns what runs once only: of a process that is not on duty, what it had
// when it was, which changes nothing any more.
func (s *Server) duty() *Duty {
	if s.cfg.Duty != nil {
		if d := s.cfg.Duty(); d != nil {
			return d
		}
	}
	return idle
}

func (s *Server) exchange() Exchange { return s.duty().Exchange }

func (s *Server) trust() *trust.Service { return s.duty().Trust }

func (s *Server) questions() *question.Service { return s.duty().Questions }

// peerLinks are those to other nodes, seen from here or through the process on duty;
// nil: there are none.
func (s *Server) peerLinks() Links {
	if s.elsewhere() {
		return s.cfg.Processes
	}
	if x := s.exchange(); x != nil {
		return x
	}
	return nil
}

// elsewhere reports whether another process of this node is to answer.
func (s *Server) elsewhere() bool {
	return s.cfg.Processes != nil && !s.cfg.Processes.OnDuty()
}

// dutiful reports whether an address is for the process on duty: what other nodes
// ask and what concerns them, and what goes on in the background of one process.
func dutiful(path string) bool {
	for _, p := range [...]string{peerRoot, peersAt, questionsAt, "/api/v1/import/", "/api/v1/audit/verify", "/api/v1/audit/witnesses"} {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return path == "/api/v1/import" || strings.HasPrefix(path, records) && strings.HasSuffix(path, "/holders")
}

// passedOn hands a request to the process on duty where it belongs there, and
// reports whether it did.
func (s *Server) passedOn(c *call, r *http.Request) bool {
	if !s.elsewhere() || !dutiful(r.URL.Path) {
		return false
	}
	r.Pattern = "duty"
	if s.cfg.Processes.Sibling(r) { // it has just lost its duty, and who sent it does not know yet
		s.writeError(c, r, errNoDuty)
	} else if err := s.forward(c, r); err != nil {
		s.writeError(c, r, err)
	}
	return true
}

// forward hands a request to the process on duty as it came, with the address of who asks.
func (s *Server) forward(w http.ResponseWriter, r *http.Request) error {
	r.Header.Set("X-Forwarded-For", s.address(r))
	return s.cfg.Processes.Forward(w, r)
}

// errNoDuty says that a duty is changing hands.
var errNoDuty = func() *record.Error {
	e := record.Errorf(record.Unavailable, "duty", "the process that does this is being replaced")
	e.Hint = "try again in a few seconds"
	return e
}()

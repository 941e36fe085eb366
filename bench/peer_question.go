package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
	"github.com/cloudflare/circl/zk/dleq"

	"konbit/peer/question"
	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// The words of a question as they travel (peer/question).
const (
	topicAsk    = "question.ask"
	topicAnswer = "question.evaluated"
)

type askWord struct {
	ID       string   `json:"id"`
	Purpose  string   `json:"purpose"`
	Agency   string   `json:"agency"`
	Person   string   `json:"person"`
	Elements [][]byte `json:"elements"`
}

type answerWord struct {
	ID       string   `json:"id"`
	Refused  string   `json:"refused"`
	Elements [][]byte `json:"elements"`
	Proof    []byte   `json:"proof"`
	Key      []byte   `json:"key"`
}

var oprfSuite = oprf.SuiteRistretto255

// asked is a question that was made and not sent yet.
type asked struct {
	blind *oprf.FinalizeData
	word  askWord
}

// questionRows measures how many questions a node answers on one core: checks,
// the evaluation with its proof, the entry in the ledger, on disk before the answer.
func questionRows(ctx context.Context, dir string, n int) ([]Row, error) {
	s, err := build(ctx, dir, other, "DO", nil)
	if err != nil {
		return nil, err
	}
	defer s.close()
	from := &store.Node{Name: "konbit.node/0000000a", Agencies: []string{agency}, State: store.NodeActive}
	questions, err := makeQuestions(n)
	if err != nil {
		return nil, err
	}
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	rate, answers, err := answerAll(ctx, s, from, questions)
	if err != nil {
		return nil, err
	}
	if err := checkAnswers(questions, answers); err != nil {
		return nil, err
	}
	base, err := evaluateAll(questions)
	if err != nil {
		return nil, err
	}
	row := ratio(Row{Name: "hit / no-hit questions answered on one core", Value: rate, Unit: "answers/s", Baseline: base, Reach: "1,000/s",
		Method: fmt.Sprintf("%d questions about one identifier each, given to the holder's service as they come off the link, GOMAXPROCS 1, %d under way; every one checked, evaluated with its proof and written into the ledger, on disk, before it is answered; every proof verified afterwards; baseline: circl's VOPRF evaluation with proof alone", n, underWay)})
	row.OK = row.Value >= 1000
	return []Row{row}, nil
}

// underWay is how many questions wait for their answers at once.
const underWay = 256

func makeQuestions(n int) ([]asked, error) {
	any, err := oprf.GenerateKey(oprfSuite, rand.Reader) // the blinding does not depend on it
	if err != nil {
		return nil, err
	}
	client := oprf.NewVerifiableClient(oprfSuite, any.Public())
	out := make([]asked, n)
	for i := range out {
		fin, req, err := client.Blind([][]byte{fmt.Appendf(nil, "plate\x00AA%06d", i)})
		if err != nil {
			return nil, err
		}
		e, err := req.Elements[0].MarshalBinaryCompress()
		if err != nil {
			return nil, err
		}
		out[i] = asked{fin, askWord{ID: record.NewID(time.Now()).String(), Purpose: "a stolen car was seen at the crossing", Agency: agency, Person: agency + "/op", Elements: [][]byte{e}}}
	}
	return out, nil
}

// locals tells the service which agencies the node serves.
type locals struct{ *site }

func (l locals) Agencies() []string       { return []string{l.agency} }
func (l locals) Local(agency string) bool { return agency == l.agency }

// answerAll gives the questions to a service of the node and gathers its answers.
func answerAll(ctx context.Context, s *site, from *store.Node, questions []asked) (rate float64, answers map[string]*answerWord, err error) {
	var mu sync.Mutex
	answers = map[string]*answerWord{}
	room := make(chan struct{}, underWay)
	all := make(chan struct{})
	var bad atomic.Int64
	svc, err := question.New(ctx, question.Config{Store: s.Store, Desks: s.Desks, Directory: locals{s}, Ledger: s.Intake, Nodes: s.Trust(), Country: "do",
		Limits: question.Limits{Minute: 1 << 30, Day: 1 << 30}, Now: time.Now, Send: func(_ string, items ...bundle.Item) {
			for _, it := range items {
				a := &answerWord{}
				if it.Topic != topicAnswer || json.Unmarshal(it.Payload, a) != nil {
					bad.Add(1)
					continue
				}
				<-room
				mu.Lock()
				answers[a.ID] = a
				if len(answers) == len(questions) {
					close(all)
				}
				mu.Unlock()
			}
		}})
	if err != nil {
		return 0, nil, err
	}
	ctx, stop := context.WithTimeout(ctx, 2*time.Minute)
	ran := make(chan error, 1)
	go func() { ran <- svc.Run(ctx) }()
	defer func() {
		stop()
		<-ran
	}()
	ask := svc.Words()[topicAsk]
	words := make([][]byte, len(questions))
	for i := range questions {
		if words[i], err = json.Marshal(&questions[i].word); err != nil {
			return 0, nil, err
		}
	}
	start := time.Now()
	for _, w := range words {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return 0, nil, fmt.Errorf("not all questions were answered: %w", ctx.Err())
		}
		if err := ask(ctx, from, bundle.Item{Sort: bundle.Word, Topic: topicAsk, Payload: w}); err != nil {
			return 0, nil, err
		}
	}
	select {
	case <-all:
	case <-ctx.Done():
		return 0, nil, fmt.Errorf("not all questions were answered: %w", ctx.Err())
	}
	took := time.Since(start)
	if n := bad.Load(); n > 0 {
		return 0, nil, fmt.Errorf("%d answers cannot be read", n)
	}
	return float64(len(questions)) / took.Seconds(), answers, nil
}

// checkAnswers takes off each blind, which checks the holder's proof.
func checkAnswers(questions []asked, answers map[string]*answerWord) error {
	for i := range questions {
		q := &questions[i]
		a := answers[q.word.ID]
		if a == nil || a.Refused != "" || len(a.Elements) != 1 {
			return fmt.Errorf("question %d was not answered: %+v", i, a)
		}
		pub, proof := &oprf.PublicKey{}, &dleq.Proof{}
		e := oprfSuite.Group().NewElement()
		for _, err := range []error{pub.UnmarshalBinary(oprfSuite, a.Key), proof.UnmarshalBinary(oprfSuite.Group(), a.Proof), e.UnmarshalBinary(a.Elements[0])} {
			if err != nil {
				return fmt.Errorf("answer %d: %w", i, err)
			}
		}
		if _, err := oprf.NewVerifiableClient(oprfSuite, pub).Finalize(q.blind, &oprf.Evaluation{Elements: []oprf.Evaluated{e}, Proof: proof}); err != nil {
			return fmt.Errorf("answer %d: %w", i, err)
		}
	}
	return nil
}

// evaluateAll is the bare work of the function.
func evaluateAll(questions []asked) (rate float64, err error) {
	priv, err := oprf.GenerateKey(oprfSuite, rand.Reader)
	if err != nil {
		return 0, err
	}
	server := oprf.NewVerifiableServer(oprfSuite, priv)
	in := make([]group.Element, len(questions))
	for i := range questions {
		in[i] = oprfSuite.Group().NewElement()
		if err := in[i].UnmarshalBinary(questions[i].word.Elements[0]); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	for _, e := range in {
		if _, err := server.Evaluate(&oprf.EvaluationRequest{Elements: []oprf.Blinded{e}}); err != nil {
			return 0, err
		}
	}
	return float64(len(questions)) / time.Since(start).Seconds(), nil
}

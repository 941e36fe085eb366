package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"konbit/intake"
	"konbit/node"
)

// memberSpec is what a member is told on its standard input, as a line of JSON.
type memberSpec struct {
	Data    string // folder with the node's keys
	Store   string
	Records int // to create
	Givers  int // goroutines
	Seed    uint64
}

// memberResult is what it says in the end.
type memberResult struct {
	Begin, End time.Time
	Commits    uint64        // transactions
	CPU        time.Duration // of the process, between the two
}

// Member is one of several processes of one node, started by the bench: it prepares
// its commands, says so, and gives them when it is told.
func Member(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	lines := bufio.NewReader(in)
	text, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	var spec memberSpec
	if err := json.Unmarshal(text, &spec); err != nil {
		return err
	}
	n, by, err := openOn(ctx, spec.Data, spec.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	now := time.Now()
	cmds := commands(newMaker(spec.Seed, now), by, spec.Records, func(int) time.Time { return now })
	if _, err := io.WriteString(out, "ready\n"); err != nil {
		return err
	}
	if _, err := lines.ReadString('\n'); err != nil {
		return err
	}
	before, err := spent(os.Getpid())
	if err != nil {
		return err
	}
	res := memberResult{Begin: time.Now()}
	was := n.Intake.Commits()
	if err := giveSingly(ctx, n, cmds, spec.Givers); err != nil {
		return err
	}
	after, err := spent(os.Getpid())
	if err != nil {
		return err
	}
	res.End, res.Commits, res.CPU = time.Now(), n.Intake.Commits()-was, after.cpu-before.cpu
	return json.NewEncoder(out).Encode(res)
}

// giveSingly gives commands one by one from many goroutines, each of which waits for
// the answer, as people at consoles do.
func giveSingly(ctx context.Context, n *node.Node, cmds []*intake.Command, givers int) error {
	next := make(chan *intake.Command)
	errs := make(chan error, givers)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for range givers {
		wg.Go(func() {
			for c := range next {
				if _, err := n.Intake.Do(ctx, c); err != nil {
					errs <- err
					cancel()
					return
				}
			}
		})
	}
feeding:
	for _, c := range cmds {
		select {
		case next <- c:
		case <-ctx.Done():
			break feeding
		}
	}
	close(next)
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return ctx.Err()
	}
}

// together starts members, lets them go when all are ready, and waits for them.
func together(ctx context.Context, o Options, specs []memberSpec) ([]memberResult, error) {
	ctx, cancel := context.WithCancel(ctx) // one that fails ends the others
	defer cancel()
	out, errs := make([]memberResult, len(specs)), make([]error, len(specs))
	begin := make(chan struct{})
	var ready, done sync.WaitGroup
	ready.Add(len(specs))
	for i, spec := range specs {
		done.Go(func() {
			out[i], errs[i] = member(ctx, o, spec, sync.OnceFunc(ready.Done), begin)
			if errs[i] != nil {
				cancel()
			}
		})
	}
	ready.Wait()
	close(begin)
	done.Wait()
	return out, errors.Join(errs...)
}

// member runs one. It calls ready in any case.
func member(ctx context.Context, o Options, spec memberSpec, ready func(), begin <-chan struct{}) (res memberResult, err error) {
	defer ready()
	c := exec.CommandContext(ctx, o.Binary, "bench", "--member")
	c.Stderr = o.Log
	in, err := c.StdinPipe()
	if err != nil {
		return res, err
	}
	pipe, err := c.StdoutPipe()
	if err != nil {
		return res, err
	}
	if err := c.Start(); err != nil {
		return res, err
	}
	defer func() {
		in.Close()
		if e := c.Wait(); e != nil {
			err = fmt.Errorf("a member of the node: %w", e)
		}
	}()
	if err := json.NewEncoder(in).Encode(spec); err != nil {
		return res, err
	}
	lines := bufio.NewReader(pipe)
	if _, err := lines.ReadString('\n'); err != nil {
		return res, err
	}
	ready()
	<-begin
	if _, err := io.WriteString(in, "go\n"); err != nil {
		return res, err
	}
	return res, json.NewDecoder(lines).Decode(&res)
}

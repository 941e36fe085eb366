package move_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"konbit/store/move"
	"konbit/store/postgres/pgtest"
)

// child, in the environment, makes the test binary copy from one store to another
// and say every step, until it is killed or done.
const child = "MOVE_TEST_CHILD"

func TestMain(m *testing.M) {
	from, to, ok := strings.Cut(os.Getenv(child), "\n")
	if !ok {
		os.Exit(m.Run())
	}
	_, err := move.Run(ctx, move.Copy{From: from, To: to, Derive: derive, Progress: func(s move.Step) {
		fmt.Println(s.What, s.Done, s.Total)
	}}.Small())
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// killedAfter copies in a process of its own, and kills it after some steps. It
// reports whether the copy was done before.
func killedAfter(t *testing.T, from, to string, steps int) (done bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe)
	c.Env = append(os.Environ(), child+"="+from+"\n"+to)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines := bufio.NewScanner(out); lines.Scan(); steps-- {
		if last = lines.Text(); steps == 0 {
			c.Process.Kill()
		}
	}
	if err := c.Wait(); err != nil && strings.HasPrefix(last, "error:") {
		t.Fatal(last)
	} else {
		t.Log(last)
		return err == nil
	}
	return false
}

func TestCopyThatIsKilledGoesOnWhereItStopped(t *testing.T) {
	first := "sqlite:" + filled(t, 2000)
	want := copied(t, first, "sqlite:"+filepath.Join(t.TempDir(), "whole.db"))
	there := pgtest.URL(t)
	for _, way := range [][2]string{{first, there}, {there, "sqlite:" + filepath.Join(t.TempDir(), "back.db")}} {
		kills := 0
		for !killedAfter(t, way[0], way[1], rand.IntN(40)) {
			if kills++; kills == 8 {
				break
			}
		}
		if kills < 3 {
			t.Errorf("it was done after %d kills", kills)
		}
		if kills == 8 {
			same(t, want, copied(t, way[0], way[1]))
		}
		// Nothing was doubled or left out, whoever ended it: a copy of the copy is the same.
		same(t, want, copied(t, way[1], "sqlite:"+filepath.Join(t.TempDir(), "again.db")))
	}
}

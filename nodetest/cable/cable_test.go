package cable

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// echo answers with what it gets, until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

func dial(t *testing.T, w *Wire, addr string) net.Conn {
	t.Helper()
	c, err := w.Dial(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestBytesComeThroughWholeAndInOrder(t *testing.T) {
	for name, w := range map[string]*Wire{"good": {}, "lossy": {loss: 0.1}, "slow": {rate: 2 << 20, delay: 5 * time.Millisecond}} {
		c := dial(t, w, echo(t))
		want := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
		go c.Write(want)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: the bytes came otherwise: %v", name, err)
		}
		if up, down := w.Bytes(); up != int64(len(want)) || down != int64(len(want)) {
			t.Errorf("%s: counted %d up, %d down", name, up, down)
		}
	}
}

func TestRateIsSharedAndDelayIsKept(t *testing.T) {
	var w Wire
	addr := echo(t)
	w.Rate(100 << 10)
	w.Delay(20 * time.Millisecond)
	at := time.Now()
	done := make(chan error, 2)
	for range 2 {
		c := dial(t, &w, addr)
		go func() {
			go c.Write(make([]byte, 20<<10))
			_, err := io.ReadFull(c, make([]byte, 20<<10))
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(at); took < 400*time.Millisecond {
		t.Errorf("40 KiB at 100 KiB/s took %v", took)
	}
}

func TestCutIsSeenAndSilenceIsNot(t *testing.T) {
	var w Wire
	addr := echo(t)
	c := dial(t, &w, addr)
	w.Cut()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrCut) && !errors.Is(err, net.ErrClosed) {
		t.Errorf("a cut was read as %v", err)
	}
	if _, err := w.Dial(t.Context(), "tcp", addr); !errors.Is(err, ErrCut) {
		t.Errorf("dialled over a cut: %v", err)
	}
	w.Mend()

	c = dial(t, &w, addr)
	w.Silence()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Errorf("silence was noticed: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.Dial(ctx, "tcp", addr); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dialled into silence: %v", err)
	}
	w.Mend()
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("what was said in silence is lost: %v", err)
	}
}

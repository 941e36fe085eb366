package node_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"konbit/node"
)

func TestResidentsAreAnsweredOnAListenerOfTheirOwn(t *testing.T) {
	console, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	residents, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), node.Config{Data: t.TempDir(), Hash: cheap, Name: "Sant la", Public: residents})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx, console) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	get := func(path string) (int, string) {
		res, err := http.Get("http://" + residents.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if code, body := get("/"); code != 200 || !strings.Contains(body, "Sant la") {
		t.Errorf("%d %s", code, body)
	}
	for _, path := range []string{"/api/v1/session", "/api/v1/records/incident", "/metrics", "/readyz", "/incident"} { // the console is elsewhere
		if code, body := get(path); code != 404 || !strings.Contains(body, "Pa gen paj konsa") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

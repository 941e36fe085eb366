package node

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"konbit/public"
)

// PublicURL is the address that residents type, "" when they are not answered here.
func (n *Node) PublicURL() string {
	if n.cfg.Public == nil {
		return ""
	}
	return cmp.Or(n.cfg.PublicURL, "http://"+n.cfg.Public.Addr().String())
}

// servePublic answers residents until ctx ends.
func (n *Node) servePublic(ctx context.Context) error {
	board, err := public.New(ctx, public.Config{Store: n.Store, Desks: n.Desks, Grown: n.Intake.Grown, Name: n.cfg.Name, URL: n.PublicURL(), Now: n.now, Log: n.log, Demo: n.cfg.Demo,
		Owner: func(agency string) string {
			if a := n.Accounts.Directory().Agencies[agency]; a != nil {
				return a.Name
			}
			return ""
		},
		Photo: func(hash string) (io.ReadSeekCloser, string, error) {
			f, info, err := n.Blobs.Thumb(hash)
			return f, info.Type, err
		}})
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: board.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug)}
	follow := func(ctx context.Context) error { return board.Run(ctx) }
	answer := func(context.Context) error {
		if err := srv.Serve(n.cfg.Public); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
	end := func(ctx context.Context) error {
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if srv.Shutdown(last) != nil {
			return srv.Close()
		}
		return nil
	}
	return together(ctx, follow, answer, end)
}

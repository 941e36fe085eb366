package peer

import (
	"context"
	"maps"
	"slices"
	"time"

	"konbit/intake"
	"konbit/record"
	"konbit/store"
)

// sweep ends what has expired: our records are recalled, those of other nodes
// are purged here without waiting for their recall. When the clock went back,
// what had expired by the wrong one is decided again.
func (s *streams) sweep(ctx context.Context) error {
	now := s.now()
	if now.Sub(s.swept) < time.Second && !now.Before(s.swept) {
		return nil
	}
	from, to, back := s.swept, now, false
	if now.Before(s.swept) {
		from, to, back = now, s.swept, true
	}
	if from.IsZero() {
		from = earliest
	}
	if err := s.sweepSpan(ctx, from, to, back); err != nil {
		return err
	}
	text, err := now.MarshalText()
	if err != nil {
		return err
	}
	if s.sweptOften(now) {
		if err := s.x.cfg.Store.SetValue(ctx, sweptName, text); err != nil {
			return err
		}
	}
	s.swept = now
	return nil
}

// sweptOften reports whether the time is worth keeping: once a minute. What
// expired since is found again after a restart.
func (s *streams) sweptOften(now time.Time) bool {
	return now.Before(s.swept) || !now.Truncate(time.Minute).Equal(s.swept.Truncate(time.Minute))
}

// earliest is before every expiry that a marking may have.
var earliest = time.Date(1899, 1, 1, 0, 0, 0, 0, time.UTC)

// sweepSpan ends what expired in (from, to]; back: decides it again.
func (s *streams) sweepSpan(ctx context.Context, from, to time.Time, back bool) error {
	limit := turn
	if to.Sub(from) <= time.Second { // expiries are whole seconds: the span cannot be halved
		limit = 1 << 30
	}
	briefs, err := s.x.cfg.Store.Expired(ctx, from, to, limit)
	if err != nil {
		return err
	}
	if len(briefs) >= limit {
		mid := from.Add(to.Sub(from) / 2).Truncate(time.Second)
		if !mid.After(from) {
			mid = from.Add(time.Second).Truncate(time.Second)
		}
		if err := s.sweepSpan(ctx, from, mid, back); err != nil {
			return err
		}
		return s.sweepSpan(ctx, mid, to, back)
	}
	for some := range slices.Chunk(briefs, turn) {
		if err := s.expire(ctx, some, back); err != nil {
			return err
		}
	}
	return nil
}

func (s *streams) expire(ctx context.Context, briefs []*store.Brief, back bool) error {
	own, foreign, err := s.whose(ctx, briefs)
	if err != nil {
		return err
	}
	if len(own) > 0 {
		s.mu.Lock()
		nodes := slices.Collect(maps.Keys(s.scopes))
		s.mu.Unlock()
		if err := s.again(ctx, own, nodes, "expired", back); err != nil {
			return err
		}
	}
	if len(foreign) == 0 || back {
		return nil
	}
	return s.x.cfg.Intake.Purge(ctx, foreign)
}

// whose tells our records from those of other nodes.
func (s *streams) whose(ctx context.Context, briefs []*store.Brief) (own []record.ID, foreign []intake.Purge, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range briefs {
		m, err := s.marking(ctx, b.Marking)
		if err != nil {
			return nil, nil, err
		}
		if s.x.cfg.Directory.Local(m.Owner) {
			own = append(own, b.ID)
		} else {
			foreign = append(foreign, intake.Purge{Record: b.ID, Ground: "expired"})
		}
	}
	return own, foreign, nil
}

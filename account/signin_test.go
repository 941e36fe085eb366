package account

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"konbit/desk"
	"konbit/record"
	"konbit/store"
)

func TestPasswordRules(t *testing.T) {
	for _, c := range []struct{ password, code string }{
		{"ti pye mango dous", ""},
		{"abcdefghi", "min"},
		{"éééééééééé", "common"}, // one letter only
		{"kafe lèt e siwo", ""},
		{"ｋａｆｅｋａｆｅ", "min"}, // eight, however wide
		{"Ana Joseph Pierre", "name"},
		{"anajosephpierre", "name"},
		{"MOTDEPASSE123", "common"},
		{"ｐａｓｓｗｏｒｄ１２３", "common"},
		{"contraseña123", "common"},
		{strings.Repeat("ab", 513), "max"},
		{"abc\xffdefghijk", "utf8"},
	} {
		f := checkPassword("password", c.password, "ht.cc/anajosephp", "Ana Joseph Pierre")
		got := ""
		if len(f) > 0 {
			got = f[0].Code
		}
		if got != c.code {
			t.Errorf("%q: %q, want %q", c.password, got, c.code)
		}
	}
}

func TestCommonPasswordsAreNormal(t *testing.T) {
	for _, w := range strings.Fields(commonText) {
		if plain(w) != w || len([]rune(w)) < MinPassword {
			t.Errorf("%q can never match", w)
		}
	}
}

func TestHashesArePHCStringsAndBounded(t *testing.T) {
	h, err := newHasher(HashCost{})
	if err != nil {
		t.Fatal(err)
	}
	phc := h.hash(normal("cafe\u0301 au lait"))
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Error(phc)
	}
	if ok, err := fits(phc, normal("caf\u00e9 au lait")); !ok || err != nil {
		t.Error("composed and decomposed differ", err)
	}
	if ok, _ := fits(phc, "something else"); ok {
		t.Error("any password fits")
	}
	for _, bad := range []string{"", "x", "$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=4000000,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=0,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$"} {
		if _, err := fits(bad, "x"); !errors.Is(err, errHash) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestHashingIsTwoAtATimeAndKeepsAPlaceForTheKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := newHasher(cheap)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		first, err := h.place(ctx, false)
		if err != nil {
			t.Fatal(err)
		}
		var waited, turned atomic.Int32
		for range 3 * maxWaiting {
			go func() {
				_, err := h.place(ctx, false)
				switch {
				case errors.Is(err, context.Canceled):
					waited.Add(1)
				case record.CodeOf(err) == record.TooMany:
					turned.Add(1)
				}
			}()
		}
		synctest.Wait()
		if n := turned.Load(); n != 2*maxWaiting {
			t.Errorf("%d were turned away", n)
		}
		second, err := h.place(ctx, true) // while strangers crowd the door
		if err != nil {
			t.Fatal(err)
		}
		third := make(chan error)
		go func() { _, err := h.place(ctx, true); third <- err }()
		synctest.Wait()
		select {
		case err := <-third:
			t.Fatalf("a third hash at the same time: %v", err)
		default:
		}
		cancel()
		if err := <-third; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		synctest.Wait()
		if n := waited.Load(); n != maxWaiting {
			t.Errorf("%d waited", n)
		}
		first()
		second()
	})
}

func TestWrongNameAndWrongPasswordAnswerAlike(t *testing.T) {
	h := newHouse(t)
	h.settle()
	_, a := h.SignIn(t.Context(), "ht.cc/ana", "not the password", From{Address: "10.0.0.1"})
	_, b := h.SignIn(t.Context(), "ht.cc/nobody", "not the password", From{Address: "10.0.0.2"})
	wantCode(t, a, record.Unsigned)
	if a.Error() != b.Error() {
		t.Errorf("%v / %v", a, b)
	}
}

func TestSignInByBareNameWhereOnlyOneHasIt(t *testing.T) {
	h := newHouse(t)
	h.settle()
	h.signIn("ana")
	h.signIn(" HT.CC/Ana ")
	h.person("do.911/ana")
	_, err := h.SignIn(t.Context(), "ana", secret, From{})
	wantCode(t, err, record.Unsigned)
}

func TestGuessingIsSlowedAndNotedOnce(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	var waits []time.Duration
	for range 12 {
		_, err := h.SignIn(ctx, "ht.cc/ana", "wrong password", From{Address: "203.0.113.9"})
		wantCode(t, err, record.Unsigned)
		_, err = h.SignIn(ctx, "ht.cc/ana", secret, From{Address: "203.0.113.9:5555"})
		d, ok := RetryAfter(err)
		if !ok {
			if len(waits) > 0 {
				t.Fatalf("not slowed any more after %v", waits)
			}
			// A right password clears the count; do without it from here on.
			h.throttle = newThrottle(nil, nil)
			for range freeOfPair {
				_, err = h.SignIn(ctx, "ht.cc/ana", "wrong password", From{Address: "203.0.113.9"})
				wantCode(t, err, record.Unsigned)
			}
			_, err = h.SignIn(ctx, "ht.cc/ana", secret, From{Address: "203.0.113.9"})
			if d, ok = RetryAfter(err); !ok {
				t.Fatal("three failures and no delay")
			}
		}
		waits = append(waits, d)
		h.clock.add(d)
	}
	want := []time.Duration{1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30}
	for i := range want {
		want[i] *= time.Second
	}
	if !slices.Equal(waits, want) {
		t.Errorf("%v", waits)
	}
	if n := h.count("sign-in slowed"); n != 1 {
		t.Errorf("%d entries", n)
	}
	// The right password after the delay works, and the count survives a restart until then.
	if err := h.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := h.SignIn(ctx, "ht.cc/ana", "wrong password", From{Address: "203.0.113.9"})
	wantCode(t, err, record.Unsigned)
	if err := h.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	h.restart()
	_, err = h.SignIn(ctx, "ht.cc/ana", secret, From{Address: "203.0.113.9"})
	wantCode(t, err, record.TooMany)
	h.clock.add(longest)
	_, err = h.SignIn(ctx, "ht.cc/ana", secret, From{Address: "203.0.113.9"})
	wantCode(t, err, "")
}

func TestFloodOfFailuresIsNoFloodOfEntries(t *testing.T) {
	h := newHouse(t)
	h.settle()
	before := len(h.said())
	for i := range 3000 {
		_, err := h.SignIn(t.Context(), fmt.Sprintf("ht.cc/u%d", i%700), "wrong password", From{Address: fmt.Sprintf("203.0.113.%d", i%250)})
		if err == nil {
			t.Fatal("signed in")
		}
	}
	if n := len(h.said()) - before; n > 3 {
		t.Errorf("%d entries", n)
	}
}

// A stranger who cannot guess the password may do what he likes, wherever he likes; nobody is locked out.
func TestNobodyIsLockedOutForGood(t *testing.T) {
	h := newHouse(t)
	h.settle()
	rapid.Check(t, func(rt *rapid.T) {
		h.throttle = newThrottle(nil, nil)
		ctx := context.Background()
		usual := From{Address: "192.168.1.10"}
		in, err := h.SignIn(ctx, "ht.cc/ana", secret, usual)
		if err != nil {
			rt.Fatal(err)
		}
		own := usual
		own.Device = in.Device
		places := []string{"203.0.113.1", "203.0.113.2", "2001:db8::1", "2001:db8::2", usual.Address}
		inside := false // somebody attacks from the usual address under her name
		for range rapid.IntRange(1, 120).Draw(rt, "attacks") {
			name := rapid.SampledFrom([]string{"ht.cc/ana", "ht.cc/boss", "ht.cc/nobody", "ana"}).Draw(rt, "name")
			place := rapid.SampledFrom(places).Draw(rt, "place")
			inside = inside || place == usual.Address && strings.HasSuffix(name, "ana")
			_, err := h.SignIn(ctx, name, "wrong password", From{Address: place, Device: "forged.mark.x"})
			if d, ok := RetryAfter(err); ok && (d <= 0 || d > longest) {
				rt.Fatalf("a delay of %v", d)
			}
			h.clock.add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "seconds")) * time.Second)

			switch rapid.IntRange(0, 9).Draw(rt, "then") {
			case 0: // her own browser, at once
				if _, err := h.SignIn(ctx, "ht.cc/ana", secret, own); err != nil {
					rt.Fatalf("her own browser: %v", err)
				}
			case 1: // her usual address, at once, unless the attacker sits there too
				_, err := h.SignIn(ctx, "ht.cc/ana", secret, usual)
				if err != nil && !inside {
					rt.Fatalf("her usual address: %v", err)
				}
				inside = inside && err != nil // a success clears the pair
			case 2: // another address, at once
				other := From{Address: fmt.Sprintf("198.51.100.%d", rapid.IntRange(1, 250).Draw(rt, "other"))}
				if _, err := h.SignIn(ctx, "ht.cc/ana", secret, other); err != nil {
					rt.Fatalf("another address: %v", err)
				}
			}
		}
		// And where the attack came from: after the delay.
		for _, p := range places {
			_, err := h.SignIn(ctx, "ht.cc/ana", secret, From{Address: p})
			if d, ok := RetryAfter(err); ok {
				h.clock.add(d)
				_, err = h.SignIn(ctx, "ht.cc/ana", secret, From{Address: p})
			}
			if err != nil {
				rt.Fatalf("%s after the delay: %v", p, err)
			}
		}
	})
}

// Thirty dispatchers sit behind one router, and one of the machines there is not theirs alone.
func TestAttackFromTheSameAddressDoesNotSlowThoseWhoAreKnownThere(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	router := From{Address: "192.168.1.1"}
	in, err := h.SignIn(ctx, "ht.cc/ana", secret, router)
	wantCode(t, err, "")
	for range 2 * freeOfPlace { // under many names
		h.SignIn(ctx, record.NewID(h.clock.now()).String(), "wrong password", router)
	}
	_, err = h.SignIn(ctx, "ht.cc/boss", secret, router)
	wantCode(t, err, record.TooMany) // he was never here
	if err := h.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	h.restart() // the known address is on disk
	_, err = h.SignIn(ctx, "ht.cc/ana", secret, router)
	wantCode(t, err, "")
	for range 10 { // under her name
		h.SignIn(ctx, "ht.cc/ana", "wrong password", router)
	}
	_, err = h.SignIn(ctx, "ht.cc/ana", secret, router)
	wantCode(t, err, record.TooMany)
	own := router
	own.Device = in.Device
	_, err = h.SignIn(ctx, "ht.cc/ana", secret, own)
	wantCode(t, err, "")
}

func TestKnockingEarlyDoesNotLengthenTheDelay(t *testing.T) {
	h := newHouse(t)
	h.settle()
	from := From{Address: "203.0.113.9"}
	for range freeOfPair {
		h.SignIn(t.Context(), "ht.cc/ana", "wrong password", from)
	}
	for range 100 {
		_, err := h.SignIn(t.Context(), "ht.cc/ana", "wrong password", from)
		wantCode(t, err, record.TooMany)
	}
	h.clock.add(time.Second)
	_, err := h.SignIn(t.Context(), "ht.cc/ana", secret, from)
	wantCode(t, err, "")
}

func TestManyGuessesAtOnceGainNothing(t *testing.T) {
	h := newHouse(t)
	h.settle()
	var wg sync.WaitGroup
	var mu sync.Mutex
	tried := 0
	for range 50 {
		wg.Go(func() {
			_, err := h.SignIn(t.Context(), "ht.cc/ana", "wrong password", From{Address: "203.0.113.9"})
			mu.Lock()
			defer mu.Unlock()
			if record.CodeOf(err) == record.Unsigned {
				tried++
			}
		})
	}
	wg.Wait()
	if tried != freeOfPair {
		t.Errorf("%d guesses were checked", tried)
	}
}

func TestDeviceMarkIsForItsPersonOnly(t *testing.T) {
	h := newHouse(t)
	h.settle()
	boss := h.signIn("ht.cc/boss")
	from := From{Address: "203.0.113.9", Device: boss.Device}
	for range freeOfPair {
		h.SignIn(t.Context(), "ht.cc/ana", "wrong password", from)
	}
	_, err := h.SignIn(t.Context(), "ht.cc/ana", secret, from)
	wantCode(t, err, record.TooMany)
	head := boss.Device[:strings.LastIndexByte(boss.Device, '.')]
	ana := base64.RawURLEncoding.EncodeToString([]byte("ht.cc/ana")) + head[strings.IndexByte(head, '.'):]
	for _, forged := range []string{"", ".", head, head + ".", head + ".AAAAAAAAAAAAAAAAAAAAAA", ana + boss.Device[len(head):]} {
		if _, _, ok := h.genuine(forged); ok {
			t.Errorf("%q is genuine", forged)
		}
	}
}

func TestThrottleIsBounded(t *testing.T) {
	th := newThrottle(nil, nil)
	now := time.Now()
	for i := range maxBuckets + 1000 {
		th.begin(now, "ht.cc/ana", fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "")
	}
	if len(th.buckets) > maxBuckets {
		t.Errorf("%d buckets", len(th.buckets))
	}
}

func TestPlaceIsWhatOneAttackerHolds(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "10.0.0.1:80": "10.0.0.1", "::ffff:10.0.0.1": "10.0.0.1", "[2001:db8::1]:443": "2001:db8::/64",
		"2001:db8::ffff": "2001:db8::/64", "fe80::1%eth0": "fe80::/64", "": "", "@": "@",
	} {
		if got := place(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSessionEndsWhenIdleOrOld(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	in := h.signIn("ht.cc/ana")
	h.clock.add(12*time.Hour - time.Second)
	if _, err := h.Session(ctx, in.Secret); err != nil {
		t.Fatal(err)
	}
	if err := h.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	h.restart() // the last use is on disk
	h.clock.add(12*time.Hour - time.Second)
	if _, err := h.Session(ctx, in.Secret); err != nil {
		t.Fatal(err)
	}
	h.clock.add(12 * time.Hour)
	_, err := h.Session(ctx, in.Secret)
	wantCode(t, err, record.Unsigned)

	in = h.signIn("ht.cc/ana")
	for range 7*24 - 1 {
		h.clock.add(time.Hour)
		if _, err := h.Session(ctx, in.Secret); err != nil {
			t.Fatal(err)
		}
	}
	h.clock.add(time.Hour)
	_, err = h.Session(ctx, in.Secret)
	wantCode(t, err, record.Unsigned)
	if err := h.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if all, err := h.db.Sessions(ctx, "ht.cc/ana"); err != nil || len(all) != 0 {
		t.Errorf("%v %v", all, err)
	}
}

func TestLastUseIsSavedOnceAMinute(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	in := h.signIn("ht.cc/ana")
	look := func(after time.Duration, saved int) {
		t.Helper()
		h.clock.add(after)
		for range 10 {
			if _, err := h.Session(ctx, in.Secret); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(h.worn.sessions); n != saved {
			t.Errorf("%d to save, want %d", n, saved)
		}
		if err := h.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	look(time.Second, 0)
	look(time.Minute, 1)
	look(30*time.Second, 0)
	look(30*time.Second, 1)
	e, err := h.db.Session(ctx, in.Hash)
	if err != nil || !e.Seen.Equal(h.clock.now()) {
		t.Errorf("%v %v", e.Seen, err)
	}
}

func TestWhatCollectsInMemoryIsSavedAtTheEnd(t *testing.T) {
	h := newHouse(t)
	h.settle()
	in := h.signIn("ht.cc/ana")
	token, tok, err := h.CreateToken(t.Context(), Node, NewToken{Name: "x", Person: "ht.cc/ana"})
	if err != nil {
		t.Fatal(err)
	}
	h.clock.add(time.Minute)
	if _, err := h.Session(t.Context(), in.Secret); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Token(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	for range freeOfPair {
		h.SignIn(t.Context(), "ht.cc/boss", "wrong password", From{Address: "203.0.113.9"})
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Flush(gone); err == nil { // what could not be saved is kept
		t.Fatal("saved in spite of all")
	}
	if err := h.Run(gone); err != nil {
		t.Fatal(err)
	}
	e, err := h.db.Session(t.Context(), in.Hash)
	if err != nil || !e.Seen.Equal(h.clock.now()) {
		t.Error(e.Seen, err)
	}
	k, err := h.db.TokenByID(t.Context(), tok.ID)
	if err != nil || !k.LastUsed.Equal(h.clock.now()) {
		t.Error(k.LastUsed, err)
	}
	h.restart()
	_, err = h.SignIn(t.Context(), "ht.cc/boss", secret, From{Address: "203.0.113.9"})
	wantCode(t, err, record.TooMany)
	_, err = h.SignIn(t.Context(), "ht.cc/ana", secret, From{Address: "10.0.0.1"})
	wantCode(t, err, "")
}

func TestAnAttemptThatWasNotCheckedDoesNotCount(t *testing.T) {
	h := newHouse(t)
	h.settle()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 * freeOfPlace {
		if _, err := h.SignIn(gone, "ht.cc/ana", "wrong password", From{Address: "203.0.113.9"}); record.CodeOf(err) == record.TooMany {
			t.Fatal("slowed by sign-ins that were given up")
		}
	}
	_, err := h.SignIn(t.Context(), "ht.cc/ana", secret, From{Address: "203.0.113.9"})
	wantCode(t, err, "")
}

func TestSetPasswordFromTheCommandLine(t *testing.T) {
	h := newHouse(t)
	h.settle()
	in := h.signIn("ht.cc/ana")
	wantCode(t, h.SetPassword(t.Context(), "ht.cc/nobody", "another mango tree"), record.NotFound)
	wantField(t, h.SetPassword(t.Context(), "ht.cc/ana", "short"), "password", "min")
	wantCode(t, h.SetPassword(t.Context(), "ht.cc/ana", "another mango tree"), "")
	_, err := h.Session(t.Context(), in.Secret)
	wantCode(t, err, record.Unsigned)
	_, err = h.SignIn(t.Context(), "ht.cc/ana", "another mango tree", From{})
	wantCode(t, err, "")
}

func TestSignInRotatesTheSession(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	a := h.signIn("ht.cc/ana")
	if _, err := h.Session(ctx, a.Secret); err != nil { // cached
		t.Fatal(err)
	}
	b, err := h.SignIn(ctx, "ht.cc/ana", secret, From{Session: a.Secret, Device: a.Device})
	if err != nil {
		t.Fatal(err)
	}
	if a.Secret == b.Secret || a.CSRF() == b.CSRF() || a.Device != b.Device {
		t.Error("not rotated, or the device has a new mark")
	}
	_, err = h.Session(ctx, a.Secret)
	wantCode(t, err, record.Unsigned)
	e, err := h.Session(ctx, b.Secret)
	if err != nil {
		t.Fatal(err)
	}
	if !e.CheckCSRF(b.CSRF()) || e.CheckCSRF(a.CSRF()) || e.CheckCSRF("") {
		t.Error("CSRF")
	}
	for _, bad := range []string{"", "x", b.Secret[:42] + "x", strings.Repeat("x", 100), b.Secret + "x"} {
		if _, err := h.Session(ctx, bad); record.CodeOf(err) != record.Unsigned {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestSessionsAreListedAndRevoked(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	a, b := h.signIn("ht.cc/ana"), h.signIn("ht.cc/ana")
	c := h.signIn("ht.cc/ana")
	for _, in := range []*SignedIn{a, b, c} {
		if _, err := h.Session(ctx, in.Secret); err != nil {
			t.Fatal(err)
		}
	}
	list, err := h.Sessions(ctx, "ht.cc/ana")
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	wantCode(t, h.RevokeSession(ctx, "do.911/jefa", "ht.cc/ana", a.ID), record.Denied)
	wantCode(t, h.RevokeSession(ctx, "ht.cc/ana", "ht.cc/ana", "nothing"), record.NotFound)
	wantCode(t, h.RevokeSession(ctx, "ht.cc/ana", "ht.cc/ana", a.ID), "")
	_, err = h.Session(ctx, a.Secret)
	wantCode(t, err, record.Unsigned)
	if err := h.ChangePassword(ctx, b.Session, "wrong password", "another mango tree", From{}); err == nil {
		t.Fatal("changed without the old one")
	} else {
		wantField(t, err, "old", "wrong")
	}
	wantCode(t, h.ChangePassword(ctx, b.Session, secret, "another mango tree", From{}), "")
	_, err = h.Session(ctx, c.Secret)
	wantCode(t, err, record.Unsigned)
	_, err = h.Session(ctx, b.Secret)
	wantCode(t, err, "")
	wantCode(t, h.SignOut(ctx, b.Session), "")
	_, err = h.Session(ctx, b.Secret)
	wantCode(t, err, record.Unsigned)
}

func TestHatLanguageAndPurposeStayWithTheSession(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	in := h.signIn("ht.cc/ana")
	_, err := h.SetHat(ctx, in.Session, "int.ocha")
	wantCode(t, err, record.Denied)
	e, err := h.SetHat(ctx, in.Session, "do.911")
	wantCode(t, err, "")
	e, err = h.SetLang(ctx, e, "es")
	wantCode(t, err, "")
	_, err = h.SetPurpose(ctx, e, strings.Repeat("x", maxPurpose+1))
	wantField(t, err, "purpose.words", "max")
	_, err = h.SetPurpose(ctx, e, "chèche yon timoun")
	wantCode(t, err, "")
	h.restart()
	e, err = h.Session(ctx, in.Secret)
	if err != nil || e.Agency != "do.911" || e.Lang != "es" || e.Why(h.clock.now()) != "chèche yon timoun" {
		t.Fatalf("%+v %v", e, err)
	}
	if h.count("purpose given") != 1 {
		t.Error("the purpose is not in the ledger")
	}
	if e.Why(h.clock.now().Add(PurposeLife)) != "" {
		t.Error("the purpose does not end")
	}
	// When the grant goes, so does the hat.
	if _, err := h.UpdatePerson(ctx, Node, "ht.cc/ana", PersonChange{Grants: &[]store.Grant{grant("ht.cc", "*", desk.Viewer)}}); err != nil {
		t.Fatal(err)
	}
	if e, err = h.Session(ctx, in.Secret); err != nil || e.Agency != "ht.cc" {
		t.Errorf("%+v %v", e, err)
	}
	// A purpose given too late does not bring an ended session back.
	wantCode(t, h.SignOut(ctx, e), "")
	_, err = h.SetPurpose(ctx, e, "again")
	wantCode(t, err, "")
	_, err = h.Session(ctx, in.Secret)
	wantCode(t, err, record.Unsigned)
}

func TestCacheBelievesAnotherProcessWithinSeconds(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	in := h.signIn("ht.cc/ana")
	if _, err := h.Session(ctx, in.Secret); err != nil {
		t.Fatal(err)
	}
	if _, err := h.book.Note(ctx, Entry, "ht.cc", "other", Access{}, store.DropSession{Hash: in.Hash}); err != nil {
		t.Fatal(err)
	}
	h.clock.add(fresh + 1)
	_, err := h.Session(ctx, in.Secret)
	wantCode(t, err, record.Unsigned)
}

func TestCacheDoesNotKeepWhatWasRevokedWhileItRead(t *testing.T) {
	var c cache[Session]
	c.init(false)
	var hash [32]byte
	rand.Read(hash[:])
	now := time.Now()
	_, gen := c.get(&hash, now) // a reader begins
	c.forget(hash)              // the session is revoked
	c.put(&hash, gen, &Session{}, now, now)
	if e, _ := c.get(&hash, now); e != nil {
		t.Error("a revoked session is believed")
	}
}

func TestCacheIsBounded(t *testing.T) {
	var c cache[Token]
	c.init(false)
	now := time.Now()
	for range 100_000 {
		var h [32]byte
		rand.Read(h[:])
		_, gen := c.get(&h, now)
		c.put(&h, gen, &Token{}, now, now)
	}
	n := 0
	for i := range c.shard {
		n += len(c.shard[i].m)
	}
	if n > shards*perShard {
		t.Errorf("%d entries", n)
	}
}

func TestTokens(t *testing.T) {
	h := newHouse(t)
	h.settle()
	ctx := t.Context()
	make := func(actor string, n NewToken) (string, *store.Token, error) { return h.CreateToken(ctx, actor, n) }
	_, _, err := make("ht.cc/boss", NewToken{Name: "x", Person: "ht.cc/ana"})
	wantCode(t, err, record.Denied)
	_, _, err = make("ht.cc/ana", NewToken{Name: "x", Person: "ht.cc/ana", Scopes: []string{"admin"}})
	wantField(t, err, "scopes[0]", "denied")
	_, _, err = make("ht.cc/ana", NewToken{Name: "x", Person: "ht.cc/ana", Scopes: []string{"all"}})
	wantField(t, err, "scopes[0]", "enum")
	_, _, err = make("ht.cc/ana", NewToken{Name: "", Person: "ht.cc/ana"})
	wantField(t, err, "name", "required")
	_, _, err = make("ht.cc/ana", NewToken{Name: "x", Person: "ht.cc/ana", Expires: h.clock.now().Add(MaxTokenLife + time.Hour)})
	wantField(t, err, "expires", "range")
	_, _, err = make("ht.cc/ana", NewToken{Name: "x", Person: "ht.cc/ana", Expires: h.clock.now()})
	wantField(t, err, "expires", "range")

	s, _, err := make("ht.cc/ana", NewToken{Name: "QGIS", Person: "ht.cc/ana", Scopes: []string{"write", "read"}})
	wantCode(t, err, "")
	if !IsToken(s) || IsToken(s[:len(s)-1]+"1") || IsToken("kbt_") || IsToken(s[4:]) {
		t.Error("checksum", s)
	}
	got, err := h.Token(ctx, s)
	if err != nil || got.Person != "ht.cc/ana" || !slices.Equal(got.Scopes, []string{"read", "write"}) {
		t.Fatalf("%+v %v", got, err)
	}
	h.clock.add(time.Minute)
	h.Token(ctx, s)
	wantCode(t, h.Flush(ctx), "")
	if list, err := h.Tokens(ctx, "ht.cc/boss", "ht.cc/ana"); err != nil || len(list) != 1 || list[0].LastUsed.IsZero() {
		t.Errorf("%+v %v", list, err)
	}
	_, err = h.Tokens(ctx, "do.911/jefa", "ht.cc/ana")
	wantCode(t, err, record.Denied)
	h.clock.add(TokenLife)
	_, err = h.Token(ctx, s)
	wantCode(t, err, record.Unsigned)

	s, tok, err := make(Node, NewToken{Name: "import", Person: "ht.cc/boss", Scopes: []string{"admin"}})
	wantCode(t, err, "")
	_, err = h.Token(ctx, s)
	wantCode(t, err, "")
	wantCode(t, h.RevokeToken(ctx, "ht.cc/ana", tok.ID), record.NotFound)
	wantCode(t, h.RevokeToken(ctx, "ht.cc/boss", tok.ID), "")
	_, err = h.Token(ctx, s)
	wantCode(t, err, record.Unsigned)
	_, err = h.Token(ctx, newTokenSecret())
	wantCode(t, err, record.Unsigned)
}

func BenchmarkSessionCached(b *testing.B) {
	h := newHouse(b)
	h.settle()
	h.Service.now = time.Now
	in := h.signIn("ht.cc/ana")
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := h.Session(ctx, in.Secret); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkTokenAndReader(b *testing.B) {
	h := newHouse(b)
	h.settle()
	h.Service.now = time.Now
	s, _, err := h.CreateToken(b.Context(), Node, NewToken{Name: "x", Person: "ht.cc/ana"})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			t, err := h.Token(ctx, s)
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := h.Reader(t.Person, "", t.Scopes, ""); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkPasswordHash(b *testing.B) {
	h, err := newHasher(HashCost{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		h.hash(secret)
	}
}

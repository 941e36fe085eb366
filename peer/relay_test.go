package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"konbit/record"
	"konbit/store"
	"konbit/wire/bundle"
)

// head is the header of a bundle from a to b.
func head(lane bundle.Lane, after, upTo int64, at time.Time) bundle.Header {
	return bundle.Header{From: "konbit.node/aaaaaaaa", To: "konbit.node/bbbbbbbb", Lane: lane, After: after, UpTo: upTo, At: at.Truncate(time.Second)}
}

func full(short string) string { return "konbit.node/" + short }

func TestRelayKeepsWhatItTookOverARestart(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	r, err := openRelay(dir, defaultBounds())
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(5) {
		if err := r.put(head(bundle.Normal, i*10, i*10+10, now), fmt.Appendf(nil, "normal %d", i), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.put(head(bundle.Urgent, 0, 51, now), []byte("urgent"), now); err != nil {
		t.Fatal(err)
	}
	if err := r.put(head(bundle.Talk, 0, 0, now), []byte("talk"), now); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "bbbbbbbb", "aaaaaaaa", "1-0-1-1.bundle.new")
	if err := os.WriteFile(half, []byte("ha"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err = openRelay(dir, defaultBounds()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Error("a half-written file is left")
	}
	c := &conn{}
	var got []string
	for _, lane := range []bundle.Lane{bundle.Urgent, bundle.Talk, bundle.Normal} {
		for {
			k, b := r.next("konbit.node/bbbbbbbb", lane, c)
			if k == nil {
				break
			}
			got = append(got, string(b))
		}
	}
	want := []string{"urgent", "talk", "normal 0", "normal 1", "normal 2", "normal 3", "normal 4"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	stored := r.stored("konbit.node/aaaaaaaa", full)
	want2 := []storedWord{{From: "konbit.node/aaaaaaaa", To: "konbit.node/bbbbbbbb", Lane: bundle.Urgent, UpTo: 51}, {From: "konbit.node/aaaaaaaa", To: "konbit.node/bbbbbbbb", Lane: bundle.Normal, UpTo: 50}}
	if d := cmp.Diff(want2, stored); d != "" {
		t.Error(d)
	}
}

func TestRelayTellsOnlyWhatItHasWithoutAGap(t *testing.T) {
	r, err := openRelay(t.TempDir(), defaultBounds())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, n := range [][2]int64{{0, 10}, {20, 30}, {30, 35}} {
		if err := r.put(head(bundle.Normal, n[0], n[1], now), []byte("x"), now); err != nil {
			t.Fatal(err)
		}
	}
	if w := r.stored("konbit.node/aaaaaaaa", full); len(w) != 1 || w[0].After != 20 || w[0].UpTo != 35 {
		t.Errorf("stored: %+v", w)
	}
}

func TestRelayIsBoundedAndForgetsWhatIsOld(t *testing.T) {
	b := defaultBounds()
	b.perNode, b.files = 100, 8
	r, err := openRelay(t.TempDir(), b)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if err := r.put(head(bundle.Normal, 0, 1, now), make([]byte, 90), now); err != nil {
		t.Fatal(err)
	}
	if err := r.put(head(bundle.Normal, 1, 2, now), make([]byte, 11), now); reasonOf(err) != "full" || record.CodeOf(err) != record.TooMany {
		t.Errorf("over the bound: %v", err)
	}
	if err := r.put(head(bundle.Urgent, 0, 3, now), make([]byte, 11), now); err != nil {
		t.Errorf("what is urgent has a reserve: %v", err)
	}
	yes := func(string) bool { return true }
	if told := r.sweep(now.Add(b.age-time.Hour), yes); told != nil {
		t.Errorf("dropped before its time: %v", told)
	}
	if told := r.sweep(now.Add(b.age+time.Hour), yes); len(told) != 1 || told[0] != "aaaaaaaa" {
		t.Errorf("the sender is to be told: %v", told)
	}
	if n, bytes := r.waiting("konbit.node/bbbbbbbb"); n != 0 || bytes != 0 || r.bytes != 0 {
		t.Errorf("%d bundles of %d bytes are left, %d in all", n, bytes, r.bytes)
	}
	for _, name := range []string{"..", "a/../..", "", "A", "konbit.node/"} {
		h := head(bundle.Normal, 0, 1, now)
		h.To = name
		if err := r.put(h, []byte("x"), now); record.CodeOf(err) != record.Invalid {
			t.Errorf("kept for %q: %v", name, err)
		}
	}
}

func TestReceiptDropsWhatItCoversAndNewestIsKept(t *testing.T) {
	r, err := openRelay(t.TempDir(), defaultBounds())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range int64(4) {
		if err := r.put(head(bundle.Normal, i, i+1, now), []byte("x"), now); err != nil {
			t.Fatal(err)
		}
	}
	rc := func(n int64, at time.Duration) *Receipt {
		return &Receipt{From: "konbit.node/bbbbbbbb", To: "konbit.node/aaaaaaaa", Received: [store.Lanes]int64{0, n}, At: now.Add(at)}
	}
	if newer, err := r.keepReceipt(rc(3, time.Second), []byte("three")); !newer || err != nil {
		t.Fatal(newer, err)
	}
	if n, _ := r.waiting("konbit.node/bbbbbbbb"); n != 1 {
		t.Errorf("%d bundles are left of 4, 3 are receipted", n)
	}
	if newer, err := r.keepReceipt(rc(1, 0), []byte("one")); newer || err != nil {
		t.Error("an older receipt replaced a newer one", err)
	}
	if err := r.put(head(bundle.Normal, 0, 2, now), []byte("late"), now); err != nil {
		t.Fatal(err)
	}
	if n, _ := r.waiting("konbit.node/bbbbbbbb"); n != 1 {
		t.Error("a bundle that is receipted was kept")
	}
	if got := r.receipts("konbit.node/aaaaaaaa"); len(got) != 1 || string(got[0]) != "three" {
		t.Errorf("receipts %q", got)
	}
	if newer, err := r.keepReceipt(rc(4, -time.Hour), []byte("four")); !newer || err != nil {
		t.Error("a receipt that says more was dropped, because a clock was put back", err)
	}
	restored := rc(1, -2*time.Hour)
	restored.Life = 1_800_000_000
	if newer, err := r.keepReceipt(restored, []byte("restored")); !newer || err != nil {
		t.Error("the word of a node that was restored was dropped, because its clock was put back", err)
	}
	if newer, err := r.keepReceipt(rc(9, time.Hour), []byte("before")); newer || err != nil {
		t.Error("a receipt of the life before a restore was taken", err)
	}
}

// Whatever is put, receipted and reopened: the count of bytes and files is that
// of the folder, and nothing that is not receipted is missing.
func TestRelayCountsWhatIsOnDisk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "relay")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		r, err := openRelay(dir, defaultBounds())
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1_800_000_000, 0)
		var received [store.Lanes]int64
		covered := map[bundle.Lane]map[int64]bool{bundle.Urgent: {}, bundle.Normal: {}}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Second)
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1, 2:
				lane := bundle.Lane(rapid.IntRange(0, 1).Draw(t, "lane"))
				after := rapid.Int64Range(0, 20).Draw(t, "after")
				upTo := after + rapid.Int64Range(1, 5).Draw(t, "long")
				if err := r.put(head(lane, after, upTo, now), make([]byte, rapid.IntRange(1, 50).Draw(t, "size")), now); err != nil {
					t.Fatal(err)
				}
				for n := after + 1; n <= upTo; n++ {
					covered[lane][n] = true
				}
			case 3:
				lane := rapid.IntRange(0, 1).Draw(t, "lane")
				received[lane] = max(received[lane], rapid.Int64Range(0, 15).Draw(t, "received"))
				if _, err := r.keepReceipt(&Receipt{From: "konbit.node/bbbbbbbb", To: "konbit.node/aaaaaaaa", Received: received, At: now}, []byte("r")); err != nil {
					t.Fatal(err)
				}
			case 4:
				if r, err = openRelay(dir, defaultBounds()); err != nil {
					t.Fatal(err)
				}
			}
		}
		var bytes int64
		paths, _ := filepath.Glob(filepath.Join(dir, "*", "*", "*.bundle"))
		for _, p := range paths {
			info, err := os.Stat(p)
			if err != nil {
				t.Fatal(err)
			}
			bytes += info.Size()
		}
		if n, b := r.waiting("konbit.node/bbbbbbbb"); n != len(paths) || b != bytes || r.bytes != bytes {
			t.Fatalf("counted %d files of %d bytes, on disk %d of %d", n, b, len(paths), bytes)
		}
		c := &conn{}
		for lane := range covered {
			kept := map[int64]bool{}
			for {
				k, _ := r.next("konbit.node/bbbbbbbb", lane, c)
				if k == nil {
					break
				}
				for n := k.after + 1; n <= k.upTo; n++ {
					kept[n] = true
				}
			}
			for n := range covered[lane] {
				if n > received[lane] && !kept[n] {
					t.Fatalf("lane %d: %d is missing", lane, n)
				}
			}
		}
	})
}

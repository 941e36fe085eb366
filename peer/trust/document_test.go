package trust_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"konbit/ledger"
	"konbit/peer/trust"
	"konbit/record"
)

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// newCard is a card that is in order, and its key.
func newCard(t testing.TB, node string, agencies ...string) (*trust.Card, ed25519.PrivateKey) {
	t.Helper()
	key := newKey(t)
	vkey, err := note.NewEd25519VerifierKey(node, public(newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	c := &trust.Card{Node: node, Title: "Sant", Ledger: vkey, Sign: public(key), Seal: id.Recipient().String(), URLs: []string{"https://konbit.example:8443/k"},
		Agencies: []trust.Agency{}, Serial: 7, At: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	for _, a := range agencies {
		c.Agencies = append(c.Agencies, trust.Agency{ID: a, Name: "Agency " + a, Country: "HT", Key: public(newKey(t))})
	}
	return c, key
}

// envelope signs any payload, in order or not.
func envelope(t testing.TB, typ string, payload any, keys ...ed25519.PrivateKey) []byte {
	t.Helper()
	b, ok := payload.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(payload); err != nil {
			t.Fatal(err)
		}
	}
	type sig struct {
		KeyID string `json:"keyid"`
		Sig   []byte `json:"sig"`
	}
	var sigs []sig
	for _, k := range keys {
		sigs = append(sigs, sig{ledger.KeyID(public(k)), ledger.SignAs(k, typ, b)})
	}
	out, err := json.Marshal(map[string]any{"payloadType": typ, "payload": b, "signatures": sigs})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCardIsReadAsItWasSignedAndKeepsWhatItDoesNotKnow(t *testing.T) {
	c, key := newCard(t, "konbit.node/1a2b3c4d", "ht.cc", "ht.pnh")
	old := newKey(t)
	c.OldSign = []trust.OldKey{{Key: public(old), Until: c.At.Add(trust.Overlap)}}
	b, err := trust.SignCard(c, key, old)
	if err != nil {
		t.Fatal(err)
	}
	got, err := trust.ParseCard(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*c, got.Card); diff != "" {
		t.Error(diff)
	}
	if !got.SignedBy(public(key)) || !got.SignedBy(public(old)) || got.SignedBy(public(newKey(t))) {
		t.Error("who signed it is not what was signed")
	}
	var later map[string]any
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &later); err != nil {
		t.Fatal(err)
	}
	later["satellite"] = "of a later version"
	b = envelope(t, trust.CardType, later, key)
	if got, err = trust.ParseCard(b); err != nil || string(got.Bytes) != string(b) {
		t.Errorf("a field that we do not know: %v", err)
	}
}

func TestHostileCardsAreRefusedByName(t *testing.T) {
	many := func(n int, f func(i int)) {
		for i := range n {
			f(i)
		}
	}
	for name, c := range map[string]struct {
		want  string // in the error
		spoil func(*trust.Card)
	}{
		"no name":               {"node", func(c *trust.Card) { c.Node = "" }},
		"name of a path":        {"node", func(c *trust.Card) { c.Node = "konbit.node/../x" }},
		"name in capitals":      {"node", func(c *trust.Card) { c.Node = "Konbit.node/x" }},
		"title with an escape":  {"title", func(c *trust.Card) { c.Title = "Sant\x1b[2J" }},
		"title that turns":      {"title", func(c *trust.Card) { c.Title = "Sant\u202eTnas" }},
		"title of blanks":       {"title", func(c *trust.Card) { c.Title = "  " }},
		"long title":            {"title", func(c *trust.Card) { c.Title = strings.Repeat("é", 201) }},
		"no ledger":             {"ledger", func(c *trust.Card) { c.Ledger = "x" }},
		"short key":             {"sign", func(c *trust.Card) { c.Sign = c.Sign[:31] }},
		"no seal":               {"seal", func(c *trust.Card) { c.Seal = "" }},
		"seal of another sort":  {"seal", func(c *trust.Card) { c.Seal = "ssh-ed25519 AAAA" }},
		"address with password": {"urls[0]", func(c *trust.Card) { c.URLs = []string{"https://a:b@konbit.example"} }},
		"address of a file":     {"urls[0]", func(c *trust.Card) { c.URLs = []string{"file:///etc/passwd"} }},
		"address of nothing":    {"urls[1]", func(c *trust.Card) { c.URLs = append(c.URLs, "https://") }},
		"address with a query":  {"urls[0]", func(c *trust.Card) { c.URLs = []string{"https://konbit.example/?x=1"} }},
		"address with newline":  {"urls[0]", func(c *trust.Card) { c.URLs = []string{"https://konbit.example/\n"} }},
		"nine addresses": {"urls", func(c *trust.Card) {
			many(9, func(i int) { c.URLs = append(c.URLs, fmt.Sprintf("https://h%d.example", i)) })
		}},
		"agency in capitals": {"agencies[0].id", func(c *trust.Card) { c.Agencies[0].ID = "HT.CC" }},
		"agency twice":       {"agencies[1]", func(c *trust.Card) { c.Agencies = append(c.Agencies, c.Agencies[0]) }},
		"agency's key":       {"agencies[0].key", func(c *trust.Card) { c.Agencies[0].Key = nil }},
		"agency's country":   {"agencies[0].country", func(c *trust.Card) { c.Agencies[0].Country = "Haiti" }},
		"201 agencies": {"agencies", func(c *trust.Card) {
			many(201, func(i int) {
				c.Agencies = append(c.Agencies, trust.Agency{ID: fmt.Sprintf("ht.a%d", i), Name: "x", Key: c.Sign})
			})
		}},
		"old key in force":  {"oldSign[0]", func(c *trust.Card) { c.OldSign = []trust.OldKey{{Key: c.Sign}} }},
		"short old key":     {"oldSign[0]", func(c *trust.Card) { c.OldSign = []trust.OldKey{{Key: c.Sign[:3]}} }},
		"many old keys":     {"oldSign", func(c *trust.Card) { c.OldSign = make([]trust.OldKey, trust.MaxOldKeys+1) }},
		"no serial":         {"serial", func(c *trust.Card) { c.Serial = 0 }},
		"ledger of another": {"another node", func(c *trust.Card) { c.Node = "konbit.node/00000000" }},
	} {
		t.Run(name, func(t *testing.T) {
			card, key := newCard(t, "konbit.node/1a2b3c4d", "ht.cc")
			c.spoil(card)
			if _, err := trust.SignCard(card, key); err == nil {
				t.Error("we would sign it")
			}
			_, err := trust.ParseCard(envelope(t, trust.CardType, card, key))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q in %v", c.want, err)
			}
		})
	}
}

func TestHostileEnvelopesAreRefusedByName(t *testing.T) {
	card, key := newCard(t, "konbit.node/1a2b3c4d", "ht.cc")
	good := envelope(t, trust.CardType, card, key)
	eight := make([]ed25519.PrivateKey, 9)
	for i := range eight {
		eight[i] = key
	}
	altered := *card
	altered.Title = "Sant Lòt"
	payload, err := json.Marshal(&altered)
	if err != nil {
		t.Fatal(err)
	}
	swapped := map[string]any{}
	if err := json.Unmarshal(good, &swapped); err != nil {
		t.Fatal(err)
	}
	swapped["payload"] = payload
	forged, err := json.Marshal(swapped)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		b    []byte
		code record.Code
	}{
		"nothing":             {nil, record.Invalid},
		"no JSON":             {[]byte("KBI1-"), record.Invalid},
		"cut off":             {good[:len(good)/2], record.Invalid},
		"null":                {[]byte("null"), record.Invalid},
		"no signature":        {envelope(t, trust.CardType, card), record.Invalid},
		"nine signatures":     {envelope(t, trust.CardType, card, eight...), record.Invalid},
		"empty payload":       {envelope(t, trust.CardType, []byte{}, key), record.Invalid},
		"payload is no card":  {envelope(t, trust.CardType, []byte(`[1]`), key), record.Invalid},
		"another key's":       {envelope(t, trust.CardType, card, newKey(t)), record.Denied},
		"altered":             {forged, record.Denied},
		"another type":        {envelope(t, trust.DirectoryType, card, key), record.Invalid},
		"signed as a receipt": {[]byte(strings.Replace(string(envelope(t, "application/vnd.konbit.receipt+json", card, key)), "vnd.konbit.receipt", "vnd.konbit.card", 1)), record.Denied},
		"too large":           {append(good, make([]byte, trust.MaxCard)...), record.TooLarge},
		"deep":                {[]byte(strings.Repeat("[", 100_000)), record.Invalid},
	} {
		if _, err := trust.ParseCard(c.b); record.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// newDirectory is a directory of three members that is in order.
func newDirectory(t testing.TB) (*trust.Directory, ed25519.PrivateKey) {
	t.Helper()
	key := newKey(t)
	d := &trust.Directory{Region: "hispaniola", Key: public(key), Hub: "konbit.node/aa", Serial: 3, At: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	for _, m := range []struct{ node, agency string }{{"konbit.node/aa", "int.hub"}, {"konbit.node/bb", "ht.cc"}, {"konbit.node/cc", "do.911"}} {
		c, k := newCard(t, m.node, m.agency)
		b, err := trust.SignCard(c, k)
		if err != nil {
			t.Fatal(err)
		}
		d.Members = append(d.Members, trust.Member{Card: b, Communities: map[string]trust.Membership{m.agency: {"@hispaniola": d.At}}})
	}
	return d, key
}

func TestHostileDirectoriesAreRefusedByName(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		want  string
		spoil func(*trust.Directory)
	}{
		"region's name":    {"region", func(d *trust.Directory) { d.Region = "../x" }},
		"serial":           {"serial", func(d *trust.Directory) { d.Serial = -1 }},
		"unknown hub":      {"hub", func(d *trust.Directory) { d.Hub = "konbit.node/dd" }},
		"member's card":    {"members[1].card", func(d *trust.Directory) { d.Members[1].Card = []byte("{}") }},
		"member twice":     {"members[1]", func(d *trust.Directory) { d.Members[1] = d.Members[0] }},
		"foreign agency":   {"ht.pnh", func(d *trust.Directory) { d.Members[1].Communities["ht.pnh"] = trust.Membership{} }},
		"no community":     {"hispaniola", func(d *trust.Directory) { d.Members[1].Communities["ht.cc"]["hispaniola"] = now }},
		"words that erase": {"why", func(d *trust.Directory) { d.Members[1].Why = "\b\b" }},
		"agency at two nodes": {"both serve", func(d *trust.Directory) {
			c, k := newCard(t, "konbit.node/dd", "ht.cc")
			b, err := trust.SignCard(c, k)
			if err != nil {
				t.Fatal(err)
			}
			d.Members = append(d.Members, trust.Member{Card: b})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d, key := newDirectory(t)
			c.spoil(d)
			if _, err := trust.ParseDirectory(envelope(t, trust.DirectoryType, d, key)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q in %v", c.want, err)
			}
		})
	}
	d, key := newDirectory(t)
	d.Members[0], d.Members[1] = d.Members[1], d.Members[0]
	if _, err := trust.ParseDirectory(envelope(t, trust.DirectoryType, d, key)); err == nil || !strings.Contains(err.Error(), "order") {
		t.Errorf("out of order: %v", err)
	}
	b, err := trust.SignDirectory(d, key) // sorts them
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.ParseDirectory(b); err != nil {
		t.Error(err)
	}
	if _, err := trust.ParseDirectory(envelope(t, trust.DirectoryType, d, newKey(t))); record.CodeOf(err) != record.Denied {
		t.Errorf("signed with another key: %v", err)
	}
	// An agency may move: its old node revoked, the new one serves it.
	d, key = newDirectory(t)
	d.Members[1].Revoked, d.Members[1].Communities = &now, nil
	c, k := newCard(t, "konbit.node/dd", "ht.cc")
	card, err := trust.SignCard(c, k)
	if err != nil {
		t.Fatal(err)
	}
	d.Members = append(d.Members, trust.Member{Card: card})
	if _, err := trust.SignDirectory(d, key); err != nil {
		t.Errorf("an agency that moved: %v", err)
	}
}

func TestFingerprintIsTheSameHoweverItIsTyped(t *testing.T) {
	key := public(newKey(t))
	s := trust.Spoken(key)
	if words := strings.Fields(s); len(words) != 6 || len(s) != 35 {
		t.Fatalf("%q", s)
	}
	bare := strings.ReplaceAll(s, " ", "")
	for _, typed := range []string{s, bare, strings.ReplaceAll(s, " ", "-"), " " + strings.ReplaceAll(s, " ", "\u00a0–\n"), strings.Join(strings.Split(bare, ""), " ")} {
		if !trust.SameSpoken(key, typed) {
			t.Errorf("%q is not taken for %q", typed, s)
		}
	}
	for _, typed := range []string{"", bare[1:], bare + "0", strings.Repeat("0", 30), bare[:29] + string('0'+(bare[29]-'0'+1)%10), "x" + bare} {
		if trust.SameSpoken(key, typed) {
			t.Errorf("%q is taken for %q", typed, s)
		}
	}
	if trust.SameSpoken(nil, trust.Spoken(nil)) {
		t.Error("no key has a fingerprint that is believed")
	}
	rapid.Check(t, func(t *rapid.T) {
		k := ed25519.PublicKey(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		if s := trust.Spoken(k); !trust.SameSpoken(k, s) || trust.SameSpoken(key, s) && !key.Equal(k) {
			t.Fatalf("%x has %s", k, s)
		}
	})
}

func drawInvitation(t *rapid.T) *trust.Invitation {
	v := &trust.Invitation{
		URL:     rapid.SampledFrom([]string{"https://", "http://"}).Draw(t, "scheme") + rapid.StringMatching(`[a-z]{1,20}(\.[a-z]{2,8}){0,3}(:[1-9][0-9]{0,3})?(/[a-zA-Z0-9_-]{1,20})?`).Draw(t, "url"),
		Region:  rapid.Bool().Draw(t, "region"),
		Expires: time.Unix(60*rapid.Int64Range(0, 1<<32-1).Draw(t, "minutes"), 0).UTC(),
	}
	copy(v.Fingerprint[:], rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "fingerprint"))
	copy(v.Secret[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "secret"))
	return v
}

func TestInvitationSurvivesHowPeopleTypeIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawInvitation(t)
		code, err := v.Code()
		if err != nil {
			t.Fatal(err)
		}
		bare := strings.ReplaceAll(code, "-", "")
		typed := rapid.SampledFrom([]string{
			code, strings.ToLower(code), bare, " " + strings.ReplaceAll(code, "-", "\n  ") + "\r\n", strings.ReplaceAll(code, "-", "–"),
			"KBI1-" + strings.NewReplacer("0", "o", "1", "l").Replace(code[5:]), "kbl1" + strings.ReplaceAll(bare[4:], "1", "I"), strings.Join(strings.Split(bare, ""), " "),
		}).Draw(t, "typed")
		got, err := trust.ParseCode(typed)
		if err != nil {
			t.Fatalf("%q: %v", typed, err)
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTypingErrorIsNamedByItsGroup(t *testing.T) {
	const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	rapid.Check(t, func(t *rapid.T) {
		code, err := drawInvitation(t).Code()
		if err != nil {
			t.Fatal(err)
		}
		groups := strings.Split(code, "-")[1:]
		g := rapid.IntRange(0, len(groups)-1).Draw(t, "group")
		word := []byte(groups[g])
		i := rapid.IntRange(0, len(word)-1).Draw(t, "place")
		want := fmt.Sprintf("group %d", g+1)
		switch rapid.SampledFrom([]string{"other", "swap", "foreign"}).Draw(t, "error") {
		case "other":
			c := letters[rapid.IntRange(0, 31).Draw(t, "letter")]
			if c == word[i] {
				t.Skip("the same")
			}
			word[i] = c
		case "swap":
			j := (i + 1) % len(word)
			if word[i] == word[j] {
				t.Skip("the same")
			}
			word[i], word[j] = word[j], word[i]
		case "foreign":
			word[i] = 'U'
		}
		groups[g] = string(word)
		typed := "KBI1-" + strings.Join(groups, "-")
		if _, err := trust.ParseCode(typed); err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%s: want %q in %v", typed, want, err)
		}
	})
}

func TestCodesThatAreNoneAreRefusedByName(t *testing.T) {
	v := &trust.Invitation{URL: "https://konbit.example", Expires: time.Unix(1_800_000_000, 0)}
	code, err := v.Code()
	if err != nil {
		t.Fatal(err)
	}
	groups := strings.Split(code, "-")
	without := func(i int) string {
		return strings.Join(append(append([]string{}, groups[:i]...), groups[i+1:]...), "-")
	}
	short := append([]string{}, groups...)
	short[3] = short[3][1:]
	for name, c := range map[string]struct{ code, want string }{
		"nothing":          {"", "begins with KBI1"},
		"something else":   {"https://konbit.example/join", "begins with KBI1"},
		"prefix alone":     {"KBI1-", "end is missing"},
		"first group gone": {without(1), "group 1"},
		"end cut off":      {strings.Join(groups[:len(groups)-1], "-"), "not whole"},
		"one too many":     {code + "-00000000", "group"},
		"twice":            {code + code[4:], "group"},
		"seven characters": {strings.Join(short, "-"), "group 3 has 7 characters"},
		"a book":           {strings.Repeat("KBI1", 1000), "longer"},
		"other letters":    {"KBI1-ПРИВЕТАА", "group 1"},
	} {
		if _, err := trust.ParseCode(c.code); err == nil || !strings.Contains(err.Error(), c.want) || record.CodeOf(err) != record.Invalid {
			t.Errorf("%s: want %q in %v", name, c.want, err)
		}
	}
	for name, v := range map[string]*trust.Invitation{
		"address":      {URL: "ftp://konbit.example"},
		"long address": {URL: "https://" + strings.Repeat("a", 121)},
		"expiry":       {URL: "https://konbit.example", Expires: time.Time{}},
	} {
		if code, err := v.Code(); err == nil {
			t.Errorf("%s: %s", name, code)
		}
	}
}

func TestQRIsSquareAndHasItsCorners(t *testing.T) {
	v := &trust.Invitation{URL: "https://konbit.example:8443", Expires: time.Unix(1_800_000_000, 0)}
	code, err := v.Code()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := trust.QR(code)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) > 53 || (len(rows)-17)%4 != 0 {
		t.Errorf("%d modules for %d characters", len(rows), len(code))
	}
	for _, r := range rows {
		if len(r) != len(rows) || strings.Trim(r, "01") != "" {
			t.Fatalf("row %q", r)
		}
	}
	// The finder patterns of ISO/IEC 18004, 6.3.3, in three corners.
	finder := []string{"1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"}
	for y, want := range finder {
		n := len(rows)
		if rows[y][:7] != want || rows[y][n-7:] != want || rows[n-7+y][:7] != want {
			t.Errorf("row %d of a corner", y)
		}
	}
	if _, err := trust.QR(strings.Repeat("A", 5000)); record.CodeOf(err) != record.TooLarge {
		t.Error(err)
	}
}

func FuzzParseCard(f *testing.F) {
	c, key := newCard(f, "konbit.node/1a2b3c4d", "ht.cc")
	f.Add(envelope(f, trust.CardType, c, key))
	f.Add([]byte(`{"payloadType":"application/vnd.konbit.card+json","payload":"e30=","signatures":[{"sig":""}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := trust.ParseCard(b)
		if err != nil {
			return
		}
		if !c.SignedBy(c.Sign) || string(c.Bytes) != string(b) {
			t.Error("it was taken without its key's word")
		}
	})
}

func FuzzParseDirectory(f *testing.F) {
	d, key := newDirectory(f)
	f.Add(envelope(f, trust.DirectoryType, d, key))
	f.Add([]byte(`{"payloadType":"application/vnd.konbit.directory+json","payload":"e30=","signatures":[{"sig":""}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := trust.ParseDirectory(b)
		if err == nil && len(d.Cards) != len(d.Members) {
			t.Error("members without cards")
		}
	})
}

func FuzzParseCode(f *testing.F) {
	v := &trust.Invitation{URL: "https://konbit.example", Expires: time.Unix(1_800_000_000, 0)}
	code, err := v.Code()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(code)
	f.Add("KBI1-0000000")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := trust.ParseCode(s)
		if err != nil {
			return
		}
		again, err := v.Code()
		if err != nil {
			t.Fatalf("%q is read and cannot be written: %v", s, err)
		}
		if w, err := trust.ParseCode(again); err != nil || *w != *v {
			t.Fatalf("%q: %v, %v", s, w, err)
		}
	})
}

package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"konbit/record"
)

// wantRefusal checks the name and the code of a refusal.
func wantRefusal(t *testing.T, what string, err error, want ...reason) {
	t.Helper()
	var e *record.Error
	if !errors.As(err, &e) || !slices.ContainsFunc(want, func(r reason) bool { return e.Op == "bundle."+r.name && e.Code == r.code }) {
		t.Errorf("%s: %v, want a refusal as %v", what, err, want)
	}
}

// other is a node that is known as well, and means harm.
var other = ed25519.NewKeyFromSeed([]byte("another node with another key..."))

const otherName = "konbit.node/bad"

func knowsOther(node, id string) ed25519.PublicKey {
	if node == otherName {
		return other.Public().(ed25519.PublicKey)
	}
	return known(node, id)
}

// signAgain makes a bundle of a sealed part, signed by key whatever it says.
func signAgain(h Header, sealed []byte, key ed25519.PrivateKey) []byte {
	h.KeyID, h.Sum = keyID(key.Public().(ed25519.PublicKey)), sha256.Sum256(sealed)
	if h.Size == 0 {
		h.Size = int64(len(sealed))
	}
	b := h.appendTo(nil)
	return append(append(b, ed25519.Sign(key, signed(b))...), sealed...)
}

func TestEveryTruncationIsRefused(t *testing.T) {
	id := newIdentity(t)
	b := mustSeal(t, header(Normal, 0, 3), sample(3, true), id.Recipient())
	for n := range len(b) {
		_, _, err := Open(b[:n], known, id)
		wantRefusal(t, "cut", err, truncated)
		_, _, sealed, err := ReadHeader(bytes.NewReader(b[:n]), known)
		if n == 0 {
			if err != io.EOF {
				t.Errorf("nothing at all: %v, want io.EOF", err)
			}
			continue
		}
		if err == nil {
			_, err = io.ReadAll(sealed)
		}
		wantRefusal(t, "cut stream", err, truncated)
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	id := newIdentity(t)
	good := mustSeal(t, header(Normal, 0, 3), sample(3, true), id.Recipient())
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		h, items, err := Open(b, known, id)
		wantRefusal(t, "flipped", err, forged, altered, malformed, oversized, unknownSender, version, truncated)
		if items != nil || h != (Header{}) {
			t.Fatal("a refused bundle was returned")
		}
		_, _, sealed, err := ReadHeader(bytes.NewReader(b), known)
		if err == nil {
			_, err = io.ReadAll(sealed)
		}
		wantRefusal(t, "flipped stream", err, forged, altered, malformed, oversized, unknownSender, version, truncated)
	}
}

func TestForgedAndUnknownSendersAreRefused(t *testing.T) {
	id := newIdentity(t)
	h := header(Normal, 0, 3)
	good := mustSeal(t, h, sample(3, true), id.Recipient())
	sealed := good[len(good)-int(mustParse(t, good).Size):]

	_, _, err := Open(signAgain(h, sealed, other), knowsOther, id)
	wantRefusal(t, "signed by a key of nobody", err, unknownSender)

	_, _, err = Open(signAgain(h, sealed, other), func(string, string) ed25519.PublicKey { return link.Public().(ed25519.PublicKey) }, id)
	wantRefusal(t, "signed by another key than the known one", err, forged)

	_, _, err = Open(signAgain(h, sealed, link), func(string, string) ed25519.PublicKey { return ed25519.PublicKey("short") }, id)
	wantRefusal(t, "a key of the wrong length", err, forged)

	h.From = otherName
	_, _, err = Open(signAgain(h, sealed, other), knowsOther, id)
	wantRefusal(t, "another's sealed part as one's own", err, forged)
}

func mustParse(t *testing.T, b []byte) Header {
	t.Helper()
	h, err := Parse(b, known)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestASignatureOfSomethingElseDoesNotPass(t *testing.T) {
	id := newIdentity(t)
	b := mustSeal(t, header(Normal, 0, 3), sample(3, true), id.Recipient())
	end := len(b) - int(mustParse(t, b).Size) - sigSize
	copy(b[end:], ed25519.Sign(link, b[:end])) // the same bytes, without our prefix
	_, err := Parse(b, known)
	wantRefusal(t, "signed without the prefix", err, forged)
}

func TestOversizedIsRefusedBeforeItIsRead(t *testing.T) {
	h := header(Normal, 0, 3)
	h.Size = MaxSealed + 1
	b := signAgain(h, nil, link)
	_, _, _, err := ReadHeader(io.MultiReader(bytes.NewReader(b), iotest.ErrReader(errors.New("was read"))), known)
	wantRefusal(t, "a large sealed part", err, oversized)

	b = binary.BigEndian.AppendUint16(append([]byte(magic), formatNow), 65535)
	_, _, _, err = ReadHeader(io.MultiReader(bytes.NewReader(b), iotest.ErrReader(errors.New("was read"))), known)
	wantRefusal(t, "a large header", err, oversized)

	_, err = Seal(header(Normal, 0, 1), []Item{versionItem(1, make([]byte, MaxPayload+1))}, newIdentity(t).Recipient(), link)
	wantRefusal(t, "a large payload", err, oversized)
	_, err = Seal(header(Normal, 0, MaxItems+1), make([]Item, MaxItems+1), newIdentity(t).Recipient(), link)
	wantRefusal(t, "many items", err, oversized)
}

func TestFaultOfTheReaderIsNotTheBundles(t *testing.T) {
	fault := errors.New("the line is cut")
	if _, _, _, err := ReadHeader(io.MultiReader(strings.NewReader(magic), iotest.ErrReader(fault)), known); !errors.Is(err, fault) {
		t.Errorf("%v, want the fault", err)
	}
	b := mustSeal(t, header(Normal, 0, 3), sample(3, true), newIdentity(t).Recipient())
	_, _, sealed, err := ReadHeader(io.MultiReader(bytes.NewReader(b[:len(b)-5]), iotest.ErrReader(fault)), known)
	if err == nil {
		_, err = io.ReadAll(sealed)
	}
	if !errors.Is(err, fault) {
		t.Errorf("%v, want the fault", err)
	}
}

func TestVersionOfTheFutureIsNamed(t *testing.T) {
	b := mustSeal(t, header(Normal, 0, 3), sample(3, true), newIdentity(t).Recipient())
	b[len(magic)] = formatNow + 1
	_, err := Parse(b, known)
	wantRefusal(t, "another version", err, version)
}

func TestWhatTheRecipientCannotOpenIsRefused(t *testing.T) {
	id, h := newIdentity(t), header(Normal, 0, 3)
	good := mustSeal(t, h, sample(3, true), id.Recipient())
	_, _, err := Open(good, known, newIdentity(t))
	wantRefusal(t, "another's", err, undecryptable)
	_, _, err = Open(good, known)
	wantRefusal(t, "no key", err, undecryptable)

	encrypt := func(to ...age.Recipient) []byte {
		var b bytes.Buffer
		w, err := age.Encrypt(&b, to...)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte("content"))
		w.Close()
		return b.Bytes()
	}
	password, err := age.NewScryptRecipient("passphrase")
	if err != nil {
		t.Fatal(err)
	}
	password.SetWorkFactor(2)
	sealed := encrypt(id.Recipient())
	broken := bytes.Clone(sealed)
	broken[len(broken)-1] ^= 1
	for what, sealed := range map[string][]byte{
		"for two":       encrypt(id.Recipient(), newIdentity(t).Recipient()),
		"a passphrase":  encrypt(password),
		"a broken seal": broken,
		"a cut seal":    sealed[:sealHead+10],
		"no seal":       []byte("content"),
		"nothing":       {},
	} {
		_, _, err := Open(signAgain(h, sealed, link), known, id)
		wantRefusal(t, what, err, undecryptable)
	}
	_, err = Seal(h, nil, password, link)
	wantRefusal(t, "sealing to a passphrase", err, malformed)
	_, err = Seal(h, nil, nil, link)
	wantRefusal(t, "sealing to nobody", err, malformed)
}

func TestHeadersThatCannotBeAreRefused(t *testing.T) {
	for what, change := range map[string]func(*Header){
		"no sender":       func(h *Header) { h.From = "" },
		"capitals":        func(h *Header) { h.To = "Konbit" },
		"a long name":     func(h *Header) { h.To = strings.Repeat("a", maxName+1) },
		"a control":       func(h *Header) { h.To = "a\n" },
		"no lane":         func(h *Header) { h.Lane = 3 },
		"a negative":      func(h *Header) { h.After = -1 },
		"backwards":       func(h *Header) { h.After = 9 },
		"before 1970":     func(h *Header) { h.At = h.At.AddDate(-100, 0, 0) },
		"after the years": func(h *Header) { h.At = h.At.AddDate(9000, 0, 0) },
	} {
		h := header(Normal, 0, 3)
		change(&h)
		_, err := Seal(h, nil, newIdentity(t).Recipient(), link)
		wantRefusal(t, "sealing: "+what, err, malformed)
		_, err = Parse(signAgain(h, []byte("sealed"), link), func(string, string) ed25519.PublicKey { return link.Public().(ed25519.PublicKey) })
		wantRefusal(t, what, err, malformed)
	}
	b := mustSeal(t, header(Normal, 0, 3), nil, newIdentity(t).Recipient())
	_, err := Parse(append(b, 0), known)
	wantRefusal(t, "something behind", err, malformed)
}

func TestItemsThatCannotBeAreRefused(t *testing.T) {
	ok := sample(1, false)[0]
	id := newMaker(1, false).id(at)
	for what, change := range map[string]func(*Item){
		"no number":           func(it *Item) { it.N = 0 },
		"beyond the range":    func(it *Item) { it.N = 6 },
		"no sort":             func(it *Item) { it.Sort = 0 },
		"a sort of tomorrow":  func(it *Item) { it.Sort = 4 },
		"a short signature":   func(it *Item) { it.Sig = it.Sig[:63] },
		"no key":              func(it *Item) { it.KeyID = "" },
		"capitals in the key": func(it *Item) { it.KeyID = strings.ToUpper(it.KeyID) },
		"a topic":             func(it *Item) { it.Topic = "opened" },
		"a record":            func(it *Item) { it.Record = id },
		"a recall of nothing": func(it *Item) { it.Sort = Recall },
		"a word with a key":   func(it *Item) { it.Sort, it.Topic = Word, "opened" },
		"a word about what":   func(it *Item) { *it = Item{Sort: Word, N: 1, Topic: "opened", Record: record.ID{1}} },
		"a word of nothing":   func(it *Item) { *it = Item{Sort: Word, N: 1} },
	} {
		it := ok
		change(&it)
		_, err := Seal(header(Normal, 0, 5), []Item{it}, newIdentity(t).Recipient(), link)
		wantRefusal(t, what, err, malformed)
	}
	_, err := Seal(header(Normal, 0, 5), []Item{ok, ok}, newIdentity(t).Recipient(), link)
	wantRefusal(t, "one number twice", err, malformed)
}

// content puts a content together from parts that do not fit.
func content(rows uint64, packed, bits, sigs []byte) []byte {
	b, _ := hex.AppendDecode(nil, []byte(keyID(link.Public().(ed25519.PublicKey))))
	b = binary.AppendUvarint(b, rows)
	b = append(binary.AppendUvarint(b, 1), "key of 8"...)
	b = append(binary.AppendUvarint(b, uint64(len(packed))), packed...)
	b = append(binary.AppendUvarint(b, uint64(len(bits))), bits...)
	return append(b, sigs...)
}

func squeezed(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := squeeze(b)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// columns writes shapes, columns beyond the three fixed ones, and texts.
func columns(shapes []string, more string, text string) []byte {
	b := binary.AppendUvarint(nil, uint64(len(shapes)))
	for _, s := range shapes {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	b = append(b, byte(firstColumn+strings.Count(more, "|")))
	b = append(b, byte(decimal)|fromOwn<<fromShift, 0, 0, 2, 0, byte(ident), 0, 0, byte(text_)) // N counts up by one
	return append(append(b, strings.ReplaceAll(more, "|", "")...), text...)
}

const text_ = text

func TestBombsAreRefused(t *testing.T) {
	h := header(Normal, 0, MaxItems)
	h.KeyID = keyID(link.Public().(ed25519.PublicKey))
	sigs := make([]byte, MaxItems*sigSize)
	bits := make([]byte, 10)
	wide, err := zstd.NewWriter(nil, zstd.WithWindowSize(64<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	million := strings.Repeat("a", MaxPayload)
	for what, b := range map[string][]byte{
		"zeros":            content(1, squeezed(t, make([]byte, MaxUnpacked+1)), bits, sigs),
		"a large window":   content(1, wide.EncodeAll(make([]byte, 65<<20), nil), bits, sigs),
		"many items":       content(MaxItems+1, nil, nil, nil),
		"many shapes":      content(1, squeezed(t, binary.AppendUvarint(nil, MaxItems+1)), bits, sigs),
		"many columns":     content(1, squeezed(t, []byte{1, 1, 1, 0xff, 0xff, 0x7f}), bits, sigs),
		"many table words": content(1, squeezed(t, columns([]string{"\x01"}, strings.Repeat("\x04\x80\x80\x01"+strings.Repeat("\x00", maxTable)+"|", maxTables/maxTable+1), "")), bits, sigs),
		"a long payload":   content(1, squeezed(t, columns([]string{"\x01a" + million}, "", "")), bits, sigs),
		"a long whole":     content(1, squeezed(t, append(binary.AppendUvarint(columns([]string{"\x09"}, "", ""), MaxPayload+1), "a"+million...)), bits, sigs),
		"many long ones":   content(100, squeezed(t, columns([]string{"\x01" + million}, "", "")), bits, sigs),
		"many holes":       content(1, squeezed(t, columns([]string{"\x01\x02" + strings.Repeat("\x01\x00", maxHoles)}, "\x04\x01\x00|", "")), bits, sigs),
		"many empty ones":  content(MaxItems, squeezed(t, columns([]string{"\x01\x02" + strings.Repeat("\x01\x00", maxHoles-1)}, "\x04\x01\x00|", "")), bits, sigs),
	} {
		_, err := decode(&h, b)
		wantRefusal(t, what, err, bomb)
	}
}

func TestColumnsThatDoNotFitAreRefused(t *testing.T) {
	h := header(Normal, 0, 5)
	h.KeyID = keyID(link.Public().(ed25519.PublicKey))
	sigs := make([]byte, sigSize)
	try := func(rows uint64, packed []byte, bits, sigs []byte) error {
		_, err := decode(&h, content(rows, squeezed(t, packed), bits, sigs))
		return err
	}
	if err := try(1, columns([]string{"\x01{\"a\":\x02}"}, "\x03\x00\x0e\x00|", ""), nil, sigs); err != nil { // {"a":7}
		t.Fatal("the one that fits:", err)
	}
	for what, err := range map[string]error{
		"no signature":             try(1, columns([]string{"\x01x"}, "", ""), nil, nil),
		"a signature too many":     try(1, columns([]string{"\x01x"}, "", ""), nil, append(sigs, sigs...)),
		"bits too many":            try(1, columns([]string{"\x01x"}, "", ""), []byte{0}, sigs),
		"filling that is not zero": try(1, columns([]string{"\x01\x02"}, "\x03\x00\x00\x04|", ""), []byte{0x80}, sigs),
		"bits too few":             try(1, columns([]string{"\x01\x02"}, "\x03\x00\x00\x04|", ""), nil, sigs),
		"text too much":            try(1, columns([]string{"\x01x"}, "", "y"), nil, sigs),
		"text too little":          try(1, columns([]string{"\x01\x02"}, "\x00|", "y"), nil, sigs),
		"no shape":                 try(1, columns(nil, "", ""), nil, sigs),
		"an empty shape":           try(1, columns([]string{""}, "", ""), nil, sigs),
		"no sort":                  try(1, columns([]string{"\x00x"}, "", ""), nil, sigs),
		"an unknown bit":           try(1, columns([]string{"\x11x"}, "", ""), nil, sigs),
		"a version with a record":  try(1, columns([]string{"\x05x"}, "", ""), make([]byte, 10), sigs),
		"a whole with a shape":     try(1, columns([]string{"\x09x"}, "", "\x01y"), nil, sigs),
		"a column that is not":     try(1, columns([]string{"\x01\x02"}, "", ""), nil, sigs),
		"the number's column":      try(1, columns([]string{"\x01\x01\x03"}, "", ""), nil, sigs),
		"the topics' column":       try(1, columns([]string{"\x01\x01\x00"}, "", ""), nil, sigs),
		"its record without one":   try(1, columns([]string{"\x01\x01\x01"}, "", ""), nil, sigs),
		"a column before all":      try(1, columns([]string{"\x01\x01\x63"}, "", ""), nil, sigs),
		"an end within":            try(1, columns([]string{"\x01a\x00b"}, "", ""), nil, sigs),
		"a mark cut off":           try(1, columns([]string{"\x01a\x01"}, "", ""), nil, sigs),
		"a time before 1970":       try(1, columns([]string{"\x01\x02"}, "\x02\x01\x00|", ""), nil, sigs),
		"a time after the years":   try(1, columns([]string{"\x01\x02"}, "\x02\xfe\xff\xff\xff\xff\xff\xff\xff\x7f\x00|", ""), nil, sigs),
		"a number from the last":   try(1, columns([]string{"\x01\x02"}, "\x0b\x00\x00\x00|", ""), nil, sigs),
		"a width over 64":          try(1, columns([]string{"\x01\x02"}, "\x03\x00\x00\x41|", ""), nil, sigs),
		"a scale over nine":        try(1, columns([]string{"\x01\x02"}, "\x03\x0a\x00\x00|", ""), nil, sigs),
		"an unknown way":           try(1, columns([]string{"\x01\x02"}, "\x0f\x00\x00\x00|", ""), nil, sigs),
		"an unknown bit of text":   try(1, columns([]string{"\x01\x02"}, "\x08|", "x\x00"), nil, sigs),
		"an empty table":           try(1, columns([]string{"\x01\x02"}, "\x04\x00|", ""), nil, sigs),
		"an index beyond":          try(1, columns([]string{"\x01\x02"}, "\x04\x03a\x00b\x00c\x00|", ""), []byte{3}, sigs),
		"columns of no items":      try(0, columns([]string{"\x01x"}, "", ""), nil, nil),
		"other fixed columns":      try(1, []byte{1, 2, 1, 'x', 3, 0, 0, 0}, nil, sigs),
		"no zstd":                  second(decode(&h, content(1, []byte("packed"), nil, sigs))),
		"nothing":                  second(decode(&h, nil)),
	} {
		wantRefusal(t, what, err, malformed)
	}
	h.UpTo = 1
	wantRefusal(t, "a number beyond the header's", try(2, columns([]string{"\x01x"}, "", ""), nil, append(sigs, sigs...)), malformed)
}

func second(_ []Item, err error) error { return err }

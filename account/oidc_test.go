package account

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"konbit/desk"
	"konbit/record"
	"konbit/store"
)

// providerDir returns a folder in which the provider's packages are installed as the lock file says, shared by all runs.
func providerDir(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json", "server.mjs"} {
		b, err := os.ReadFile(filepath.Join("testdata", "oidc", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
		sum.Write(b)
	}
	dir := filepath.Join(cache, "konbit-test", "oidc-"+hex.EncodeToString(sum.Sum(nil))[:12])
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(fresh)
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(fresh, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund")
	npm.Dir = fresh
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.Rename(fresh, dir); err != nil && !os.IsExist(err) {
		if _, there := os.Stat(dir); there != nil { // another run may have been faster
			t.Fatal(err)
		}
	}
	return dir
}

// startProvider runs the provider until the test ends and returns its issuer.
func startProvider(t *testing.T, accounts string, env ...string) string {
	t.Helper()
	cmd := exec.Command("node", "server.mjs")
	cmd.Dir = providerDir(t)
	cmd.Env = append(append(os.Environ(), "ACCOUNTS="+accounts, "REDIRECT="+node+"/api/v1/oidc/pnh/callback"), env...)
	stop, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop.Close(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ Issuer string }
	if err := json.Unmarshal(line, &said); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, out)
	return said.Issuer
}

const node = "https://konbit.example"

func withProvider(issuer, claim string, allowed ...string) func(*Config) {
	return func(c *Config) {
		c.Now, c.URL = time.Now, node // the provider's clock is the machine's
		c.OIDC = []Provider{{ID: "pnh", Name: "PNH", Issuer: issuer, ClientID: "konbit", ClientSecret: "a-secret-of-the-test-that-is-long-enough",
			Scopes: []string{"email", "profile"}, Claim: claim, Allowed: allowed}}
	}
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	formPrompt = regexp.MustCompile(`name="prompt" value="([^"]+)"`)
)

// browse goes to address as a browser would, fills in the forms of the provider, and returns the query with which it is
// sent back to the node.
func browse(t testing.TB, address, login string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back url.Values
	client := &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), node) {
			back = r.URL.Query()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	answer, err := client.Get(address)
	for range 5 {
		if err != nil {
			t.Fatal(err)
		}
		body, err2 := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err2 != nil {
			t.Fatal(err2)
		}
		if back != nil {
			return back
		}
		action, prompt := formAction.FindSubmatch(body), formPrompt.FindSubmatch(body)
		if action == nil || prompt == nil {
			t.Fatalf("%s: no form in %s", answer.Status, body)
		}
		to, err3 := answer.Request.URL.Parse(html.UnescapeString(string(action[1])))
		if err3 != nil {
			t.Fatal(err3)
		}
		answer, err = client.PostForm(to.String(), url.Values{"prompt": {string(prompt[1])}, "login": {login}, "password": {"any"}})
	}
	t.Fatal("the provider asks for ever")
	return nil
}

func (h *house) oidc(login string) (*SignedIn, string, error) {
	h.t.Helper()
	ctx := h.t.Context()
	address, ceremony, err := h.BeginOIDC(ctx, "pnh", "/incidents?open=true", From{Address: "10.0.0.1"})
	if err != nil {
		h.t.Fatal(err)
	}
	return h.FinishOIDC(ctx, "pnh", ceremony, browse(h.t, address, login), From{Address: "10.0.0.1"})
}

func TestOIDCRefusesStrangersAndAdmitsTheLinked(t *testing.T) {
	h := newHouse(t, withProvider(startProvider(t, `{}`), "", "ht.cc"))
	h.settle()
	ctx := t.Context()
	_, _, err := h.oidc("subject-1")
	wantCode(t, err, record.Denied)
	if e := err.(*record.Error); !strings.Contains(e.Hint, "subject-1") {
		t.Error(e.Hint)
	}
	if h.count("sign-in refused: unknown subject") != 1 {
		t.Error("the refusal is not in the ledger")
	}
	wantCode(t, h.LinkIdentity(ctx, "ht.cc/ana", "ht.cc/ana", "pnh", "subject-1"), record.Denied)
	wantCode(t, h.LinkIdentity(ctx, "do.911/jefa", "do.911/jefa", "pnh", "subject-2"), record.Denied) // not for this provider
	wantCode(t, h.LinkIdentity(ctx, "ht.cc/boss", "ht.cc/ana", "pnh", "subject-1"), "")
	wantCode(t, h.LinkIdentity(ctx, "ht.cc/boss", "ht.cc/boss", "pnh", "subject-1"), record.Conflict)
	in, back, err := h.oidc("subject-1")
	if err != nil {
		t.Fatal(err)
	}
	if in.Person != "ht.cc/ana" || in.Method != "oidc:pnh" || back != "/incidents?open=true" {
		t.Errorf("%+v %s", in.Session, back)
	}
	if _, err := h.Session(ctx, in.Secret); err != nil {
		t.Error(err)
	}
	h.cfg.OIDC[0].Allowed = []string{"do.911"} // the provider may not speak for her any more
	h.restart()
	_, _, err = h.oidc("subject-1")
	wantCode(t, err, record.Denied)
	h.cfg.OIDC[0].Allowed = []string{"ht.cc"}
	h.restart()
	wantCode(t, h.UnlinkIdentity(ctx, "ht.cc/boss", "pnh", "subject-1"), "")
	_, err = h.Session(ctx, in.Secret)
	wantCode(t, err, record.Unsigned)
	_, _, err = h.oidc("subject-1")
	wantCode(t, err, record.Denied)
}

func TestOIDCFindsAPersonByVerifiedMailOnce(t *testing.T) {
	issuer := startProvider(t, `{
		"s1": {"email": "Ana@CC.example", "email_verified": true},
		"s2": {"email": "ana@cc.example", "email_verified": true},
		"s3": {"email": "boss@cc.example", "email_verified": false},
		"s4": {"email": "twin@cc.example", "email_verified": true},
		"s5": {"email": "jefa@911.example", "email_verified": true}}`, "USERINFO=yes")
	h := newHouse(t, withProvider(issuer, "email", "ht.cc"))
	h.settle()
	for id, mail := range map[string]string{"ht.cc/ana": "ana@cc.example", "ht.cc/boss": "Boss@cc.example", "do.911/jefa": "jefa@911.example"} {
		if _, err := h.UpdatePerson(t.Context(), Node, id, PersonChange{Email: &mail}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"ht.cc/twin1", "ht.cc/twin2"} {
		if _, err := h.AddPerson(t.Context(), Node, store.Person{ID: id, Name: "Twin", Email: "twin@cc.example", Grants: []store.Grant{grant("ht.cc", "*", desk.Viewer)}}, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		subject, person string
	}{
		{"s1", "ht.cc/ana"},
		{"s1", "ht.cc/ana"}, // by the link now
		{"s2", ""},          // a second subject with her mail
		{"s3", ""},          // not verified
		{"s4", ""},          // of two people
		{"s5", ""},          // of an agency that the provider may not speak for
	} {
		in, _, err := h.oidc(c.subject)
		if c.person == "" {
			wantCode(t, err, record.Denied)
		} else if err != nil || in.Person != c.person {
			t.Errorf("%s: %+v %v", c.subject, in, err)
		}
	}
	if h.count("identity linked") != 1 {
		t.Error("the link is not in the ledger once")
	}
}

func TestOIDCFindsAPersonByUserName(t *testing.T) {
	h := newHouse(t, withProvider(startProvider(t, `{"s1": {"preferred_username": "Ana"}, "s2": {"preferred_username": "../ana"}}`, "USERINFO=yes"), "preferred_username", "ht.cc"))
	h.settle()
	if in, _, err := h.oidc("s1"); err != nil || in.Person != "ht.cc/ana" {
		t.Errorf("%+v %v", in, err)
	}
	_, _, err := h.oidc("s2")
	wantCode(t, err, record.Denied)
}

func TestOIDCAnswerIsBoundToTheBrowserAndToTheSignIn(t *testing.T) {
	h := newHouse(t, withProvider(startProvider(t, `{}`), "", "ht.cc"))
	h.settle()
	ctx := t.Context()
	wantCode(t, h.LinkIdentity(ctx, Node, "ht.cc/ana", "pnh", "s1"), "")
	start := func() (string, string) {
		t.Helper()
		address, ceremony, err := h.BeginOIDC(ctx, "pnh", "//evil.example", From{})
		if err != nil {
			t.Fatal(err)
		}
		if q := must(url.Parse(address)).Query(); q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("state") == "" {
			t.Error(address)
		}
		return address, ceremony
	}
	mine, ceremony := start()
	theirs, _ := start()
	// Login CSRF: the attacker's answer in the victim's browser.
	_, _, err := h.FinishOIDC(ctx, "pnh", ceremony, browse(t, theirs, "s1"), From{})
	wantCode(t, err, record.Stale)
	// The victim's own answer comes too late: the ceremony is used up.
	_, _, err = h.FinishOIDC(ctx, "pnh", ceremony, browse(t, mine, "s1"), From{})
	wantCode(t, err, record.Stale)
	// A code that was made for another sign-in fails its PKCE check.
	mine, ceremony = start()
	theirs, _ = start()
	q, other := browse(t, mine, "s1"), browse(t, theirs, "s1")
	q.Set("code", other.Get("code"))
	_, _, err = h.FinishOIDC(ctx, "pnh", ceremony, q, From{})
	wantCode(t, err, record.Unsigned)
	// The provider says no.
	mine, ceremony = start()
	_, _, err = h.FinishOIDC(ctx, "pnh", ceremony, url.Values{"state": {must(url.Parse(mine)).Query().Get("state")}, "error": {"access_denied"}}, From{})
	wantCode(t, err, record.Unsigned)
	// Back stays in the house.
	mine, ceremony = start()
	if _, back, err := h.FinishOIDC(ctx, "pnh", ceremony, browse(t, mine, "s1"), From{}); err != nil || back != "/" {
		t.Error(back, err)
	}
	_, _, err = h.BeginOIDC(ctx, "none", "/", From{})
	wantCode(t, err, record.NotFound)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestNodeStartsWhileAProviderIsDown(t *testing.T) {
	h := newHouse(t, withProvider("http://127.0.0.1:1", "", "ht.cc"))
	h.settle()
	_, _, err := h.BeginOIDC(t.Context(), "pnh", "/", From{})
	wantCode(t, err, record.Unavailable)
	h.signIn("ht.cc/ana")
}

func TestProvidersAreChecked(t *testing.T) {
	for _, ps := range [][]Provider{
		{{ID: "Bad Name", Issuer: "https://x", ClientID: "c"}},
		{{ID: "a", ClientID: "c"}},
		{{ID: "a", Issuer: "https://x", ClientID: "c", Claim: "phone"}},
		{{ID: "a", Issuer: "https://x", ClientID: "c"}, {ID: "a", Issuer: "https://y", ClientID: "c"}},
	} {
		s := &Service{cfg: Config{URL: node, OIDC: ps}}
		if s.openProviders() == nil {
			t.Errorf("%+v", ps)
		}
	}
	if (&Service{cfg: Config{OIDC: []Provider{{ID: "a", Issuer: "https://x", ClientID: "c"}}}}).openProviders() == nil {
		t.Error("without an address of the node")
	}
}

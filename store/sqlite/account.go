package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"konbit/desk"
	"konbit/record"
	"konbit/store"
)

// exec runs a statement with positional arguments and calls each for every row.
func exec(c *sqlite.Conn, query string, each func(*sqlite.Stmt), args ...any) error {
	return sqlitex.Execute(c, query, &sqlitex.ExecOptions{Args: args, ResultFunc: func(st *sqlite.Stmt) error {
		if each != nil {
			each(st)
		}
		return nil
	}})
}

// stamp is a time as a column holds it, 0 for the zero time; moment reads it back.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(st *sqlite.Stmt, col int) time.Time {
	if us := st.ColumnInt64(col); us != 0 {
		return micro(us)
	}
	return time.Time{}
}

func bytesOf(st *sqlite.Stmt, col int) []byte {
	n := st.ColumnLen(col)
	if n == 0 {
		return nil
	}
	b := make([]byte, n)
	st.ColumnBytes(col, b)
	return b
}

func hashOf(st *sqlite.Stmt, col int) (h [32]byte) {
	st.ColumnBytes(col, h[:])
	return h
}

// applyOp makes one change of accounts in the transaction that c is in.
func applyOp(c *sqlite.Conn, op store.Op) error {
	switch op := op.(type) {
	case store.PutAgency:
		return putAgency(c, &op.Agency)
	case store.PutPerson:
		return putPerson(c, &op.Person)
	case store.PutPassword:
		return exec(c, "INSERT OR REPLACE INTO account_password(person, hash) VALUES(?, ?)", nil, op.Person, op.Hash)
	case store.PutPasskey:
		p := op.Passkey
		return exec(c, "INSERT OR REPLACE INTO account_passkey(id, person, name, data, created, used) VALUES(?, ?, ?, ?, ?, ?)",
			nil, p.ID, p.Person, p.Name, p.Data, stamp(p.Created), stamp(p.Used))
	case store.UsePasskey:
		return exec(c, "UPDATE account_passkey SET data = ?, used = ? WHERE id = ?", nil, op.Data, stamp(op.Used), op.ID)
	case store.DropPasskey:
		return exec(c, "DELETE FROM account_passkey WHERE id = ? AND person = ?", nil, op.ID, op.Person)
	case store.PutIdentity:
		i := op.Identity
		return exec(c, "INSERT OR REPLACE INTO account_identity(provider, subject, person, created) VALUES(?, ?, ?, ?)",
			nil, i.Provider, i.Subject, i.Person, stamp(i.Created))
	case store.DropIdentity:
		return exec(c, "DELETE FROM account_identity WHERE provider = ? AND subject = ?", nil, op.Provider, op.Subject)
	case store.PutSession:
		return putSession(c, &op.Session)
	case store.SetPurpose:
		words, until := purposeCols(op.Purpose)
		return exec(c, "UPDATE account_session SET purpose = ?, purpose_until = ? WHERE hash = ?", nil, words, until, op.Hash[:])
	case store.DropSession:
		return exec(c, "DELETE FROM account_session WHERE hash = ?", nil, op.Hash[:])
	case store.DropSessions:
		return exec(c, "DELETE FROM account_session WHERE person = ? AND hash <> ?", nil, op.Person, op.Except[:])
	case store.PutToken:
		t := op.Token
		return exec(c, "INSERT OR REPLACE INTO account_token(hash, id, name, person, scopes, created, expires, last_used) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
			nil, t.Hash[:], t.ID, t.Name, t.Person, strings.Join(t.Scopes, " "), stamp(t.Created), stamp(t.Expires), stamp(t.LastUsed))
	case store.DropToken:
		return exec(c, "DELETE FROM account_token WHERE id = ?", nil, op.ID)
	case store.PutCode:
		return putCode(c, &op.Code)
	case store.UseCode:
		if err := exec(c, "DELETE FROM account_code WHERE hash = ?", nil, op.Hash[:]); err != nil {
			return err
		}
		if c.Changes() == 0 {
			return record.Errorf(record.Conflict, "account.code", "this link has been used already")
		}
		return nil
	case store.DropCodes:
		return exec(c, "DELETE FROM account_code WHERE person = ?", nil, op.Person)
	}
	return fmt.Errorf("sqlite: unknown change %T", op)
}

func putAgency(c *sqlite.Conn, a *store.Agency) error {
	old := a.OldKeys
	if old == nil {
		old = []store.OldKey{}
	}
	keys, err := json.Marshal(old)
	if err != nil {
		return err
	}
	if err := exec(c, "INSERT OR REPLACE INTO account_agency(id, name, country, contact, local, public_key, created, node, old_keys) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
		nil, a.ID, a.Name, a.Country, a.Contact, a.Local, []byte(a.PublicKey), stamp(a.Created), a.Node, string(keys)); err != nil {
		return err
	}
	if err := exec(c, "DELETE FROM account_community WHERE agency = ?", nil, a.ID); err != nil {
		return err
	}
	for _, m := range a.Communities {
		if err := exec(c, "INSERT OR IGNORE INTO account_community(agency, community, joined) VALUES(?, ?, ?)", nil, a.ID, m, stamp(a.Joined[m])); err != nil {
			return err
		}
	}
	return nil
}

func putPerson(c *sqlite.Conn, p *store.Person) error {
	if err := exec(c, "INSERT OR REPLACE INTO account_person(id, name, email, lang, theme, disabled, created) VALUES(?, ?, ?, ?, ?, ?, ?)",
		nil, p.ID, p.Name, p.Email, p.Lang, p.Theme, p.Disabled, stamp(p.Created)); err != nil {
		return err
	}
	if err := exec(c, "DELETE FROM account_grant WHERE person = ?", nil, p.ID); err != nil {
		return err
	}
	for _, g := range p.Grants {
		if err := exec(c, "INSERT OR IGNORE INTO account_grant(person, agency, desk, role) VALUES(?, ?, ?, ?)",
			nil, p.ID, g.Agency, g.Desk, string(g.Role)); err != nil {
			return err
		}
	}
	if err := exec(c, "DELETE FROM account_clearance WHERE person = ?", nil, p.ID); err != nil {
		return err
	}
	for _, v := range p.Clearances {
		if err := exec(c, "INSERT OR IGNORE INTO account_clearance(person, caveat) VALUES(?, ?)", nil, p.ID, v); err != nil {
			return err
		}
	}
	return nil
}

func putSession(c *sqlite.Conn, s *store.Session) error {
	words, until := purposeCols(s.Purpose)
	return exec(c, `INSERT OR REPLACE INTO account_session(hash, id, person, agency, lang, purpose, purpose_until, method, address, agent, created, seen)
		VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		nil, s.Hash[:], s.ID, s.Person, s.Agency, s.Lang, words, until, s.Method, s.Address, s.Agent, stamp(s.Created), stamp(s.Seen))
}

func purposeCols(p *store.Purpose) (words string, until int64) {
	if p == nil {
		return "", 0
	}
	return p.Words, stamp(p.Until)
}

func putCode(c *sqlite.Conn, k *store.Code) error {
	if err := exec(c, "DELETE FROM account_code WHERE kind = ? AND person = ?", nil, k.Kind, k.Person); err != nil {
		return err
	}
	return exec(c, "INSERT INTO account_code(hash, kind, person, created, expires) VALUES(?, ?, ?, ?, ?)",
		nil, k.Hash[:], k.Kind, k.Person, stamp(k.Created), stamp(k.Expires))
}

// People returns every agency and every person.
func (db *DB) People(ctx context.Context) (agencies []store.Agency, people []store.Person, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		pi := map[string]int{}
		if agencies, err = readAgencies(c); err != nil {
			return err
		}
		if err := exec(c, "SELECT id, name, email, lang, theme, disabled, created FROM account_person ORDER BY id", func(st *sqlite.Stmt) {
			pi[st.ColumnText(0)] = len(people)
			people = append(people, store.Person{ID: st.ColumnText(0), Name: st.ColumnText(1), Email: st.ColumnText(2), Lang: st.ColumnText(3),
				Theme: st.ColumnText(4), Disabled: st.ColumnBool(5), Created: moment(st, 6), Grants: []store.Grant{}, Clearances: []string{}})
		}); err != nil {
			return err
		}
		if err := exec(c, "SELECT person, agency, desk, role FROM account_grant ORDER BY person, agency, desk, role", func(st *sqlite.Stmt) {
			if i, ok := pi[st.ColumnText(0)]; ok {
				people[i].Grants = append(people[i].Grants, store.Grant{Agency: st.ColumnText(1), Desk: st.ColumnText(2), Role: desk.Role(st.ColumnText(3))})
			}
		}); err != nil {
			return err
		}
		return exec(c, "SELECT person, caveat FROM account_clearance ORDER BY person, caveat", func(st *sqlite.Stmt) {
			if i, ok := pi[st.ColumnText(0)]; ok {
				people[i].Clearances = append(people[i].Clearances, st.ColumnText(1))
			}
		})
	})
	return agencies, people, err
}

func readAgencies(c *sqlite.Conn) (agencies []store.Agency, err error) {
	at := map[string]int{}
	var bad error
	if err := exec(c, "SELECT id, name, country, contact, local, public_key, created, node, old_keys FROM account_agency ORDER BY id", func(st *sqlite.Stmt) {
		at[st.ColumnText(0)] = len(agencies)
		a := store.Agency{ID: st.ColumnText(0), Name: st.ColumnText(1), Country: st.ColumnText(2), Contact: st.ColumnText(3),
			Communities: []string{}, Local: st.ColumnBool(4), PublicKey: bytesOf(st, 5), Created: moment(st, 6), Node: st.ColumnText(7)}
		if old := st.ColumnText(8); old != "[]" {
			bad = errors.Join(bad, json.Unmarshal([]byte(old), &a.OldKeys))
		}
		agencies = append(agencies, a)
	}); err != nil || bad != nil {
		return nil, errors.Join(err, bad)
	}
	return agencies, exec(c, "SELECT agency, community, joined FROM account_community ORDER BY agency, community", func(st *sqlite.Stmt) {
		i, ok := at[st.ColumnText(0)]
		if !ok {
			return
		}
		a := &agencies[i]
		a.Communities = append(a.Communities, st.ColumnText(1))
		if t := moment(st, 2); !t.IsZero() {
			if a.Joined == nil {
				a.Joined = map[string]time.Time{}
			}
			a.Joined[st.ColumnText(1)] = t
		}
	})
}

// PersonStates returns what the directory does not hold, by person.
func (db *DB) PersonStates(ctx context.Context) (map[string]store.PersonState, error) {
	out := map[string]store.PersonState{}
	err := db.Read(ctx, func(c *sqlite.Conn) error {
		if err := exec(c, "SELECT person, max(seen) FROM account_session GROUP BY person", func(st *sqlite.Stmt) {
			out[st.ColumnText(0)] = store.PersonState{LastSeen: moment(st, 1)}
		}); err != nil {
			return err
		}
		if err := exec(c, "SELECT person, count(*) FROM account_passkey GROUP BY person", func(st *sqlite.Stmt) {
			p := out[st.ColumnText(0)]
			p.Passkeys = st.ColumnInt(1)
			out[st.ColumnText(0)] = p
		}); err != nil {
			return err
		}
		return exec(c, "SELECT person FROM account_password", func(st *sqlite.Stmt) {
			p := out[st.ColumnText(0)]
			p.Password = true
			out[st.ColumnText(0)] = p
		})
	})
	return out, err
}

// Preferences returns a person's language and theme.
func (db *DB) Preferences(ctx context.Context, person string) (lang, theme string, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return one(c, "person", "SELECT lang, theme FROM account_person WHERE id = ?", func(st *sqlite.Stmt) { lang, theme = st.ColumnText(0), st.ColumnText(1) }, person)
	})
	return lang, theme, err
}

// SetPreferences sets a person's language and theme.
func (db *DB) SetPreferences(ctx context.Context, person, lang, theme string) error {
	return db.Write(ctx, func(c *sqlite.Conn) error {
		return exec(c, "UPDATE account_person SET lang = ?, theme = ? WHERE id = ?", nil, lang, theme, person)
	})
}

// one reads at most one row and says NotFound when there is none.
func one(c *sqlite.Conn, what, query string, each func(*sqlite.Stmt), args ...any) error {
	found := false
	if err := exec(c, query, func(st *sqlite.Stmt) { found = true; each(st) }, args...); err != nil {
		return err
	}
	if !found {
		return record.Errorf(record.NotFound, "store."+what, "there is no such %s", what)
	}
	return nil
}

// Password returns the PHC string of a person.
func (db *DB) Password(ctx context.Context, person string) (hash string, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return one(c, "password", "SELECT hash FROM account_password WHERE person = ?", func(st *sqlite.Stmt) { hash = st.ColumnText(0) }, person)
	})
	return hash, err
}

const passkeyCols = "SELECT id, person, name, data, created, used FROM account_passkey "

func scanPasskey(st *sqlite.Stmt) store.Passkey {
	return store.Passkey{ID: bytesOf(st, 0), Person: st.ColumnText(1), Name: st.ColumnText(2), Data: bytesOf(st, 3), Created: moment(st, 4), Used: moment(st, 5)}
}

// Passkey returns the passkey with the identifier.
func (db *DB) Passkey(ctx context.Context, id []byte) (p store.Passkey, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return one(c, "passkey", passkeyCols+"WHERE id = ?", func(st *sqlite.Stmt) { p = scanPasskey(st) }, id)
	})
	return p, err
}

// Passkeys returns those of a person, oldest first.
func (db *DB) Passkeys(ctx context.Context, person string) (ps []store.Passkey, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return exec(c, passkeyCols+"WHERE person = ? ORDER BY created, id", func(st *sqlite.Stmt) { ps = append(ps, scanPasskey(st)) }, person)
	})
	return ps, err
}

const identityCols = "SELECT provider, subject, person, created FROM account_identity "

func scanIdentity(st *sqlite.Stmt) store.Identity {
	return store.Identity{Provider: st.ColumnText(0), Subject: st.ColumnText(1), Person: st.ColumnText(2), Created: moment(st, 3)}
}

// Identity returns the link of a subject.
func (db *DB) Identity(ctx context.Context, provider, subject string) (i store.Identity, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return one(c, "identity", identityCols+"WHERE provider = ? AND subject = ?", func(st *sqlite.Stmt) { i = scanIdentity(st) }, provider, subject)
	})
	return i, err
}

// Identities returns the links of a person, or all.
func (db *DB) Identities(ctx context.Context, person string) (is []store.Identity, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return exec(c, identityCols+"WHERE ?1 = '' OR person = ?1 ORDER BY provider, subject", func(st *sqlite.Stmt) { is = append(is, scanIdentity(st)) }, person)
	})
	return is, err
}

const sessionCols = "SELECT hash, id, person, agency, lang, purpose, purpose_until, method, address, agent, created, seen FROM account_session "

func scanSession(st *sqlite.Stmt) store.Session {
	s := store.Session{Hash: hashOf(st, 0), ID: st.ColumnText(1), Person: st.ColumnText(2), Agency: st.ColumnText(3), Lang: st.ColumnText(4),
		Method: st.ColumnText(7), Address: st.ColumnText(8), Agent: st.ColumnText(9), Created: moment(st, 10), Seen: moment(st, 11)}
	if w := st.ColumnText(5); w != "" {
		s.Purpose = &store.Purpose{Words: w, Until: moment(st, 6)}
	}
	return s
}

// Session returns the session with the hash, expired or not.
func (db *DB) Session(ctx context.Context, hash [32]byte) (s store.Session, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return one(c, "session", sessionCols+"WHERE hash = ?", func(st *sqlite.Stmt) { s = scanSession(st) }, hash[:])
	})
	return s, err
}

// Sessions returns those of a person, newest first.
func (db *DB) Sessions(ctx context.Context, person string) (ss []store.Session, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return exec(c, sessionCols+"WHERE person = ? ORDER BY created DESC, id", func(st *sqlite.Stmt) { ss = append(ss, scanSession(st)) }, person)
	})
	return ss, err
}

// SetHat writes hat and language of a session.
func (db *DB) SetHat(ctx context.Context, hash [32]byte, agency, lang string) error {
	return db.Write(ctx, func(c *sqlite.Conn) error {
		return exec(c, "UPDATE account_session SET agency = ?, lang = ? WHERE hash = ?", nil, agency, lang, hash[:])
	})
}

const tokenCols = "SELECT hash, id, name, person, scopes, created, expires, last_used FROM account_token "

func scanToken(st *sqlite.Stmt) store.Token {
	return store.Token{Hash: hashOf(st, 0), ID: st.ColumnText(1), Name: st.ColumnText(2), Person: st.ColumnText(3), Scopes: strings.Fields(st.ColumnText(4)),
		Created: moment(st, 5), Expires: moment(st, 6), LastUsed: moment(st, 7)}
}

// Token returns the token with the hash, expired or not.
func (db *DB) Token(ctx context.Context, hash [32]byte) (t store.Token, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return one(c, "token", tokenCols+"WHERE hash = ?", func(st *sqlite.Stmt) { t = scanToken(st) }, hash[:])
	})
	return t, err
}

// TokenByID returns the token with the identifier.
func (db *DB) TokenByID(ctx context.Context, id string) (t store.Token, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return one(c, "token", tokenCols+"WHERE id = ?", func(st *sqlite.Stmt) { t = scanToken(st) }, id)
	})
	return t, err
}

// Tokens returns those of a person, or all, newest first.
func (db *DB) Tokens(ctx context.Context, person string) (ts []store.Token, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return exec(c, tokenCols+"WHERE ?1 = '' OR person = ?1 ORDER BY created DESC, id", func(st *sqlite.Stmt) { ts = append(ts, scanToken(st)) }, person)
	})
	return ts, err
}

// Code returns a one-time code, expired or not.
func (db *DB) Code(ctx context.Context, hash [32]byte) (k store.Code, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		return one(c, "code", "SELECT hash, kind, person, created, expires FROM account_code WHERE hash = ?", func(st *sqlite.Stmt) {
			k = store.Code{Hash: hashOf(st, 0), Kind: st.ColumnText(1), Person: st.ColumnText(2), Created: moment(st, 3), Expires: moment(st, 4)}
		}, hash[:])
	})
	return k, err
}

// SetFirstRunCode replaces the code of the first start.
func (db *DB) SetFirstRunCode(ctx context.Context, k store.Code) error {
	return db.Write(ctx, func(c *sqlite.Conn) error { return putCode(c, &k) })
}

// BeginCeremony stores the first half of a ceremony.
func (db *DB) BeginCeremony(ctx context.Context, y store.Ceremony) error {
	return db.Write(ctx, func(c *sqlite.Conn) error {
		return exec(c, "INSERT INTO account_ceremony(hash, kind, data, expires) VALUES(?, ?, ?, ?)", nil, y.Hash[:], y.Kind, y.Data, stamp(y.Expires))
	})
}

// FinishCeremony takes a ceremony away and returns it.
func (db *DB) FinishCeremony(ctx context.Context, hash [32]byte) (y store.Ceremony, err error) {
	err = db.Write(ctx, func(c *sqlite.Conn) error {
		return one(c, "ceremony", "DELETE FROM account_ceremony WHERE hash = ? RETURNING hash, kind, data, expires", func(st *sqlite.Stmt) {
			y = store.Ceremony{Hash: hashOf(st, 0), Kind: st.ColumnText(1), Data: bytesOf(st, 2), Expires: moment(st, 3)}
		}, hash[:])
	})
	return y, err
}

// Throttled returns the failures and the known addresses.
func (db *DB) Throttled(ctx context.Context) (slowed []store.Slowed, known []store.Known, err error) {
	err = db.Read(ctx, func(c *sqlite.Conn) error {
		if err := exec(c, "SELECT key, fails, last FROM account_slowed", func(st *sqlite.Stmt) {
			slowed = append(slowed, store.Slowed{Key: hashOf(st, 0), Fails: st.ColumnInt(1), Last: moment(st, 2)})
		}); err != nil {
			return err
		}
		return exec(c, "SELECT key, at FROM account_known", func(st *sqlite.Stmt) {
			known = append(known, store.Known{Key: hashOf(st, 0), At: moment(st, 1)})
		})
	})
	return slowed, known, err
}

// SaveAccess writes what collects in memory, in one transaction.
func (db *DB) SaveAccess(ctx context.Context, sessions, tokens map[[32]byte]time.Time, slowed []store.Slowed, known []store.Known) error {
	if len(sessions)+len(tokens)+len(slowed)+len(known) == 0 {
		return nil
	}
	return db.Write(ctx, func(c *sqlite.Conn) error {
		for h, t := range sessions {
			if err := exec(c, "UPDATE account_session SET seen = max(seen, ?) WHERE hash = ?", nil, stamp(t), h[:]); err != nil {
				return err
			}
		}
		for h, t := range tokens {
			if err := exec(c, "UPDATE account_token SET last_used = max(last_used, ?) WHERE hash = ?", nil, stamp(t), h[:]); err != nil {
				return err
			}
		}
		for _, s := range slowed {
			query, args := "INSERT OR REPLACE INTO account_slowed(key, fails, last) VALUES(?, ?, ?)", []any{s.Key[:], s.Fails, stamp(s.Last)}
			if s.Fails == 0 {
				query, args = "DELETE FROM account_slowed WHERE key = ?", args[:1]
			}
			if err := exec(c, query, nil, args...); err != nil {
				return err
			}
		}
		for _, k := range known {
			if err := exec(c, "INSERT OR REPLACE INTO account_known(key, at) VALUES(?, ?)", nil, k.Key[:], stamp(k.At)); err != nil {
				return err
			}
		}
		return nil
	})
}

// SweepAccess removes what has expired.
func (db *DB) SweepAccess(ctx context.Context, now, created, seen, slowed, known time.Time) error {
	return db.Write(ctx, func(c *sqlite.Conn) error {
		for _, d := range []struct {
			query string
			args  []any
		}{
			{"DELETE FROM account_session WHERE created < ? OR seen < ?", []any{stamp(created), stamp(seen)}},
			{"DELETE FROM account_code WHERE expires <> 0 AND expires < ?", []any{stamp(now)}},
			{"DELETE FROM account_ceremony WHERE expires < ?", []any{stamp(now)}},
			{"DELETE FROM account_slowed WHERE last < ?", []any{stamp(slowed)}},
			{"DELETE FROM account_known WHERE at < ?", []any{stamp(known)}},
		} {
			if err := exec(c, d.query, nil, d.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Secret returns the random bytes kept under the name.
func (db *DB) Secret(ctx context.Context, name string) (secret []byte, err error) {
	err = db.Write(ctx, func(c *sqlite.Conn) error {
		fresh := make([]byte, 32)
		rand.Read(fresh)
		if err := exec(c, "INSERT OR IGNORE INTO account_secret(name, value) VALUES(?, ?)", nil, name, fresh); err != nil {
			return err
		}
		return one(c, "secret", "SELECT value FROM account_secret WHERE name = ?", func(st *sqlite.Stmt) { secret = bytesOf(st, 0) }, name)
	})
	return secret, err
}

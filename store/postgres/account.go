package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"konbit/desk"
	"konbit/record"
	"konbit/store"
)

// Numbers of advisory locks, beside migrating. Those of a transaction are held to its
// end, and it takes only one.
const (
	dutyLock     = migrating + 1 // of a session: who is on duty
	exchangeLock = migrating + 2 // who writes to the streams with other nodes
	accessLock   = migrating + 3 // who writes several rows of sign-in, outside a turn
)

// lock queues the taking of an advisory lock. The statements after it see what was
// committed by who had it before.
func lock(b *pgx.Batch, key int64) { b.Queue("SELECT pg_advisory_xact_lock($1)", key) }

// storable makes arguments of what PostgreSQL can hold: text without U+0000 that is
// valid UTF-8, and bytes that are empty instead of NULL.
func storable(args []any) []any {
	for i, a := range args {
		switch a := a.(type) {
		case string:
			args[i] = text(a)
		case []byte:
			if a == nil {
				args[i] = []byte{}
			}
		}
	}
	return args
}

// text puts U+FFFD in the place of what PostgreSQL takes for no text: U+0000, and
// what is no UTF-8.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// applyOp makes one change in the turn's transaction.
func (db *DB) applyOp(ctx context.Context, c *pgxpool.Conn, op store.Op) error {
	var b pgx.Batch
	if err := accountOp(&b, op); err != nil {
		return err
	}
	if b.Len() == 0 {
		if err := db.peerOp(ctx, &b, op); err != nil {
			return err
		}
	}
	return c.SendBatch(ctx, &b).Close()
}

// accountOp queues the statements of one change of accounts; none when it is no
// change of accounts.
func accountOp(b *pgx.Batch, op store.Op) error {
	put := func(q string, args ...any) { b.Queue(q, storable(args)...) }
	switch op := op.(type) {
	case store.PutAgency:
		return putAgency(b, &op.Agency)
	case store.PutPerson:
		putPerson(b, &op.Person)
	case store.PutPassword:
		put("INSERT INTO account_password(person, hash) VALUES($1, $2) ON CONFLICT(person) DO UPDATE SET hash = excluded.hash", op.Person, op.Hash)
	case store.PutPasskey:
		p := op.Passkey
		put(`INSERT INTO account_passkey(id, person, name, data, created, used) VALUES($1, $2, $3, $4, $5, $6)
			ON CONFLICT(id) DO UPDATE SET (person, name, data, created, used) = (excluded.person, excluded.name, excluded.data, excluded.created, excluded.used)`,
			p.ID, p.Person, p.Name, p.Data, stamp(p.Created), stamp(p.Used))
	case store.UsePasskey:
		put("UPDATE account_passkey SET data = $1, used = $2 WHERE id = $3", op.Data, stamp(op.Used), op.ID)
	case store.DropPasskey:
		put("DELETE FROM account_passkey WHERE id = $1 AND person = $2", op.ID, op.Person)
	case store.PutIdentity:
		i := op.Identity
		put(`INSERT INTO account_identity(provider, subject, person, created) VALUES($1, $2, $3, $4)
			ON CONFLICT(provider, subject) DO UPDATE SET (person, created) = (excluded.person, excluded.created)`, i.Provider, i.Subject, i.Person, stamp(i.Created))
	case store.DropIdentity:
		put("DELETE FROM account_identity WHERE provider = $1 AND subject = $2", op.Provider, op.Subject)
	case store.PutSession:
		s := op.Session
		words, until := purposeCols(s.Purpose)
		put("DELETE FROM account_session WHERE hash = $1", s.Hash[:])
		put(`INSERT INTO account_session(hash, id, person, agency, lang, purpose, purpose_until, method, address, agent, created, seen)
			VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			s.Hash[:], s.ID, s.Person, s.Agency, s.Lang, words, until, s.Method, s.Address, s.Agent, stamp(s.Created), stamp(s.Seen))
	case store.SetPurpose:
		words, until := purposeCols(op.Purpose)
		put("UPDATE account_session SET purpose = $1, purpose_until = $2 WHERE hash = $3", words, until, op.Hash[:])
	case store.DropSession:
		put("DELETE FROM account_session WHERE hash = $1", op.Hash[:])
	case store.DropSessions:
		put("DELETE FROM account_session WHERE person = $1 AND hash <> $2", op.Person, op.Except[:])
	case store.PutToken:
		t := op.Token
		put("DELETE FROM account_token WHERE hash = $1 OR id = $2", t.Hash[:], t.ID)
		put("INSERT INTO account_token(hash, id, name, person, scopes, created, expires, last_used) VALUES($1, $2, $3, $4, $5, $6, $7, $8)",
			t.Hash[:], t.ID, t.Name, t.Person, strings.Join(t.Scopes, " "), stamp(t.Created), stamp(t.Expires), stamp(t.LastUsed))
	case store.DropToken:
		put("DELETE FROM account_token WHERE id = $1", op.ID)
	case store.PutCode:
		putCode(b, &op.Code)
	case store.UseCode:
		b.Queue("DELETE FROM account_code WHERE hash = $1", op.Hash[:]).Exec(func(done pgconn.CommandTag) error {
			if done.RowsAffected() == 0 {
				return record.Errorf(record.Conflict, "account.code", "this link has been used already")
			}
			return nil
		})
	case store.DropCodes:
		put("DELETE FROM account_code WHERE person = $1", op.Person)
	}
	return nil
}

func putAgency(b *pgx.Batch, a *store.Agency) error {
	old := a.OldKeys
	if old == nil {
		old = []store.OldKey{}
	}
	keys, err := json.Marshal(old)
	if err != nil {
		return err
	}
	b.Queue(`INSERT INTO account_agency(id, name, country, contact, local, public_key, created, node, old_keys) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT(id) DO UPDATE SET (name, country, contact, local, public_key, created, node, old_keys)
		= (excluded.name, excluded.country, excluded.contact, excluded.local, excluded.public_key, excluded.created, excluded.node, excluded.old_keys)`,
		storable([]any{a.ID, a.Name, a.Country, a.Contact, a.Local, []byte(a.PublicKey), stamp(a.Created), a.Node, string(keys)})...)
	b.Queue("DELETE FROM account_community WHERE agency = $1", text(a.ID))
	names, joined := make([]string, len(a.Communities)), make([]int64, len(a.Communities))
	for i, m := range a.Communities {
		names[i], joined[i] = text(m), stamp(a.Joined[m])
	}
	b.Queue("INSERT INTO account_community(agency, community, joined) SELECT $1, * FROM unnest($2::text[], $3::bigint[]) ON CONFLICT DO NOTHING", text(a.ID), names, joined)
	return nil
}

func putPerson(b *pgx.Batch, p *store.Person) {
	b.Queue(`INSERT INTO account_person(id, name, email, lang, theme, disabled, created) VALUES($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT(id) DO UPDATE SET (name, email, lang, theme, disabled, created) = (excluded.name, excluded.email, excluded.lang, excluded.theme, excluded.disabled, excluded.created)`,
		storable([]any{p.ID, p.Name, p.Email, p.Lang, p.Theme, p.Disabled, stamp(p.Created)})...)
	var agencies, desks, roles, caveats []string
	for _, g := range p.Grants {
		agencies, desks, roles = append(agencies, text(g.Agency)), append(desks, text(g.Desk)), append(roles, text(string(g.Role)))
	}
	for _, v := range p.Clearances {
		caveats = append(caveats, text(v))
	}
	id := text(p.ID)
	b.Queue("DELETE FROM account_grant WHERE person = $1", id)
	b.Queue("INSERT INTO account_grant(person, agency, desk, role) SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING", id, agencies, desks, roles)
	b.Queue("DELETE FROM account_clearance WHERE person = $1", id)
	b.Queue("INSERT INTO account_clearance(person, caveat) SELECT $1, * FROM unnest($2::text[]) ON CONFLICT DO NOTHING", id, caveats)
}

func purposeCols(p *store.Purpose) (words string, until int64) {
	if p == nil {
		return "", 0
	}
	return p.Words, stamp(p.Until)
}

func putCode(b *pgx.Batch, k *store.Code) {
	b.Queue("DELETE FROM account_code WHERE kind = $1 AND person = $2", text(k.Kind), text(k.Person))
	b.Queue("INSERT INTO account_code(hash, kind, person, created, expires) VALUES($1, $2, $3, $4, $5)",
		k.Hash[:], text(k.Kind), text(k.Person), stamp(k.Created), stamp(k.Expires))
}

// People returns every agency and every person.
func (db *DB) People(ctx context.Context) (agencies []store.Agency, people []store.Person, err error) {
	err = db.read(ctx, func(tx pgx.Tx) error {
		if agencies, err = readAgencies(ctx, tx); err != nil {
			return err
		}
		people, err = readPeople(ctx, tx)
		return err
	})
	return agencies, people, err
}

func readAgencies(ctx context.Context, c querier) (agencies []store.Agency, err error) {
	at := map[string]int{}
	if err := eachOn(ctx, c, `SELECT id, name, country, contact, local, public_key, created, node, old_keys FROM account_agency ORDER BY id COLLATE "C"`, nil, func(r pgx.Rows) error {
		a := store.Agency{Communities: []string{}}
		var key []byte
		var created int64
		var old string
		if err := r.Scan(&a.ID, &a.Name, &a.Country, &a.Contact, &a.Local, &key, &created, &a.Node, &old); err != nil {
			return err
		}
		a.PublicKey, a.Created = some(key), moment(created)
		if old != "[]" {
			if err := json.Unmarshal([]byte(old), &a.OldKeys); err != nil {
				return err
			}
		}
		at[a.ID] = len(agencies)
		agencies = append(agencies, a)
		return nil
	}); err != nil {
		return nil, err
	}
	return agencies, eachOn(ctx, c, `SELECT agency, community, joined FROM account_community ORDER BY agency COLLATE "C", community COLLATE "C"`, nil, func(r pgx.Rows) error {
		var id, community string
		var joined int64
		err := r.Scan(&id, &community, &joined)
		i, ok := at[id]
		if err != nil || !ok {
			return err
		}
		a := &agencies[i]
		a.Communities = append(a.Communities, community)
		if joined != 0 {
			if a.Joined == nil {
				a.Joined = map[string]time.Time{}
			}
			a.Joined[community] = moment(joined)
		}
		return nil
	})
}

func readPeople(ctx context.Context, c querier) (people []store.Person, err error) {
	at := map[string]int{}
	if err := eachOn(ctx, c, `SELECT id, name, email, lang, theme, disabled, created FROM account_person ORDER BY id COLLATE "C"`, nil, func(r pgx.Rows) error {
		p := store.Person{Grants: []store.Grant{}, Clearances: []string{}}
		var created int64
		err := r.Scan(&p.ID, &p.Name, &p.Email, &p.Lang, &p.Theme, &p.Disabled, &created)
		p.Created = moment(created)
		at[p.ID] = len(people)
		people = append(people, p)
		return err
	}); err != nil {
		return nil, err
	}
	if err := eachOn(ctx, c, `SELECT person, agency, desk, role FROM account_grant ORDER BY person COLLATE "C", agency COLLATE "C", desk COLLATE "C", role COLLATE "C"`, nil, func(r pgx.Rows) error {
		var person, role string
		var g store.Grant
		err := r.Scan(&person, &g.Agency, &g.Desk, &role)
		g.Role = desk.Role(role)
		if i, ok := at[person]; ok {
			people[i].Grants = append(people[i].Grants, g)
		}
		return err
	}); err != nil {
		return nil, err
	}
	return people, eachOn(ctx, c, `SELECT person, caveat FROM account_clearance ORDER BY person COLLATE "C", caveat COLLATE "C"`, nil, func(r pgx.Rows) error {
		var person, caveat string
		err := r.Scan(&person, &caveat)
		if i, ok := at[person]; ok {
			people[i].Clearances = append(people[i].Clearances, caveat)
		}
		return err
	})
}

// PersonStates returns what the directory does not hold, by person.
func (db *DB) PersonStates(ctx context.Context) (map[string]store.PersonState, error) {
	out := map[string]store.PersonState{}
	err := db.each(ctx, `SELECT person, max(seen), max(passkeys), bool_or(password) FROM (
			SELECT person, seen, 0 AS passkeys, false AS password FROM account_session
			UNION ALL SELECT person, 0, count(*), false FROM account_passkey GROUP BY person
			UNION ALL SELECT person, 0, 0, true FROM account_password) AS known GROUP BY person`, nil, func(r pgx.Rows) error {
		var person string
		var seen int64
		var s store.PersonState
		err := r.Scan(&person, &seen, &s.Passkeys, &s.Password)
		s.LastSeen = moment(seen)
		out[person] = s
		return err
	})
	return out, err
}

// change runs one writing statement.
func (db *DB) change(ctx context.Context, q string, args ...any) error {
	return db.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, q, storable(args)...)
		return err
	})
}

// Preferences returns a person's language and theme.
func (db *DB) Preferences(ctx context.Context, person string) (lang, theme string, err error) {
	v, err := get(ctx, db, "person", "SELECT lang, theme FROM account_person WHERE id = $1", func(r pgx.Row) (v [2]string, err error) {
		err = r.Scan(&v[0], &v[1])
		return v, err
	}, person)
	return v[0], v[1], err
}

// SetPreferences sets a person's language and theme.
func (db *DB) SetPreferences(ctx context.Context, person, lang, theme string) error {
	return db.change(ctx, "UPDATE account_person SET lang = $1, theme = $2 WHERE id = $3", lang, theme, person)
}

// one says NotFound of what a row is not there for.
func one(what string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return record.Errorf(record.NotFound, "store."+what, "there is no such %s", what)
	}
	return err
}

// get reads one row and says NotFound when there is none.
func get[T any](ctx context.Context, db *DB, what, q string, scan func(pgx.Row) (T, error), args ...any) (T, error) {
	v, err := scan(db.pool.QueryRow(ctx, q, storable(args)...))
	return v, db.fault("read", one(what, err))
}

// list reads rows.
func list[T any](ctx context.Context, db *DB, q string, scan func(pgx.Row) (T, error), args ...any) (out []T, err error) {
	err = db.each(ctx, q, storable(args), func(r pgx.Rows) error {
		v, err := scan(r)
		out = append(out, v)
		return err
	})
	return out, err
}

// scanOne reads the one column of a row.
func scanOne[T any](r pgx.Row) (v T, err error) {
	err = r.Scan(&v)
	return v, err
}

// Password returns the PHC string of a person.
func (db *DB) Password(ctx context.Context, person string) (hash string, err error) {
	return get(ctx, db, "password", "SELECT hash FROM account_password WHERE person = $1", scanOne[string], person)
}

const passkeyColumns = "SELECT id, person, name, data, created, used FROM account_passkey "

func scanPasskey(r pgx.Row) (p store.Passkey, err error) {
	var created, used int64
	err = r.Scan(&p.ID, &p.Person, &p.Name, &p.Data, &created, &used)
	p.ID, p.Data, p.Created, p.Used = some(p.ID), some(p.Data), moment(created), moment(used)
	return p, err
}

// Passkey returns the passkey with the identifier.
func (db *DB) Passkey(ctx context.Context, id []byte) (store.Passkey, error) {
	return get(ctx, db, "passkey", passkeyColumns+"WHERE id = $1", scanPasskey, id)
}

// Passkeys returns those of a person, oldest first.
func (db *DB) Passkeys(ctx context.Context, person string) ([]store.Passkey, error) {
	return list(ctx, db, passkeyColumns+"WHERE person = $1 ORDER BY created, id", scanPasskey, person)
}

const identityColumns = "SELECT provider, subject, person, created FROM account_identity "

func scanIdentity(r pgx.Row) (i store.Identity, err error) {
	var created int64
	err = r.Scan(&i.Provider, &i.Subject, &i.Person, &created)
	i.Created = moment(created)
	return i, err
}

// Identity returns the link of a subject.
func (db *DB) Identity(ctx context.Context, provider, subject string) (store.Identity, error) {
	return get(ctx, db, "identity", identityColumns+"WHERE provider = $1 AND subject = $2", scanIdentity, provider, subject)
}

// Identities returns the links of a person, or all.
func (db *DB) Identities(ctx context.Context, person string) ([]store.Identity, error) {
	return list(ctx, db, identityColumns+`WHERE $1 = '' OR person = $1 ORDER BY provider COLLATE "C", subject COLLATE "C"`, scanIdentity, person)
}

const sessionColumns = "SELECT hash, id, person, agency, lang, purpose, purpose_until, method, address, agent, created, seen FROM account_session "

func scanSession(r pgx.Row) (s store.Session, err error) {
	var hash []byte
	var words string
	var until, created, seen int64
	err = r.Scan(&hash, &s.ID, &s.Person, &s.Agency, &s.Lang, &words, &until, &s.Method, &s.Address, &s.Agent, &created, &seen)
	copy(s.Hash[:], hash)
	s.Created, s.Seen = moment(created), moment(seen)
	if words != "" {
		s.Purpose = &store.Purpose{Words: words, Until: moment(until)}
	}
	return s, err
}

// Session returns the session with the hash, expired or not.
func (db *DB) Session(ctx context.Context, hash [32]byte) (store.Session, error) {
	return get(ctx, db, "session", sessionColumns+"WHERE hash = $1", scanSession, hash[:])
}

// Sessions returns those of a person, newest first.
func (db *DB) Sessions(ctx context.Context, person string) ([]store.Session, error) {
	return list(ctx, db, sessionColumns+`WHERE person = $1 ORDER BY created DESC, id COLLATE "C"`, scanSession, person)
}

// SetHat writes hat and language of a session.
func (db *DB) SetHat(ctx context.Context, hash [32]byte, agency, lang string) error {
	return db.change(ctx, "UPDATE account_session SET agency = $1, lang = $2 WHERE hash = $3", agency, lang, hash[:])
}

const tokenColumns = "SELECT hash, id, name, person, scopes, created, expires, last_used FROM account_token "

func scanToken(r pgx.Row) (t store.Token, err error) {
	var hash []byte
	var scopes string
	var created, expires, used int64
	err = r.Scan(&hash, &t.ID, &t.Name, &t.Person, &scopes, &created, &expires, &used)
	copy(t.Hash[:], hash)
	t.Scopes, t.Created, t.Expires, t.LastUsed = strings.Fields(scopes), moment(created), moment(expires), moment(used)
	return t, err
}

// Token returns the token with the hash, expired or not.
func (db *DB) Token(ctx context.Context, hash [32]byte) (store.Token, error) {
	return get(ctx, db, "token", tokenColumns+"WHERE hash = $1", scanToken, hash[:])
}

// TokenByID returns the token with the identifier.
func (db *DB) TokenByID(ctx context.Context, id string) (store.Token, error) {
	return get(ctx, db, "token", tokenColumns+"WHERE id = $1", scanToken, id)
}

// Tokens returns those of a person, or all, newest first.
func (db *DB) Tokens(ctx context.Context, person string) ([]store.Token, error) {
	return list(ctx, db, tokenColumns+`WHERE $1 = '' OR person = $1 ORDER BY created DESC, id COLLATE "C"`, scanToken, person)
}

// Code returns a one-time code, expired or not.
func (db *DB) Code(ctx context.Context, hash [32]byte) (store.Code, error) {
	return get(ctx, db, "code", "SELECT kind, person, created, expires FROM account_code WHERE hash = $1", func(r pgx.Row) (store.Code, error) {
		k := store.Code{Hash: hash}
		var created, expires int64
		err := r.Scan(&k.Kind, &k.Person, &created, &expires)
		k.Created, k.Expires = moment(created), moment(expires)
		return k, err
	}, hash[:])
}

// SetFirstRunCode replaces the code of the first start. Of processes that start
// together, the last one's counts.
func (db *DB) SetFirstRunCode(ctx context.Context, k store.Code) error {
	return db.write(ctx, func(tx pgx.Tx) error {
		var b pgx.Batch
		lock(&b, accessLock)
		putCode(&b, &k)
		return tx.SendBatch(ctx, &b).Close()
	})
}

// BeginCeremony stores the first half of a ceremony.
func (db *DB) BeginCeremony(ctx context.Context, y store.Ceremony) error {
	return db.change(ctx, "INSERT INTO account_ceremony(hash, kind, data, expires) VALUES($1, $2, $3, $4)", y.Hash[:], y.Kind, y.Data, stamp(y.Expires))
}

// FinishCeremony takes a ceremony away and returns it.
func (db *DB) FinishCeremony(ctx context.Context, hash [32]byte) (store.Ceremony, error) {
	y := store.Ceremony{Hash: hash}
	err := db.write(ctx, func(tx pgx.Tx) error {
		var expires int64
		err := tx.QueryRow(ctx, "DELETE FROM account_ceremony WHERE hash = $1 RETURNING kind, data, expires", hash[:]).Scan(&y.Kind, &y.Data, &expires)
		y.Data, y.Expires = some(y.Data), moment(expires)
		return one("ceremony", err)
	})
	if err != nil {
		return store.Ceremony{}, err
	}
	return y, nil
}

// Secret returns the random bytes kept under the name.
func (db *DB) Secret(ctx context.Context, name string) ([]byte, error) {
	read := func() ([]byte, error) {
		return get(ctx, db, "secret", "SELECT value FROM account_secret WHERE name = $1", scanOne[[]byte], name)
	}
	b, err := read()
	if record.CodeOf(err) != record.NotFound {
		return b, err
	}
	fresh := make([]byte, 32)
	rand.Read(fresh)
	if err := db.change(ctx, "INSERT INTO account_secret(name, value) VALUES($1, $2) ON CONFLICT DO NOTHING", name, fresh); err != nil {
		return nil, err
	}
	return read()
}

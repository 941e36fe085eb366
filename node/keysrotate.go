package node

import (
	"crypto/ed25519"
	"time"

	"filippo.io/age"

	"konbit/peer/trust"
	"konbit/record"
)

const (
	keptLinks = 8 // replaced link keys that are remembered
	keptSeals = 8 // seal keys that still open what was under way
)

// RotateSign makes a new link key. What the old one signs counts for overlap
// longer; with 0 it was stolen, and counts no more. In both cases it signs cards
// along with the new one for trust.Overlap, so that nodes that were away can follow.
func (k *Keys) RotateSign(overlap time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	f, err := k.link.next(now.Add(overlap), now.Add(trust.Overlap))
	if err != nil {
		return err
	}
	if len(f.old) > keptLinks {
		f.old = f.old[:keptLinks]
	}
	for i := range f.old {
		if o := &f.old[i]; !now.Before(o.signs) {
			o.key, o.signs = nil, time.Time{}
		}
	}
	if err := k.vault.write(linkKey, f.bytes()); err != nil {
		return err
	}
	k.link = f
	return nil
}

// RotateSeal makes a new seal key. The old ones still open what was sealed to them.
func (k *Keys) RotateSeal() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.makeSeal()
}

func (k *Keys) makeSeal() error {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	seals := append([]*age.X25519Identity{id}, k.seals...)
	if len(seals) > keptSeals {
		seals = seals[:keptSeals]
	}
	if err := k.vault.write(sealKey, formatSeals(seals)); err != nil {
		return err
	}
	k.seals = seals
	return nil
}

// RotateAgency makes a new key for an agency and returns its public half; records
// are signed with it from then on. What the old one signed before until counts.
// until is never before the moment of the change, because until then records are
// signed with the old key; whoever is signing waits meanwhile. The caller writes
// the new key into the directory.
func (k *Keys) RotateAgency(agency string, until time.Time) (ed25519.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.agency[agency]
	if f == nil {
		return nil, record.Errorf(record.NotFound, "agency.rotate", "this node has no key of %.80q", agency)
	}
	if len(f.old) >= trust.MaxOldKeys {
		return nil, record.Errorf(record.TooMany, "agency.rotate", "the key of %s was replaced %d times, and all of them have to be told to others", agency, len(f.old))
	}
	if now := k.now(); until.Before(now) {
		until = now
	}
	next, err := f.next(until, time.Time{})
	if err != nil {
		return nil, err
	}
	if err := k.vault.write(agency+".key", next.bytes()); err != nil {
		return nil, err
	}
	k.agency[agency] = next
	return next.public(), nil
}

package node

import "context"

// LockKeysWeakly is LockKeys with a passphrase that is fast to try.
func LockKeysWeakly(ctx context.Context, data string, have, want Unlock) error {
	return lockKeys(ctx, data, "", have, want, 10)
}

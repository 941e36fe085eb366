//go:build !linux

package bench

import "errors"

func newTunnel(shape) (hose, error) { return nil, errors.New("they need Linux") }

package answer_test

import (
	"testing"

	"konbit/desks/answer"
	"konbit/desktest"
)

func TestDesk(t *testing.T) { desktest.Run(t, answer.New()) }

func FuzzDecode(f *testing.F) { desktest.Fuzz(f, answer.New()) }

package move

// Small makes a copy write few rows at a time, so that a small store takes many steps.
func (c Copy) Small() Copy { c.chunk = 100; return c }

package feed

// Keep sets how many events are at hand. It must be called before Run.
func (h *Hub) Keep(n int) { h.keep = n }

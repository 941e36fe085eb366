package cap

import (
	"strings"
	"unicode"
)

// Spoken is the alert as it is read out on the radio or on the telephone: that it
// is a test when it is one, the headline, where, what has happened, what to do,
// until when, and who says so. Addresses of pages are left out, and headings
// between dots become sentences. lang is matched as in Short.
func Spoken(a *Alert, lang string) string {
	i := infoIn(a, lang)
	if i == nil {
		return ""
	}
	w := wordsFor(i.lang())
	var said []string
	say := func(before, s string) {
		if s = w.aloud(s); s == "" {
			return
		}
		if before != "" {
			s = before + " " + s
		}
		said = append(said, sentence(s))
	}
	if s := w.warning(a); s != "" {
		say("", s)
	}
	head := i.Headline
	if oneLine(head) == "" {
		head = i.Event
	}
	say("", head)
	say(w.area+":", areaNames(i))
	say("", i.Description)
	say("", i.Instruction)
	if !i.Expires.IsZero() {
		say(w.until, w.time(i.Expires))
	}
	say(w.from, i.SenderName)
	return strings.Join(said, " ")
}

// aloud takes out what cannot be read aloud.
func (w words) aloud(s string) string {
	var out []string
	for _, word := range strings.Fields(s) {
		lower := strings.ToLower(word)
		switch {
		case strings.Contains(lower, "://"), strings.HasPrefix(lower, "www."):
			continue
		case word == "&":
			word = w.and
		}
		word = strings.TrimLeft(word, "*.")
		// Weather services write ...HEADINGS... and put dots between parts.
		if ended := strings.HasSuffix(word, "..."); strings.Contains(word, "...") {
			var parts []string
			for _, part := range strings.Split(word, "...") {
				if part = strings.Trim(part, "."); part != "" {
					parts = append(parts, part)
				}
			}
			word = strings.Join(parts, ". ")
			if ended {
				word += "."
			}
		}
		if strings.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			out = append(out, word)
		}
	}
	return strings.Join(out, " ")
}

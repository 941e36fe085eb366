package cap

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths of messages on telephones, in characters.
const (
	WEA     = 90  // Wireless Emergency Alerts, first generation
	SMS     = 160 // one short message in GSM 03.38; see package gsm
	LongWEA = 360 // Wireless Emergency Alerts 3.0
)

// Short is the alert in at most n characters: the headline, else the event and
// where it is, then what to do, then what has happened, as much as fits. Texts are
// cut between words, and "..." says so. A test, an exercise and a cancellation
// say so first. lang is matched with the languages of the alert; the first info is
// taken when none fits.
func Short(a *Alert, lang string, n int) string {
	i := infoIn(a, lang)
	if i == nil {
		return ""
	}
	w := wordsFor(i.lang())
	out := ""
	if s := w.warning(a); s != "" {
		out = s + ": "
	}
	out += cut(heading(i), n-utf8.RuneCountInString(out))
	for _, s := range []string{i.Instruction, i.Description} {
		s = oneLine(s)
		if s == "" || strings.Contains(out, s) {
			continue
		}
		before := sentence(out) + " "
		room := n - utf8.RuneCountInString(before)
		if utf8.RuneCountInString(s) > room {
			// A few words that say nothing are worse than none.
			if room >= 30 {
				out = before + cut(s, room)
			}
			break
		}
		out = before + s
	}
	return cut(strings.TrimSpace(out), n)
}

// heading is what the alert is called.
func heading(i *Info) string {
	if s := oneLine(i.Headline); s != "" {
		return s
	}
	if where := areaNames(i); where != "" {
		return oneLine(i.Event) + ": " + where
	}
	return oneLine(i.Event)
}

func areaNames(i *Info) string {
	var names []string
	for k := range i.Area {
		if s := oneLine(i.Area[k].AreaDesc); s != "" {
			names = append(names, s)
		}
	}
	return strings.Join(names, ", ")
}

// infoIn returns the info in a language: the same, else the same but for the
// country, else the first. nil when there is none.
func infoIn(a *Alert, lang string) *Info {
	base := func(s string) string {
		s, _, _ = strings.Cut(strings.ToLower(s), "-")
		return s
	}
	for k := range a.Info {
		if strings.EqualFold(a.Info[k].lang(), lang) {
			return &a.Info[k]
		}
	}
	for k := range a.Info {
		if base(a.Info[k].lang()) == base(lang) {
			return &a.Info[k]
		}
	}
	if len(a.Info) == 0 {
		return nil
	}
	return &a.Info[0]
}

// oneLine makes one blank of all blanks and line ends.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// sentence ends s like a sentence.
func sentence(s string) string {
	s = strings.TrimRight(s, " ")
	if r, _ := utf8.DecodeLastRuneInString(s); s == "" || strings.ContainsRune(".!?:;", r) {
		return s
	}
	return strings.TrimRight(s, ",-") + "."
}

const ellipsis = "..."

// cut shortens s to n characters, between words when there is a blank to cut at.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	if n <= len(ellipsis) {
		return ellipsis[:max(n, 0)]
	}
	letters := []rune(s)
	end := n - len(ellipsis)
	for at := end; at > end/2; at-- {
		if unicode.IsSpace(letters[at]) {
			end = at
			break
		}
	}
	// Not between a letter and its accent.
	for end > 0 && unicode.Is(unicode.Mn, letters[end]) {
		end--
	}
	return strings.TrimRight(string(letters[:end]), " ,;:-.") + ellipsis
}

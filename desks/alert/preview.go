package alert

import (
	"konbit/record"
	"konbit/wire/cap"
	"konbit/wire/gsm"
)

// Preview is how people get an alert in one language.
type Preview struct {
	Short  []Short `json:"short"` // at 90, 160 and 360 characters
	Spoken string  `json:"spoken" doc:"As it is read out on the radio or on the telephone"`
}

// Short is an alert on a telephone.
type Short struct {
	Max   int      `json:"max" doc:"Characters that there is room for"`
	Text  string   `json:"text"`
	Size  gsm.Size `json:"size" doc:"As a short message"`
	Plain string   `json:"plain,omitempty" doc:"The spelling in the letters of GSM 03.38, where the text has others"`
}

// Previews shows the next message of an alert in a language, in the first that it has where
// it has not this one.
func Previews(b *Alert, r *record.Record, lang string) Preview {
	m := Message(b, r)
	p := Preview{Spoken: cap.Spoken(m, lang)}
	for _, n := range []int{cap.WEA, cap.SMS, cap.LongWEA} {
		s := Short{Max: n, Text: cap.Short(m, lang, n)}
		if s.Size = gsm.Measure(s.Text); len(s.Size.Forcing) > 0 {
			s.Plain = gsm.Plain(s.Text)
		}
		p.Short = append(p.Short, s)
	}
	return p
}

// Package gsm measures texts that go out as short messages: in how many they are
// sent, which letter makes them longer, and how they are spelled without it
// (3GPP TS 23.038 for the alphabet, 23.040 §9.2.3.24.1 for long messages).
//
// It knows the default alphabet with its extension table and UCS-2, and none of
// the national tables, which few telephones have.
package gsm

import "unicode/utf16"

// Encoding is how the letters of a message are sent.
type Encoding string

// The encodings.
const (
	Seven Encoding = "gsm7" // 7 bits a letter, the default alphabet
	UCS2  Encoding = "ucs2" // 16 bits a letter
)

// What one message holds, in septets or in units of 16 bits: alone, and as a part
// of a longer one.
const (
	SevenAlone, SevenPart = 160, 153
	UCS2Alone, UCS2Part   = 70, 67
)

// Size is how long a text is as a short message.
type Size struct {
	Encoding Encoding `json:"encoding" enum:"gsm7,ucs2"`
	Units    int      `json:"units" doc:"Septets, or units of 16 bits"`
	Parts    int      `json:"parts" doc:"Messages that it is sent in; 0 for no text"`
	Room     int      `json:"room" doc:"Units that are left in the last message"`
	Forcing  []Letter `json:"forcing,omitempty" doc:"Letters that the default alphabet does not have, and that make it UCS-2"`
}

// Letter is one letter of a text.
type Letter struct {
	At     int    `json:"at" doc:"Its place in the text, in characters (code points) from 0"`
	Letter string `json:"letter"`
}

// Measure returns the size of a text. What is not UTF-8 counts as U+FFFD.
func Measure(text string) Size {
	s := Size{Encoding: Seven}
	at := 0
	for _, r := range text {
		if septets(r) == 0 {
			s.Encoding = UCS2
			s.Forcing = append(s.Forcing, Letter{at, string(r)})
		}
		at++
	}
	units, alone, part := septets, SevenAlone, SevenPart
	if s.Encoding == UCS2 {
		units, alone, part = utf16.RuneLen, UCS2Alone, UCS2Part
	}
	for _, r := range text {
		s.Units += units(r)
	}
	if s.Units <= alone {
		s.Parts, s.Room = min(s.Units, 1), alone-s.Units
		return s
	}
	// What takes two units is not torn apart at the end of a part.
	s.Parts = 1
	used := 0
	for _, r := range text {
		n := units(r)
		if used+n > part {
			s.Parts++
			used = 0
		}
		used += n
	}
	s.Room = part - used
	return s
}

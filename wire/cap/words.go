package cap

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// words are what stands around the texts of an alert, in one language. What Short
// uses, the first line, is spelled with the letters of GSM 03.38.
type words struct {
	test, exercise, cancelled string
	area, until, from         string // before the name of the area, the end, the sender
	and                       string
	months                    [12]string
	first                     string // the first day of a month
	date                      string // day %[1]s, month %[2]s, hour %[3]d, minute %02[4]d
}

var wordsOf = map[string]words{
	"en": {"Test", "Exercise", "Cancelled", "Area", "Valid until", "Issued by", "and",
		[12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}, "1",
		"%[1]s %[2]s, %[3]d:%02[4]d"},
	"fr": {"Test", "Exercice", "Annulation", "Zone", "Valable jusqu'au", "Message de", "et",
		[12]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"}, "1er",
		"%[1]s %[2]s à %[3]d h %02[4]d"},
	"es": {"Prueba", "Ejercicio", "Cancelada", "Zona", "Vigente hasta el", "Mensaje de", "y",
		[12]string{"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"}, "1",
		"%[1]s de %[2]s a las %[3]d:%02[4]d"},
	"ht": {"Tès", "Egzèsis", "Anile", "Zòn", "Bon jiska", "Mesaj sa a soti nan", "ak",
		[12]string{"janvye", "fevriye", "mas", "avril", "me", "jen", "jiyè", "out", "septanm", "oktòb", "novanm", "desanm"}, "premye",
		"%[1]s %[2]s a %[3]dè %02[4]d"},
}

// wordsFor returns the words of a language, English when there are none.
func wordsFor(lang string) words {
	base, _, _ := strings.Cut(strings.ToLower(lang), "-")
	if base == "hat" {
		base = "ht"
	}
	if w, ok := wordsOf[base]; ok {
		return w
	}
	return wordsOf["en"]
}

// time is how a time is said, by the clock of its own offset.
func (w words) time(t time.Time) string {
	day := w.first
	if t.Day() > 1 {
		day = strconv.Itoa(t.Day())
	}
	return fmt.Sprintf(w.date, day, w.months[t.Month()-1], t.Hour(), t.Minute())
}

// warning is what has to be said before anything else: that it is not meant, or
// that it is over.
func (w words) warning(a *Alert) string {
	switch {
	case a.Status == "Test" || a.Status == "System" || a.Status == "Draft":
		return w.test
	case a.Status == "Exercise":
		return w.exercise
	case a.MsgType == "Cancel":
		return w.cancelled
	}
	return ""
}

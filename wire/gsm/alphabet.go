package gsm

import "strings"

// basic is the default alphabet, in the order of its codes (TS 23.038 §6.2.1). The
// place of the escape is taken by NUL, which it does not have.
const basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x00ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
	"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"

// extension is its extension table (§6.2.1.1): two septets each.
const extension = "\f^{}\\[~]|€"

// septets is how many septets a letter takes, 0 when the alphabet does not have it.
func septets(r rune) int {
	switch {
	case r == 0:
		return 0
	case strings.ContainsRune(basic, r):
		return 1
	case strings.ContainsRune(extension, r):
		return 2
	}
	return 0
}

package cap

import "konbit/record"

// Limits bound what a document may ask for. A field that is zero or less has the
// value of DefaultLimits.
type Limits struct {
	Bytes    int // of the document as it came
	Elements int // elements, comments, instructions and CDATA sections
	Depth    int // elements within elements
	Faults   int // that are listed
}

// DefaultLimits holds an alert with photographs in it, and a feed of a country.
func DefaultLimits() Limits {
	return Limits{Bytes: 8 << 20, Elements: 200_000, Depth: 32, Faults: 50}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.Bytes <= 0 {
		l.Bytes = d.Bytes
	}
	if l.Elements <= 0 {
		l.Elements = d.Elements
	}
	if l.Depth <= 0 {
		l.Depth = d.Depth
	}
	if l.Faults <= 0 {
		l.Faults = d.Faults
	}
	return l
}

// Limits that nobody needs to set. A namespace is told again and again in
// canonical form, and with every alert that is taken out of a feed.
const (
	maxAttributes   = 64   // of one element, namespaces and all
	maxDeclarations = 128  // namespaces that are in force at one place
	maxNamespace    = 1024 // bytes of its name
)

// Codes of documents that are refused before their elements are looked at. They
// stand in the Code of the only field of the error, whose Path is the element
// that was being read.
const (
	codeSyntax   = "xml-syntax"   // it is not well-formed
	codeDoctype  = "xml-doctype"  // it has a document type
	codeEntity   = "xml-entity"   // it uses an entity that XML does not have by itself
	codeCharset  = "xml-charset"  // its character set is not one that is read
	codeBytes    = "xml-bytes"    // it is too long
	codeElements = "xml-elements" // it has too many elements
	codeDepth    = "xml-depth"    // its elements are too deep
)

// refusal makes the error of a document that is not read any further.
func refusal(op, path, code, message string) *record.Error {
	kind := record.Invalid
	switch code {
	case codeBytes, codeElements, codeDepth:
		kind = record.TooLarge
	}
	return &record.Error{Code: kind, Op: op, Message: "the document is refused", Fields: record.Fields{{Path: path, Code: code, Message: message}}}
}

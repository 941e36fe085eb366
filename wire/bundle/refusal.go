package bundle

import "konbit/record"

// reason names why a bundle is refused. The operation of the error is "bundle."
// and the name.
type reason struct {
	name string
	code record.Code
}

var (
	truncated     = reason{"truncated", record.Invalid}     // it ends before its end
	oversized     = reason{"oversized", record.TooLarge}    // it says that it is longer than is allowed
	forged        = reason{"forged", record.Denied}         // the signature is not the sender's, or the seal is another's
	unknownSender = reason{"unknown-sender", record.Denied} // no key of that name is known of that node
	altered       = reason{"altered", record.Invalid}       // the sealed part is not the one that was signed
	undecryptable = reason{"undecryptable", record.Denied}  // it is sealed to somebody else, or badly
	bomb          = reason{"bomb", record.TooLarge}         // it unpacks to more than is allowed
	malformed     = reason{"malformed", record.Invalid}     // it breaks the format
	version       = reason{"version", record.Invalid}       // the format is of another version
)

func refuse(why reason, format string, args ...any) error {
	return record.Errorf(why.code, "bundle."+why.name, "the bundle is refused: "+format, args...)
}

// because adds the cause for the log.
func because(err error, why reason, format string, args ...any) error {
	e := record.Errorf(why.code, "bundle."+why.name, "the bundle is refused: "+format, args...)
	e.Err = err
	return e
}

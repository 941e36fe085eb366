// Package mappings holds the mapping files that come with the program: how the
// columns of a known file become the fields of a kind. Package transfer reads
// the language; this package must hold nothing but the files.
package mappings

import "embed"

// Files holds NAME.yaml for each known file.
//
//go:embed *.yaml
var Files embed.FS

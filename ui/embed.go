// Package ui holds the built console: the files that the node serves to
// browsers. It contains no logic; package web decides how they are served.
//
// The folder dist is made by `npm run build`. Without it only dist/.keep is
// embedded, and the node has no console.
package ui

import "embed"

// Dist holds the build under the folder "dist". Every text file lies beside its
// compressed forms (.br, .gz); names under dist/assets carry a hash of the
// content and may be cached for ever.
//
//go:embed all:dist
var Dist embed.FS

//go:build bundled

package programs

import _ "embed"

//go:embed bundled/darwin-arm64.tar.zst
var archive string

//go:embed bundled/darwin-arm64.sum
var sum string

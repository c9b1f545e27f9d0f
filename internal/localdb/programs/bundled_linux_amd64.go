//go:build bundled

package programs

import _ "embed"

//go:embed bundled/linux-amd64.tar.zst
var archive string

//go:embed bundled/linux-amd64.sum
var sum string

//go:build !bundled

package programs

// No archive is built in.
const archive, sum = "", ""

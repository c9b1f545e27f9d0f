package views

import (
	"time"

	"scratchpaper/internal/core"
)

// FactorView is the page of one's own second factor.
type FactorView struct {
	Needed        bool // the organization asks for it before anything else
	On            bool
	Since         time.Time
	Left          int      // recovery codes
	Email         string   // of the account
	Key           string   // of a phone that is being set up, as text; "" where none is
	Picture       QR       // the same for a camera
	Codes         []string // recovery codes, shown this once
	Current, Code Field
	Notice        *Notice
	Error         string // what belongs to no field
}

// Place puts each refusal at its field; what belongs to none stands on top.
func (v *FactorView) Place(e *core.Error) {
	if !placeAt(e, []*Field{&v.Current, &v.Code}) {
		v.Error = e.Sentence
	}
}

// QuietZone is how many modules around a QR code are empty, as its standard wants.
const QuietZone = 4

// QR is a QR code as a drawing: so many modules wide, and what is black.
type QR struct {
	Size int
	Path string
}

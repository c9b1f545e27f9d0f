package views

import "scratchpaper/internal/core"

// DoorForm is a page of somebody who has not signed in: one form on a sheet.
type DoorForm struct {
	Title, Sentence string
	Action          string // "" is no form
	Submit          string
	Fields          []Field
	Hidden          []Pair
	Links           []Link
	Notice          *Notice
	Error           string // what belongs to no field
	Code            bool   // the field "code" is filled in from behind the # of the address
	GoesOn          bool   // and the form is sent at once then
}

// Place puts each refusal at its field; what belongs to none stands on top.
func (f *DoorForm) Place(e *core.Error) {
	if !placeAt(e, pointers(f.Fields)) {
		f.Error = e.Sentence
	}
}

func pointers(fields []Field) []*Field {
	out := make([]*Field, len(fields))
	for i := range fields {
		out[i] = &fields[i]
	}
	return out
}

// placeAt puts refusals at their fields, and says whether each had one.
func placeAt(e *core.Error, fields []*Field) bool {
	placed := 0
	for _, bad := range e.Fields {
		for _, f := range fields {
			if bad.Pointer == "/"+f.Name {
				f.Error = bad.Detail
				placed++
			}
		}
	}
	return placed > 0 && placed == len(e.Fields)
}

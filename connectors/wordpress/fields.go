package wordpress

import (
	"maps"
	"slices"
	"strings"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// shape is how a value stands in the JSON of the REST interface.
type shape int

const (
	textShape    shape = iota
	numberShape        // a number
	boolShape          //
	idShape            // the number of a record; 0 is none
	idsShape           // numbers of records in no order
	timeShape          // a time of the site's zone, without it
	zonedShape         // a time with its zone
	jsonShape          // anything, kept as it is
	listShape          // texts in no order
	previewShape       // the address of an image, small where there is such
)

// field is a column with what is needed to read and to write it.
type field struct {
	connectors.Field
	path   []string // where it stands in a record: title, raw
	send   []string // where it stands in a write: title
	shape  shape
	large  bool // is left out of what versions are made of
	empty  bool // texts: null is not known there, only the empty text
	always bool // has to be in each write of its group, changed or not
}

// key is the name by which the site speaks of the field.
func (f *field) key() string { return f.send[0] }

// spec is what is known of a property by name; what is not known is read from the schema.
type spec struct {
	name   string
	kind   core.ColumnType
	shape  shape
	raw    bool   // the value stands in "raw"
	target string // of references
	format string
	large  bool
	whyNot string
}

// acfGroup is the object that Advanced Custom Fields and its descendants put their fields into.
const acfGroup = "acf"

const (
	madeHere = "WordPress makes this itself."
	inWP     = "This is changed in WordPress itself."
)

// specs are the properties that are taken, in the order of the columns. The name of a time gets the site's zone.
var specs = []struct {
	id string
	spec
}{
	{"title", spec{name: "Title", kind: core.Text, raw: true, large: true}},
	{"name", spec{name: "Name", kind: core.Text}},
	{"id", spec{name: "ID", kind: core.Number, shape: numberShape, whyNot: "WordPress numbers its records."}},
	{"username", spec{name: "User name", kind: core.Text, whyNot: "A user name cannot be changed."}},
	{"status", spec{name: "Status", kind: core.Choice}},
	{"date", spec{name: "Date", kind: core.LocalTime, shape: timeShape}},
	{"author", spec{name: "Author", kind: core.Reference, shape: idShape, target: usersID}},
	{"media_details", spec{name: "Preview", kind: core.Images, shape: previewShape, whyNot: "WordPress makes this of the file."}},
	{"source_url", spec{name: "File", kind: core.URL, whyNot: "Files are uploaded in WordPress itself."}},
	{"alt_text", spec{name: "Alternative text", kind: core.Text}},
	{"content", spec{name: "Content", kind: core.LongText, raw: true, format: core.FormatBlocks, large: true}},
	{"excerpt", spec{name: "Excerpt", kind: core.LongText, raw: true, format: core.FormatHTML, large: true}},
	{"caption", spec{name: "Caption", kind: core.LongText, raw: true, format: core.FormatHTML, large: true}},
	{"description", spec{name: "Description", kind: core.LongText, format: core.FormatHTML}},
	{"slug", spec{name: "Slug", kind: core.Text}},
	{"parent", spec{name: "Parent", kind: core.Reference, shape: idShape, target: "."}},
	{"featured_media", spec{name: "Featured image", kind: core.Reference, shape: idShape, target: typeKind + "/attachment"}},
	{"post", spec{name: "Attached to", kind: core.Number, shape: idShape}},
	{"menu_order", spec{name: "Order", kind: core.Number, shape: numberShape}},
	{"comment_status", spec{name: "Comments", kind: core.Choice}},
	{"ping_status", spec{name: "Pingbacks", kind: core.Choice}},
	{"format", spec{name: "Format", kind: core.Choice}},
	{"template", spec{name: "Template", kind: core.Text}},
	{"sticky", spec{name: "Sticky", kind: core.Checkbox, shape: boolShape}},
	{"first_name", spec{name: "First name", kind: core.Text}},
	{"last_name", spec{name: "Last name", kind: core.Text}},
	{"nickname", spec{name: "Nickname", kind: core.Text}},
	{"email", spec{name: "E-mail", kind: core.Email, whyNot: "An e-mail address is changed in WordPress itself, which asks the person."}},
	{"url", spec{name: "Website", kind: core.URL}},
	{"locale", spec{name: "Language", kind: core.Text, whyNot: inWP}},
	{"roles", spec{name: "Roles", kind: core.Choices, shape: listShape, whyNot: "Roles are changed in WordPress itself."}},
	{"registered_date", spec{name: "Registered", kind: core.DateTime, shape: zonedShape, whyNot: madeHere}},
	{"count", spec{name: "Posts", kind: core.Number, shape: numberShape, whyNot: "WordPress counts this."}},
	{"mime_type", spec{name: "Kind of file", kind: core.Text, whyNot: madeHere}},
	{"link", spec{name: "Address", kind: core.URL, large: true, whyNot: madeHere}},
	{"modified", spec{name: "Modified", kind: core.LocalTime, shape: timeShape, whyNot: "WordPress notes when a record was last saved."}},
}

// addFields makes the columns: the known properties, then references to terms, then registered meta and custom fields.
func (t *table) addFields(at *site, properties map[string]*property) {
	for _, known := range specs {
		p := properties[known.id]
		if p == nil {
			continue
		}
		t.add(t.known(at, known.id, known.spec, p))
	}
	if t.kind == typeKind {
		for _, slug := range at.types[t.slug].Taxonomies {
			t.addTerms(at, slug, properties)
		}
	}
	for _, group := range []string{"meta", acfGroup} {
		if p := properties[group]; p != nil {
			within := p.within()
			for _, key := range slices.Sorted(maps.Keys(within)) {
				t.addMeta(group, key, within[key])
			}
		}
	}
}

func (t *table) add(f *field) {
	if t.byID[f.ID] != nil {
		return
	}
	t.fields = append(t.fields, f)
	t.byID[f.ID] = f
}

func (t *table) known(at *site, id string, known spec, p *property) *field {
	f := &field{path: []string{id}, send: []string{id}, shape: known.shape, large: known.large}
	f.Field = connectors.Field{ID: id, Name: known.name, Type: known.kind, Writable: known.whyNot == "", WhyNot: known.whyNot}
	f.Options.RemoteType = strings.Trim(string(p.Type), `"`)
	if known.raw || id == "description" && p.is("object") { // a text of terms and users, an object of media
		f.path = append(f.path, "raw")
	}
	if known.shape == previewShape {
		f.path = append(f.path, "sizes", "thumbnail", "source_url")
	}
	f.Options.Format = known.format
	if id == "content" && t.slug == "wp_block" {
		f.Options.Format = core.FormatBlocks
	}
	switch known.kind {
	case core.Choice:
		f.Options.Choices = p.choices()
	case core.Reference:
		f.Options.Target = known.target
		if known.target == "." {
			f.Options.Target = t.ID
		}
	case core.LocalTime:
		f.Name += " (" + at.about.zone() + ")"
	case core.Number:
		whole := 0
		f.Options.Scale = &whole
	}
	f.Options.Key = id == "id"
	f.needs(id)
	if t.slug == "attachment" && id == "status" {
		f.Options.Choices, f.Writable, f.WhyNot = nil, false, "Files have the status of what they are attached to."
	}
	if p.ReadOnly && f.Writable {
		f.Writable, f.WhyNot = false, madeHere
	}
	return f
}

// needs says of a field what an empty one is.
func (f *field) needs(id string) {
	switch f.Type {
	case core.Reference:
		f.Options.Required = id == "author"
	case core.DateTime, core.Images, core.Choices:
	default:
		f.Options.Required, f.empty = true, f.shape == textShape
	}
	f.Options.HasDefault = f.Options.Required && id != "name"
}

// addTerms makes the column of a taxonomy's terms.
func (t *table) addTerms(at *site, slug string, properties map[string]*property) {
	x, ok := at.taxonomies[slug]
	if !ok {
		return
	}
	base := x.Base
	if base == "" {
		base = slug
	}
	if properties[base] == nil {
		return
	}
	t.add(&field{path: []string{base}, send: []string{base}, shape: idsShape,
		Field: connectors.Field{ID: base, Name: plain(x.Name), Type: core.References, Writable: true,
			Options: core.ColumnOptions{Target: taxonomyKind + "/" + slug, RemoteType: "terms"}}})
}

// addMeta makes the column of a registered meta key, or of a custom field.
func (t *table) addMeta(group, key string, p *property) {
	f := &field{path: []string{group, key}, send: []string{group, key}}
	f.Field = connectors.Field{ID: group + "." + key, Name: key, Type: core.JSON, Writable: true}
	f.shape, f.Options.RemoteType = jsonShape, strings.Trim(string(p.Type), `"`)
	choices := p.choices()
	whole := 0
	switch {
	case p.is("string") && choices != nil:
		f.Type, f.shape, f.Options.Choices = core.Choice, textShape, choices
	case p.is("array") || p.is("object"):
	case p.is("string"):
		f.Type, f.shape = textOf(p), textShape
	case p.is("boolean"):
		f.Type, f.shape = core.Checkbox, boolShape
	case p.is("integer"):
		f.Type, f.shape, f.Options.Scale = core.Number, numberShape, &whole
	case p.is("number"):
		f.Type, f.shape = core.Number, numberShape
	}
	if p.ReadOnly {
		f.Writable, f.WhyNot = false, "The site declares this as read-only."
	}
	f.always = group == acfGroup && string(p.Required) == "true"
	if !p.is("null") && (f.Type == core.Text || f.Type == core.LongText) {
		f.empty, f.Options.Required, f.Options.HasDefault = true, true, true
	}
	t.add(f)
}

// textOf gives the type of a text by the format that its schema declares.
func textOf(p *property) core.ColumnType {
	switch p.Format {
	case "uri":
		return core.URL
	case "email":
		return core.Email
	}
	return core.Text
}

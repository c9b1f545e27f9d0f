package wordpress

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"scratchpaper/connectors"
)

// The kinds of tables, which begin their ids.
const (
	typeKind     = "type"     // posts, pages, media and custom types
	taxonomyKind = "taxonomy" // categories, tags and custom ones
	usersID      = "users"
)

// hiddenTypes are no content, or have no numbers for ids.
var hiddenTypes = []string{"nav_menu_item", "wp_template", "wp_template_part", "wp_global_styles", "wp_navigation", "wp_font_family", "wp_font_face"}

// table is a table as the site describes it to this user.
type table struct {
	connectors.Table
	route    string   // as in "/wp/v2/posts"
	slug     string   // of the type or taxonomy
	kind     string   //
	statuses []string // of records that are there: all but the trash; nil where records have none
	context  string   // edit, or view where nobody needs a credential to see all
	batch    bool     // several writes go in one request
	trash    bool     // a delete can be taken back
	fields   []*field
	byID     map[string]*field
}

func (t *table) field(id string) *field { return t.byID[id] }

// restType is a post type or taxonomy as the REST interface lists it.
type restType struct {
	Name         string            `json:"name"`
	Slug         string            `json:"slug"`
	Base         string            `json:"rest_base"`
	Namespace    string            `json:"rest_namespace"`
	Hierarchical bool              `json:"hierarchical"`
	Taxonomies   []string          `json:"taxonomies"`
	Types        []string          `json:"types"`
	Capabilities map[string]string `json:"capabilities"`
}

func (t restType) namespace() string { return cmp.Or(t.Namespace, "wp/v2") }

func (t restType) route() string { return "/" + t.namespace() + "/" + cmp.Or(t.Base, t.Slug) }

// basic are the capabilities that people have, by those that WordPress' own taxonomies ask for.
var basic = map[string]string{
	"manage_post_tags": "manage_categories", "edit_categories": "manage_categories", "edit_post_tags": "manage_categories",
	"delete_categories": "manage_categories", "delete_post_tags": "manage_categories",
	"assign_categories": "edit_posts", "assign_post_tags": "edit_posts",
}

// lets says whether a person has what the type or taxonomy asks for.
func (t restType) lets(p *person, act string) bool {
	capability := cmp.Or(t.Capabilities[act], act)
	return p.may(cmp.Or(basic[capability], capability))
}

// property is a field in a schema of the REST interface.
type property struct {
	Description string            `json:"description"`
	Type        json.RawMessage   `json:"type"` // a name, or a list of such
	Format      string            `json:"format"`
	Enum        []json.RawMessage `json:"enum"`
	ReadOnly    bool              `json:"readonly"`
	Required    json.RawMessage   `json:"required"`
	Properties  json.RawMessage   `json:"properties"` // an object, [] when empty
	Items       *property         `json:"items"`
	MaxItems    json.RawMessage   `json:"maxItems"`
	Context     []string          `json:"context"`
}

// within gives the properties of an object.
func (p *property) within() map[string]*property {
	var m map[string]*property
	_ = json.Unmarshal(p.Properties, &m)
	return m
}

// is says whether one of the property's types has a name.
func (p *property) is(name string) bool {
	var one string
	if json.Unmarshal(p.Type, &one) == nil {
		return one == name
	}
	var list []string
	_ = json.Unmarshal(p.Type, &list)
	return slices.Contains(list, name)
}

// choices gives the texts that a property takes, or nil. A select of ACF lists them as those of a list that holds one.
func (p *property) choices() []string {
	var out []string
	if p.Enum == nil && p.Items != nil && string(p.MaxItems) == "1" {
		return p.Items.choices()
	}
	for _, raw := range p.Enum {
		if string(raw) == "null" {
			continue
		}
		var v string
		if json.Unmarshal(raw, &v) != nil {
			return nil
		}
		out = append(out, v)
	}
	return out
}

// help is what the index of a namespace says of a route when it is asked for help.
type help struct {
	Endpoints []struct {
		Methods    []string        `json:"methods"`
		AllowBatch json.RawMessage `json:"allow_batch"`
	} `json:"endpoints"`
	Schema struct {
		Properties map[string]*property `json:"properties"`
	} `json:"schema"`
}

func (h help) batch() bool {
	for _, e := range h.Endpoints {
		var allowed struct {
			V1 bool `json:"v1"`
		}
		if slices.Contains(e.Methods, http.MethodPost) && json.Unmarshal(e.AllowBatch, &allowed) == nil && allowed.V1 {
			return true
		}
	}
	return false
}

// site is what describing a table needs to know of the others.
type site struct {
	about      *about
	me         *person
	types      map[string]restType
	taxonomies map[string]restType
	routes     map[string]help
}

func (s *session) readSite(ctx context.Context) (*site, error) {
	me, err := s.me(ctx)
	if err != nil {
		return nil, s.explainRefusal(ctx, err)
	}
	s.mu.Lock()
	out := &site{me: me, about: s.about}
	s.mu.Unlock()
	if out.types, err = s.listed(ctx, "/wp/v2/types"); err != nil {
		return nil, err
	}
	if out.taxonomies, err = s.listed(ctx, "/wp/v2/taxonomies"); err != nil {
		return nil, err
	}
	return out, s.readHelp(ctx, out)
}

// readHelp reads the schemas of all tables: of each namespace in one request.
func (s *session) readHelp(ctx context.Context, at *site) error {
	members := map[string][]string{}
	for _, id := range at.ids() {
		x := at.described(id)
		for _, part := range []string{"schema", "endpoints"} {
			members[x.namespace()] = append(members[x.namespace()], "routes."+x.route()+"."+part)
		}
	}
	at.routes = map[string]help{}
	for namespace, list := range members {
		var index struct {
			Routes map[string]help `json:"routes"`
		}
		query := url.Values{"context": {"help"}, "_fields": {strings.Join(list, ",")}}
		if _, err := s.call(ctx, request{method: http.MethodGet, route: "/" + namespace, query: query}, &index); err != nil {
			return err
		}
		maps.Copy(at.routes, index.Routes)
	}
	return nil
}

// described gives what a table's id stands for.
func (at *site) described(id string) restType {
	kind, slug, _ := strings.Cut(id, "/")
	switch kind {
	case typeKind:
		return at.types[slug]
	case taxonomyKind:
		return at.taxonomies[slug]
	}
	return restType{Name: "Users", Slug: usersID, Base: usersID}
}

// listed reads the types or taxonomies that this user may edit.
func (s *session) listed(ctx context.Context, route string) (map[string]restType, error) {
	var raw json.RawMessage
	if _, err := s.call(ctx, request{method: http.MethodGet, route: route, query: edit("")}, &raw); err != nil {
		return nil, err
	}
	m := map[string]restType{}
	_ = json.Unmarshal(raw, &m) // [] when there are none
	return m, nil
}

// Tables lists what this user may edit: posts, pages and media, custom types, then taxonomies, then users.
func (s *session) Tables(ctx context.Context) ([]connectors.Table, error) {
	at, err := s.readSite(ctx)
	if err != nil {
		return nil, err
	}
	var tables []connectors.Table
	var gone error
	for _, id := range at.ids() {
		t, err := s.describe(at, id)
		var f *connectors.Fault
		if errors.As(err, &f) && f.Kind == connectors.Gone {
			gone = err // a plug-in was switched on or off between two of our questions: the others are there
			continue
		}
		if err != nil {
			return nil, err
		}
		tables = append(tables, t.Table)
	}
	if tables == nil && gone != nil {
		return nil, &connectors.Fault{Kind: connectors.Broken, Words: s.words("The site describes none of its types.")}
	}
	return tables, nil
}

// ids gives the ids of the site's tables in the order of the gallery.
func (at *site) ids() []string {
	order := []string{"post", "page", "attachment"}
	rank := func(slug string) int {
		if i := slices.Index(order, slug); i >= 0 {
			return i
		}
		return len(order)
	}
	var types, taxonomies []string
	for slug := range at.types {
		if !slices.Contains(hiddenTypes, slug) {
			types = append(types, slug)
		}
	}
	for slug, x := range at.taxonomies {
		if slices.ContainsFunc(x.Types, func(of string) bool { return slices.Contains(types, of) }) {
			taxonomies = append(taxonomies, slug)
		}
	}
	byName := func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) }
	slices.SortFunc(types, byName)
	slices.SortFunc(taxonomies, byName)
	var ids []string
	for _, slug := range types {
		ids = append(ids, typeKind+"/"+slug)
	}
	for _, slug := range taxonomies {
		ids = append(ids, taxonomyKind+"/"+slug)
	}
	return append(ids, usersID)
}

// Table describes a table as it is now.
func (s *session) Table(ctx context.Context, id string) (connectors.Table, error) {
	at, err := s.readSite(ctx)
	if err != nil {
		return connectors.Table{}, err
	}
	if !slices.Contains(at.ids(), id) {
		return connectors.Table{}, goneTable(id)
	}
	t, err := s.describe(at, id)
	if err != nil {
		return connectors.Table{}, err
	}
	return t.Table, nil
}

func goneTable(id string) error {
	_, slug, _ := strings.Cut(id, "/")
	return &connectors.Fault{Kind: connectors.Gone, Unsent: true,
		Words: "The site has no " + cmp.Or(slug, id) + " any more that this user may edit: a plug-in may have been switched off, or the user's role changed."}
}

// table gives a table as it was described not long ago.
func (s *session) table(ctx context.Context, id string) (*table, error) {
	s.mu.Lock()
	d, ok := s.described[id]
	s.mu.Unlock()
	if ok && time.Now().Before(d.until) {
		return d.table, nil
	}
	if _, err := s.Table(ctx, id); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.described[id].table, nil
}

func (s *session) describe(at *site, id string) (*table, error) {
	kind, slug, _ := strings.Cut(id, "/")
	x := at.described(id)
	h, there := at.routes[x.route()]
	if !there {
		return nil, goneTable(id)
	}
	if h.Schema.Properties == nil {
		return nil, &connectors.Fault{Kind: connectors.Broken, Words: s.words("The site does not describe " + plain(x.Name) + ".")}
	}
	t := &table{kind: kind, slug: slug, route: x.route(), context: "edit", batch: h.batch(), byID: map[string]*field{}}
	t.ID, t.Name, t.Key, t.Estimate = id, plain(x.Name), []string{"id"}, -1
	t.addFields(at, h.Schema.Properties)
	switch kind {
	case typeKind:
		t.describeType(s, at.me, x, h)
	case taxonomyKind:
		t.describeTaxonomy(s, at.me, x)
	default:
		t.describeUsers(at.me)
	}
	for _, f := range t.fields {
		if !t.Writable && f.Writable {
			f.Writable, f.WhyNot = false, t.WhyNot
		}
		t.Columns = append(t.Columns, f.Field)
	}
	s.mu.Lock()
	s.described[id] = described{t, time.Now().Add(describedFor)}
	s.mu.Unlock()
	return t, nil
}

func (t *table) describeType(s *session, me *person, x restType, h help) {
	t.Readable, t.Writable, t.Versioned = true, true, true
	t.trash = t.slug != "attachment"
	if status := h.Schema.Properties["status"]; status != nil {
		t.statuses = status.choices()
	}
	if t.slug == "attachment" {
		t.statuses = []string{"inherit", "private"} // the schema lists those of posts
	}
	switch {
	case t.slug == "attachment":
		t.WhyNoNew = "Files are uploaded in WordPress itself."
	case !x.lets(me, "create_posts"):
		t.WhyNoNew = "This user may not create " + t.Name + "."
	default:
		t.Creatable = true
	}
	switch {
	case !x.lets(me, "delete_posts") && !x.lets(me, "delete_published_posts"): // some types know the latter only
		t.WhyNoDel = "This user may not delete " + t.Name + "."
	case !t.trash && s.onlyTrash():
		t.WhyNoDel = noTrash(t.Name)
	default:
		t.Deletable = true
	}
	switch {
	case t.Deletable && t.trash && s.deletes != goneAlways:
		t.Effects = []string{"They go to the trash of WordPress, which empties itself after 30 days. Their comments are hidden with them, and stay hidden when a revert brings the records back."}
	case t.Deletable:
		t.Effects = []string{"They are deleted for good, with their comments and revisions; a revert cannot bring them back."}
	}
}

func (s *session) onlyTrash() bool { return s.deletes == "" || s.deletes == trashOnly }

func noTrash(name string) string {
	return name + " have no trash, and this connection deletes nothing for good."
}

func (t *table) describeTaxonomy(s *session, me *person, x restType) {
	t.Readable, t.Writable = true, x.lets(me, "edit_terms")
	if t.Creatable = t.Writable || !x.Hierarchical && x.lets(me, "assign_terms"); !t.Creatable {
		t.WhyNoNew = "This user may not create " + t.Name + "."
	}
	if !t.Writable {
		t.context = "view" // all terms are public
		t.WhyNot = "This user may use " + t.Name + ", and not change them."
	}
	switch {
	case !x.lets(me, "delete_terms"):
		t.WhyNoDel = "This user may not delete " + t.Name + "."
	case s.onlyTrash():
		t.WhyNoDel = noTrash(t.Name)
	default:
		t.Deletable = true
		t.Effects = []string{"They are deleted for good; posts lose them, and a revert cannot give them back."}
	}
}

func (t *table) describeUsers(me *person) {
	t.WhyNoNew = "New people are added in WordPress itself, which sends them a message."
	t.WhyNoDel = "People are deleted in WordPress itself, which asks who gets their posts."
	switch {
	case !me.may("list_users"):
		t.WhyNot = "This user may not list the people of the site; administrators may."
	case !me.may("edit_users"):
		t.Readable, t.WhyNot = true, "This user may not change other people's accounts."
	default:
		t.Readable, t.Writable = true, true
	}
}

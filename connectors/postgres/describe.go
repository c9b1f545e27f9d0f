package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"scratchpaper/connectors"
	"scratchpaper/internal/core"
)

// relation describes a table, from memory when that is fresh. Gone when it is not there.
func (s *session) relation(ctx context.Context, id string) (*relation, error) {
	s.mu.Lock()
	d, ok := s.described[id]
	s.mu.Unlock()
	if ok && time.Now().Before(d.until) {
		return d.relation, nil
	}
	schema, name, ok := splitID(id)
	if !ok {
		return nil, gone(id)
	}
	found, err := s.describe(ctx, &schema, &name)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, gone(id)
	}
	return found[0], nil
}

func gone(id string) *connectors.Fault {
	return &connectors.Fault{Kind: connectors.Gone, Words: "The table " + id + " is not there any more."}
}

func (s *session) describeAll(ctx context.Context) ([]*relation, error) {
	return s.describe(ctx, nil, nil)
}

func (s *session) describe(ctx context.Context, schema, name *string) ([]*relation, error) {
	var found []*relation
	err := s.reading(ctx, func(ctx context.Context, tx *transaction) error {
		c, err := readCatalog(ctx, tx, schema, name)
		if err != nil {
			return err
		}
		for _, cr := range c.relations {
			r, err := c.relation(ctx, tx, cr)
			if err != nil {
				return err
			}
			found = append(found, r)
		}
		return nil
	})
	if err == nil {
		s.remember(found)
	}
	return found, err
}

func (s *session) remember(found []*relation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range found {
		s.described[r.id()] = described{r, time.Now().Add(describedFor)}
	}
}

func (s *session) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.described, id)
}

func (s *session) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.described)
}

// relation builds what we know of one table or view.
func (c *catalog) relation(ctx context.Context, tx *transaction, cr catalogRelation) (*relation, error) {
	r := &relation{
		oid: cr.OID, schema: cr.Schema, name: cr.Name, kind: cr.Kind,
		estimate: cr.Estimate, events: cr.Events,
		constraints: map[string][]string{},
		referrers:   c.referrers[cr.OID], triggers: c.triggers[cr.OID],
		versioned: (cr.Kind == "r" || cr.Kind == "p") && cr.SelectAll,
	}
	if cr.NoPages && cr.Estimate == 0 || cr.Kind == "v" {
		r.estimate = -1 // never counted, rather than empty
	}
	for _, cc := range c.columns[cr.OID] {
		if cc.Select {
			r.columns = append(r.columns, c.column(cc))
		}
	}
	c.applyConstraints(r)
	why, err := c.findKey(ctx, tx, r)
	if err != nil {
		return nil, err
	}
	switch {
	case !cr.Usage:
		r.unreadable = fmt.Sprintf("This login may not use the schema %s.", cr.Schema)
	case !cr.SelectAny:
		r.unreadable = "This login may not read it."
	case why != "":
		r.unreadable = why
	}
	c.markKey(r)
	c.abilities(r, cr)
	return r, nil
}

func (c *catalog) column(cc catalogColumn) *column {
	t := c.typeOf(cc.Type, cc.Modifier)
	col := &column{
		name: cc.Name, number: cc.Number, kind: t.kind, form: t.form, cast: t.base.Cast, semantic: t.semantic,
		typeName:  c.types[cc.Type].Name,
		generated: cc.Generated != "", always: cc.Identity == "a", uuid: t.uuid,
		sequence:   cc.Sequence,
		mayReserve: cc.Insert && (t.uuid || cc.SequenceUsable),
	}
	if col.kind == core.Text && t.writable && !t.uuid {
		col.kind = byName(cc.Name, t.maxLength)
	}
	col.options = core.ColumnOptions{
		Choices: t.choices, Required: cc.NotNull || t.notNull, MaxLength: t.maxLength,
		Precision: t.precision, Scale: t.scale, RemoteType: cc.TypeWords,
		HasDefault: cc.HasDefault || cc.Identity != "" || cc.Generated != "",
		Stamped:    cc.Stamped && cc.Generated == "",
	}
	if col.kind == core.Choices && len(t.choices) == 0 {
		col.options.OpenChoices = true
	}
	col.insertable = cc.Insert && t.writable && !col.generated && !col.always
	switch {
	case col.generated:
		col.whyNot = "The database computes this column."
	case cc.Identity == "a":
		col.whyNot = "The database numbers this column."
	case !t.writable:
		col.whyNot = fmt.Sprintf("Columns of type %s are shown and not changed.", cc.TypeWords)
	case !cc.Update:
		col.whyNot = "This login may not change this column."
	case !cc.Updatable:
		col.whyNot = "The view does not let this column be changed."
	}
	col.writable = col.whyNot == ""
	return col
}

// applyConstraints finds unique columns, lists of choices and references.
func (c *catalog) applyConstraints(r *relation) {
	for _, k := range c.constraints[r.oid] {
		columns := c.names(r, k.Columns)
		r.constraints[k.Name] = columns
		if len(columns) != 1 {
			continue
		}
		col := r.column(columns[0])
		if col == nil {
			continue
		}
		switch {
		case k.Kind == "c" && col.kind == core.Text:
			if choices := checkedChoices(k.Definition); choices != nil {
				col.kind, col.options.Choices = core.Choice, choices
			}
		case k.Kind == "f" && k.TargetsKey && col.form == plainForm:
			col.kind, col.options.Target = core.Reference, idOf(k.TargetSchema, k.TargetName)
			col.options.Precision, col.options.Scale, col.options.MaxLength = 0, nil, 0
		}
	}
	for _, i := range c.indexes[r.oid] {
		if names := c.names(r, i.Columns[:i.KeyColumns]); len(names) == 1 {
			if col := r.column(names[0]); col != nil {
				col.options.Unique = true
			}
		}
	}
}

// names turns column numbers into names, readable or not.
func (c *catalog) names(r *relation, numbers []int) []string {
	var names []string
	for _, n := range numbers {
		for _, cc := range c.columns[r.oid] {
			if cc.Number == n {
				names = append(names, cc.Name)
			}
		}
	}
	return names
}

// markKey makes key columns insert-only, or not even that when the key is reserved.
func (c *catalog) markKey(r *relation) {
	reserved := r.reserved()
	for _, name := range r.key {
		col := r.column(name)
		col.options.Key, col.options.Required = true, true
		col.insertOnly = col.insertable && col != reserved && r.isTable()
		if col.writable {
			col.whyNot = "It is part of the key that tells records apart."
		}
		col.writable = false
	}
}

// abilities says what can be done, and why not.
func (c *catalog) abilities(r *relation, cr catalogRelation) {
	readOnly := ""
	switch {
	case cr.ReadOnly:
		readOnly = "The server, or this login at it, only reads."
	case r.kind == "m":
		readOnly = "A materialized view is only read."
	}
	r.unwritable = first(readOnly, c.whyNoUpdate(r, cr))
	r.uncreatable = first(readOnly, c.whyNoInsert(r, cr))
	r.undeletable = first(readOnly, c.whyNoDelete(r, cr))
	r.effects = r.deleteEffects()
}

func (c *catalog) whyNoUpdate(r *relation, cr catalogRelation) string {
	switch {
	case r.events&canUpdate == 0:
		return "The database does not let this view be changed."
	case !cr.UpdateAny:
		return "This login may not change its rows."
	case !slices.ContainsFunc(r.columns, func(c *column) bool { return c.writable }):
		return "None of its columns can be changed."
	}
	return ""
}

func (c *catalog) whyNoInsert(r *relation, cr catalogRelation) string {
	switch {
	case !r.isTable():
		return "Records are created in tables; this is a view or a foreign table."
	case !cr.InsertAny:
		return "This login may not create rows in it."
	case !r.keyUnique:
		return "Its key can be broken for a moment (it is deferrable), so creating twice could not be prevented."
	}
	if r.reserved() == nil {
		for _, col := range r.keyColumns() {
			if !col.insertable {
				return fmt.Sprintf("The key column %s cannot be given by this login, and is not numbered by a sequence that it may use.", col.name)
			}
		}
	}
	for _, cc := range c.columns[r.oid] {
		if col := c.column(cc); cc.NotNull && !col.options.HasDefault && !col.insertable && !r.isKey(cc.Name) {
			return fmt.Sprintf("The column %s has to be given and cannot be.", cc.Name)
		}
	}
	return ""
}

func (c *catalog) whyNoDelete(r *relation, cr catalogRelation) string {
	switch {
	case r.events&canDelete == 0:
		return "The database does not let rows of this view be deleted."
	case !cr.Delete:
		return "This login may not delete its rows."
	}
	return ""
}

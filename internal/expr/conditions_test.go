package expr_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
)

func TestConditionsAreWrittenAsAnExpressionAndReadBack(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]expr.Condition{
		`title == "a \"b\" \\ c"`:                  {Column: "title", Type: core.Text, Op: expr.Is, Value: `a "b" \ c`},
		`title != ""`:                              {Column: "title", Type: core.Text, Op: expr.IsNot},
		`title.contains("x")`:                      {Column: "title", Type: core.Text, Op: expr.Contains, Value: "x"},
		`!title.contains("x")`:                     {Column: "title", Type: core.Text, Op: expr.DoesNotContain, Value: "x"},
		`title.containsIgnoreCase("x")`:            {Column: "title", Type: core.Text, Op: expr.ContainsAnyCase, Value: "x"},
		`!title.containsIgnoreCase("x")`:           {Column: "title", Type: core.Text, Op: expr.LacksAnyCase, Value: "x"},
		`title.startsWith("x")`:                    {Column: "title", Type: core.Text, Op: expr.StartsWith, Value: "x"},
		`title.endsWith("x")`:                      {Column: "title", Type: core.Text, Op: expr.EndsWith, Value: "x"},
		`empty(title)`:                             {Column: "title", Op: expr.IsEmpty},
		`!empty(title)`:                            {Column: "title", Op: expr.IsNotEmpty},
		`price == 12345678901234567890.50`:         {Column: "price", Type: core.Number, Op: expr.Is, Value: "12345678901234567890.50"},
		`price > -3`:                               {Column: "price", Type: core.Number, Op: expr.Greater, Value: "-3"},
		`price <= 0.1`:                             {Column: "price", Type: core.Number, Op: expr.LessOrEqual, Value: "0.1"},
		`done == true`:                             {Column: "done", Type: core.Checkbox, Op: expr.Is, Value: "true"},
		`day == date("2026-11-24")`:                {Column: "day", Type: core.Date, Op: expr.Is, Value: "2026-11-24"},
		`day < date("2026-11-24")`:                 {Column: "day", Type: core.Date, Op: expr.Before, Value: "2026-11-24"},
		`sold > timestamp("2026-11-24T08:00:00Z")`: {Column: "sold", Type: core.DateTime, Op: expr.After, Value: "2026-11-24T08:00:00Z"},
		`sold >= timestamp("infinity")`:            {Column: "sold", Type: core.DateTime, Op: expr.GreaterOrEqual, Value: "infinity"},
		`status in ["a", "b"]`:                     {Column: "status", Type: core.Text, Op: expr.IsOneOf, Values: []string{"a", "b"}},
		`price in [1, 2.5]`:                        {Column: "price", Type: core.Number, Op: expr.IsOneOf, Values: []string{"1", "2.5"}},
		`day in [date("2026-11-24")]`:              {Column: "day", Type: core.Date, Op: expr.IsOneOf, Values: []string{"2026-11-24"}},
		`"red" in tags`:                            {Column: "tags", Type: core.Choices, Op: expr.Contains, Value: "red"},
		`!("red" in tags)`:                         {Column: "tags", Type: core.Choices, Op: expr.DoesNotContain, Value: "red"},
		`tags == ["a", "b"]`:                       {Column: "tags", Type: core.Choices, Op: expr.Is, Values: []string{"a", "b"}},
		`tags != []`:                               {Column: "tags", Type: core.Choices, Op: expr.IsNot},
		`edited()`:                                 {Op: expr.IsEdited},
		`suggested(title)`:                         {Column: "title", Op: expr.IsSuggested},
		`conflict(title)`:                          {Column: "title", Op: expr.IsInConflict},
		`problem()`:                                {Op: expr.HasProblem},
		`created()`:                                {Op: expr.RecordWasCreated},
		`deleted()`:                                {Op: expr.RecordWasDeleted},
	} {
		src := expr.FromConditions([]expr.Condition{c}, false)
		if src != want {
			t.Errorf("%+v is written %s, want %s", c, src, want)
		}
		if _, err := expr.CompileFilter(src, columns()); err != nil {
			t.Errorf("%s does not compile: %v", src, err)
		}
		back, any, ok := expr.ToConditions(src)
		if !ok || any || !cmp.Equal(back, []expr.Condition{readAs(c)}, cmpopts.EquateEmpty()) {
			t.Errorf("%s is read back as %+v (any %v, ok %v)", src, back, any, ok)
		}
	}
}

// readAs gives the condition with the type that an expression shows.
func readAs(c expr.Condition) expr.Condition {
	switch {
	case c.Type.IsText():
		c.Type = core.Text
	case c.Type.IsList():
		c.Type = core.Choices
	case c.Type == core.LocalTime:
		c.Type = core.DateTime
	}
	return c
}

func TestSeveralConditionsAreJoinedByAllOrAny(t *testing.T) {
	t.Parallel()
	list := []expr.Condition{
		{Column: "title", Type: core.Text, Op: expr.Is, Value: "x"}, {Column: "price", Type: core.Number, Op: expr.Less, Value: "3"}, {Column: "done", Op: expr.IsEmpty},
	}
	for any, want := range map[bool]string{false: `title == "x" && price < 3 && empty(done)`, true: `title == "x" || price < 3 || empty(done)`} {
		src := expr.FromConditions(list, any)
		if src != want {
			t.Errorf("got %s, want %s", src, want)
		}
		back, gotAny, ok := expr.ToConditions(src)
		if !ok || gotAny != any || !cmp.Equal(back, list) {
			t.Errorf("%s is read back as %+v (any %v, ok %v)", src, back, gotAny, ok)
		}
	}
	if got := expr.FromConditions(nil, true); got != "" {
		t.Errorf("no condition is %q", got)
	}
	if list, any, ok := expr.ToConditions("  "); len(list) != 0 || any || !ok {
		t.Error("an empty expression is no list of no conditions")
	}
}

func TestWhatTheBuilderCannotShowIsNotOK(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		"true", "price", "price > stock", "price + 1 > 2", "10 < price", "title == null", `a == "x" && b == "y" || empty(c)`, `!(a == "x")`,
		`title.lower() == "x"`, `title.size() > 3`, `status in ["a", 1]`, `status in ["a", null]`, `"a" in ["b"]`, `1 in tags`, `day == date(title)`,
		"price >", `title.contains(body)`, `tags > ["a"]`, "created(title)", "edited(1)", "!done", "base(title)", "a ? b : c", `has(title)`,
	} {
		if list, _, ok := expr.ToConditions(src); ok {
			t.Errorf("%s is read as %+v", src, list)
		}
	}
}

func TestAValueThatDoesNotFitItsTypeIsRefusedByTheChecker(t *testing.T) {
	t.Parallel()
	for _, c := range []expr.Condition{
		{Column: "price", Type: core.Number, Op: expr.Is, Value: "1 || true"}, {Column: "done", Type: core.Checkbox, Op: expr.Is, Value: "maybe"},
		{Column: "day", Type: core.Date, Op: expr.Before, Value: "soon"}, {Column: "title", Type: core.Text, Op: "wobbles", Value: "x"},
	} {
		if _, err := expr.CompileFilter(expr.FromConditions([]expr.Condition{c}, false), columns()); core.CodeOf(err) != core.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Any values survive the way through an expression, whatever signs they hold.
func TestConditionsOfAnyValuesAreReadBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		any := rapid.Bool().Draw(rt, "any")
		list := rapid.SliceOfN(rapid.Custom(someCondition), 2, 5).Draw(rt, "conditions")
		src := expr.FromConditions(list, any)
		back, gotAny, ok := expr.ToConditions(src)
		if !ok || any != gotAny || !cmp.Equal(back, list, cmpopts.EquateEmpty()) {
			rt.Fatalf("%s\nis read back as %+v (any %v, ok %v)\nwant %+v", src, back, gotAny, ok, list)
		}
		if _, err := expr.CompileFilter(src, columns()); err != nil {
			rt.Fatalf("%s: %v", src, err)
		}
	})
}

func someCondition(t *rapid.T) expr.Condition {
	anyText := rapid.Custom(func(t *rapid.T) string {
		return string(slices.DeleteFunc([]rune(rapid.StringN(0, 20, 60).Draw(t, "text")), func(r rune) bool { return r == 0 || r == '\uFFFD' }))
	})
	switch rapid.IntRange(0, 3).Draw(t, "shape") {
	case 0:
		return expr.Condition{Column: "price", Type: core.Number, Op: pick(t, expr.Is, expr.IsNot, expr.Less, expr.GreaterOrEqual), Value: plainNumber(t)}
	case 1:
		return expr.Condition{Column: "status", Type: core.Text, Op: expr.IsOneOf, Values: rapid.SliceOfN(anyText, 0, 4).Draw(t, "values")}
	case 2:
		return expr.Condition{Column: "tags", Type: core.Choices, Op: pick(t, expr.Contains, expr.DoesNotContain), Value: anyText.Draw(t, "value")}
	}
	op := pick(t, expr.Is, expr.IsNot, expr.Contains, expr.DoesNotContain, expr.ContainsAnyCase, expr.StartsWith, expr.EndsWith, expr.Greater)
	return expr.Condition{Column: "title", Type: core.Text, Op: op, Value: anyText.Draw(t, "value")}
}

// plainNumber is canonical: -0 would be read back as 0.
func plainNumber(t *rapid.T) string {
	return rapid.StringMatching(`-?[1-9][0-9]{0,30}(\.[0-9]{1,9})?`).Draw(t, "number")
}

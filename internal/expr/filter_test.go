package expr_test

import (
	"slices"
	"strings"
	"testing"

	"scratchpaper/internal/core"
	"scratchpaper/internal/expr"
)

// stocked has three records: 1 is full, 2 holds what is empty but not null, 3 holds nothing.
func stocked(t *testing.T) *shop {
	s := newShop(t)
	s.add(1, map[string]string{"title": "'Straße 100%'", "body": "E'Ünïcode 😀\\u00a0'", "status": "'draft'", "price": "12.50", "stock": "0", "done": "true",
		"day": "'2026-11-24'", "sold": "'2026-11-24 10:00+00'", "opens": "'2026-11-24 09:30'", "tags": "'{red,\"a,b\"}'", "authors": "'{~7}'", "data": "'[null]'"})
	s.add(2, map[string]string{"title": "''", "body": "''", "status": "'live'", "price": "-3", "stock": "10", "done": "false",
		"day": "'infinity'", "sold": "'-infinity'", "opens": "'0044-03-15 12:00 BC'", "tags": "'{}'", "authors": "'{}'", "data": "'null'"})
	s.add(3, nil)
	return s
}

func TestAFilterGivesTheRecordsItDescribes(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	for src, want := range map[string][]int{
		"true":                               {1, 2, 3},
		"price > 10":                         {1},
		"!(price > 10)":                      {2, 3},
		"price == null":                      {3},
		"price != null":                      {1, 2},
		`status != "draft"`:                  {2, 3},
		`!(status == "draft")`:               {2, 3},
		`status == null || status == "live"`: {2, 3},
		"null == null":                       {1, 2, 3},
		"price < null":                       {},
		"!(price < null)":                    {1, 2, 3},
		"price == 12.5000":                   {1},
		"price == 125e-1":                    {1},
		"price > -3.0000000000000000000000000000000001":   {1, 2},
		"price < 100000000000000000000000000000000000000": {1, 2},
		"price / stock == null":                           {1, 3},
		"price / stock < -0.29":                           {2},
		"price * 2 - 5 == 20":                             {1},
		"-price == 3":                                     {2},
		"price + stock == 7":                              {2},
		"done":                                            {1},
		"!done":                                           {2, 3},
		"done == false":                                   {2},
		"done == (price > 10)":                            {1, 2},
		"done in [true, null]":                            {1, 3},
		`title == ""`:                                     {2},
		"empty(title)":                                    {2, 3},
		"empty(tags)":                                     {2, 3},
		"has(title)":                                      {1, 2},
		"has(data)":                                       {1, 2},
		"data == null":                                    {3},
		`title.contains("100%")`:                          {1},
		`title.contains("_")`:                             {},
		`title.contains("")`:                              {1, 2},
		`!title.contains("x")`:                            {1, 2, 3},
		`title.startsWith("Stra")`:                        {1},
		`title.endsWith("0%")`:                            {1},
		`title.containsIgnoreCase("STRASSE")`:             {1},
		`title.contains("strasse")`:                       {},
		`title.lower() == "straße 100%"`:                  {1},
		`upper(title) == "STRASSE 100%"`:                  {1},
		`body.trim().endsWith("😀")`:                       {1},
		"size(title) == 11":                               {1},
		"title.size() == 0":                               {2},
		"size(tags) == 2":                                 {1},
		"size(tags) >= 0":                                 {1, 2},
		`"a,b" in tags`:                                   {1},
		`!("red" in tags)`:                                {2, 3},
		`status in tags`:                                  {},
		`tags == ["red", "a,b"]`:                          {1},
		`tags != []`:                                      {1, 3},
		`"~7" in authors`:                                 {1},
		`status in ["draft", "x"]`:                        {1},
		`status in ["draft", null]`:                       {1, 3},
		`!(status in ["draft"])`:                          {2, 3},
		`price in [stock - 13, 12.5]`:                     {1, 2, 3}, // both are null in record 3
		`status in []`:                                    {},
		`title < "t"`:                                     {1, 2},
		`title > "r"`:                                     {1},
		`day == date("2026-11-24")`:                       {1},
		`day == "2026-11-24"`:                             {1},
		`day > date("2026-11-24")`:                        {2},
		`day == date("infinity")`:                         {2},
		`sold < date("2026-11-24")`:                       {2},
		`sold == timestamp("2026-11-24T12:00:00+02:00")`:  {1},
		`sold >= "2026-11-24 10:00"`:                      {1},
		`opens == timestamp("2026-11-24T09:30")`:          {1},
		`opens < date("0001-01-01")`:                      {2},
		`opens == "0044-03-15 12:00:00 BC"`:               {2},
		`day in [date("2026-11-24"), null]`:               {1, 3},
		`(done ? price : stock) > 9`:                      {1, 2},
		`(done ? "yes" : null) == null`:                   {2, 3},
		"price > 10 // the dear ones":                     {1},
		`price == "NaN"`:                                  {},
		`title == r"\d" || title == '''12'' 3456'''`:      {},
	} {
		if got := s.find(src); !slices.Equal(got, want) {
			t.Errorf("%s gives the records %v, want %v", src, got, want)
		}
	}
}

func TestAFilterKnowsTheStateOfRecordsAndCells(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.add(1, map[string]string{"title": "'new'", "_base": `'{"5": "old"}'`})
	s.add(2, map[string]string{"price": "2", "_base": `'{"8": null}'`, "_conflict": `'{"8": 7.0}'`})
	s.add(3, map[string]string{"title": "'made here'", "_state": "1"})
	s.add(4, map[string]string{"_state": "2", "tags": "'{a}'", "_base": `'{"14": ["b"]}'`})
	s.add(5, map[string]string{"data": "'1'", "_base": `'{"16": [null], "9": 1e2, "10": true, "11": "infinity", "12": "2026-11-24T08:00:00+00:00", "13": "2026-11-24T08:00:00"}'`})
	s.add(6, map[string]string{"data": "'1'", "_base": `'{"16": null}'`})
	s.exec("insert into " + s.table("_suggestions") + " values (1, 5, null), (2, 5, 9), (3, 0, null)")
	s.exec("insert into " + s.table("_problems") + " values (2, 8)")
	for src, want := range map[string][]int{
		"edited()": {1, 2, 5, 6}, "edited(title)": {1}, "edited(price)": {2}, "edited(tags)": {4},
		"conflict()": {2}, "conflict(price)": {2}, "conflict(title)": {},
		"created()": {3}, "deleted()": {4}, "!deleted()": {1, 2, 3, 5, 6}, "edited() == created()": {4},
		"suggested()": {1, 3}, "suggested(title)": {1}, "!suggested(price)": {1, 2, 3, 4, 5, 6},
		"problem()": {2}, "problem(price)": {2}, "problem(title)": {},
		`base(title) == "old"`: {1}, `base(title) == "made here"`: {3}, "base(price) == null && price == 2": {2},
		`"b" in base(tags)`: {4}, "base(data) == null": {1, 2, 3, 4, 6}, "base(stock) == 100": {5}, "base(done)": {5},
		`base(day) == date("infinity")`: {5}, `base(sold) == timestamp("2026-11-24T08:00:00Z")`: {5}, `base(opens) < date("2026-11-25")`: {5},
	} {
		if got := s.find(src); !slices.Equal(got, want) {
			t.Errorf("%s gives the records %v, want %v", src, got, want)
		}
	}
}

func TestTextsOfAFilterNeverReachTheStatement(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	texts := []string{`'; drop table rows; --`, `"`, `\`, `$1`, `%s%d%!`, "😀\n\t\r", hostile, `{"}`, `',NULL,"`, `E'\x00'`}
	for i, text := range texts {
		s.exec("insert into "+s.table("rows")+" (_id, "+quoted(s.cols[0].Physical)+", "+quoted(s.cols[9].Physical)+") values ($1, $2, $3)", i, text, []string{text})
	}
	for i, text := range texts {
		q := expr.Quote(text)
		for _, src := range []string{"title == " + q, "title in [" + q + "]", q + " in tags", "tags == [" + q + "]", "!(title != " + q + ")", "suggested() || title == " + q} {
			if got := s.find(src); !slices.Equal(got, []int{i}) {
				t.Errorf("%s gives the records %v, want only %d", src, got, i)
			}
			f, err := expr.CompileFilter(src, s.cols)
			if err != nil {
				t.Fatal(err)
			}
			if sql, _ := f.SQL(&expr.Builder{Schema: "s"}); len(text) > 2 && strings.Contains(strings.ReplaceAll(sql, quoted(s.cols[0].Physical), ""), text) {
				t.Errorf("the text %q is in the statement %s", text, sql)
			}
		}
	}
}

func TestAFilterAddsItsParametersBehindThoseThatAreThere(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	f, err := expr.CompileFilter(`price > 10 && status in ["draft", "x"]`, s.cols)
	if err != nil {
		t.Fatal(err)
	}
	b := &expr.Builder{Args: []any{int64(1)}}
	cond, err := f.SQL(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.holds("with an id", "(r._id = $1 and "+cond+")", b.Args); !slices.Equal(got, []int{1}) {
		t.Errorf("got the records %v, want 1", got)
	}
	later := &expr.Builder{First: 3}
	if cond, _ = f.SQL(later); !strings.Contains(cond, "$3::text") || !strings.Contains(cond, "$4::text[]") || strings.Contains(cond, "$1") {
		t.Errorf("with the first placeholder 3 the condition is %s", cond)
	}
	if len(later.Args) != 2 {
		t.Errorf("got %d parameters, want 2", len(later.Args))
	}
}

func TestAFilterSaysWhatItNeeds(t *testing.T) {
	t.Parallel()
	f, err := expr.CompileFilter(`title == "x" && !deleted() && conflict(price)`, columns())
	if err != nil {
		t.Fatal(err)
	}
	var slugs []string
	for _, c := range f.Columns() {
		slugs = append(slugs, c.Slug)
	}
	if !f.UsesDeleted() || !slices.Equal(slugs, []string{"title", "price"}) {
		t.Errorf("it uses deleted records: %v, and the columns %v", f.UsesDeleted(), slugs)
	}
	f, err = expr.CompileFilter("suggested()", columns())
	if err != nil || f.UsesDeleted() {
		t.Fatalf("suggested() uses deleted records, or %v", err)
	}
	if _, err := f.SQL(&expr.Builder{}); err == nil {
		t.Error("a filter that looks into a companion took a builder without a schema")
	}
}

func TestTheLongestCalculationThatIsTakenStaysInWhatPostgresHolds(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	big := strings.Repeat("9", core.MaxNumberDigits) + "." + strings.Repeat("9", core.MaxNumberDigits)
	s.add(1, map[string]string{"price": big, "stock": "0." + strings.Repeat("0", core.MaxNumberDigits-1) + "1"})
	for _, src := range []string{
		"price" + strings.Repeat(" * price", 15) + " > 1",
		strings.Repeat("(", 20) + "price" + strings.Repeat(" / stock)", 20) + " > 1",
		"1e1000 * 1e1000 * price / stock > 1",
	} {
		if got := s.find(src); !slices.Equal(got, []int{1}) {
			t.Errorf("%s gives %v", src, got)
		}
	}
	for _, src := range []string{
		"price" + strings.Repeat(" * price", 20) + " > 1",
		"price / 1e-1000" + strings.Repeat(" / (price / 1e1000 / 1e1000)", 2) + strings.Repeat(" * (price * price * price)", 9) + " > 1",
	} {
		if _, err := expr.CompileFilter(src, s.cols); !strings.Contains(core.SentenceOf(err), "too long") {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestAListOfManyValuesIsOneParameter(t *testing.T) {
	t.Parallel()
	f, err := expr.CompileFilter("price in ["+strings.Repeat("1, ", 600)+"2]", columns())
	if err != nil {
		t.Fatal(err)
	}
	b := &expr.Builder{}
	if _, err := f.SQL(b); err != nil || len(b.Args) != 1 {
		t.Errorf("got %d parameters, %v", len(b.Args), err)
	}
}

package core

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// blockPattern is a comment that begins or ends a block: its slash, name, attributes, and the slash of a block without content.
var blockPattern = regexp.MustCompile(`(?s)<!--\s+(/)?wp:([a-z][a-z0-9_/-]*)(\s.*?)?(/)?-->`)

// FormatNote says what a change does to the language that a text is in, as a sentence; "" when nothing is lost. The text is kept and
// sent as it is.
func FormatNote(format string, before, after string) string {
	if format != FormatBlocks || before == after {
		return ""
	}
	if note := brokenBlock(after); note != "" && brokenBlock(before) == "" {
		return note
	}
	had, has := len(blockPattern.FindAllString(before, -1)), len(blockPattern.FindAllString(after, -1))
	if had > 0 && has == 0 {
		return "The comments that mark the blocks (<!-- wp:… -->) are all gone: WordPress will show the text as one classic block."
	}
	return ""
}

// brokenBlock names the first block whose comments do not fit together.
func brokenBlock(text string) string {
	type block struct {
		name string
		line int
	}
	var open []block
	last := 0
	for _, m := range blockPattern.FindAllStringSubmatchIndex(text, -1) {
		part := func(n int) string {
			if m[2*n] < 0 {
				return ""
			}
			return text[m[2*n]:m[2*n+1]]
		}
		if note := cutComment(text[last:m[0]]); note != "" {
			return note
		}
		last = m[1]
		name, line := part(2), 1+strings.Count(text[:m[0]], "\n")
		attributes := strings.TrimSpace(part(3))
		switch {
		case part(1) != "" && len(open) == 0:
			return fmt.Sprintf("The block %s ends in line %d and begins nowhere: WordPress will call it invalid.", name, line)
		case part(1) != "" && open[len(open)-1].name != name:
			return fmt.Sprintf("The block %s of line %d is not ended before %s ends in line %d: WordPress will call it invalid.", open[len(open)-1].name, open[len(open)-1].line, name, line)
		case part(1) != "":
			open = open[:len(open)-1]
		case attributes != "" && (!strings.HasPrefix(attributes, "{") || !json.Valid([]byte(attributes))):
			return fmt.Sprintf("The settings of the block %s in line %d are not readable (JSON): WordPress will lose them.", name, line)
		case part(4) == "":
			open = append(open, block{name, line})
		}
	}
	if note := cutComment(text[last:]); note != "" {
		return note
	}
	if len(open) > 0 {
		return fmt.Sprintf("The block %s of line %d is not ended (<!-- /wp:%s -->): WordPress will call it invalid.", open[len(open)-1].name, open[len(open)-1].line, open[len(open)-1].name)
	}
	return ""
}

// cutComment finds the beginning of a block's comment that is none, in a text between two.
func cutComment(between string) string {
	if strings.Contains(between, "<!-- wp:") || strings.Contains(between, "<!-- /wp:") {
		return "The comment of a block (<!-- wp:… -->) has no end: WordPress will hide what comes after it."
	}
	return ""
}

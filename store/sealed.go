package store

import (
	"context"
	"fmt"
)

// SealedColumn is a column of a control table that only the key of the credentials opens. What is in it is bound to organization, table and
// id of its row.
type SealedColumn struct {
	Table, Column string
	Org, Name     string // expressions: whose it is, and what people call it
	ofSnapshot    string // which rows belong to a backup of snapshot $1
}

// SealedColumns are all of them: a backup counts them, a restore looks at them, and a new key seals them anew.
var SealedColumns = []SealedColumn{
	{Table: "connections", Column: "secrets", Org: "org_id", Name: "name", ofSnapshot: "id in (select connection_id from tables where snapshot_id = $1)"},
	{Table: "signing_keys", Column: "secret", Org: "''", Name: "'the key of agents'' tokens'", ofSnapshot: "false"},
	{Table: "second_factors", Column: "secret", Org: "''", Name: "'the second factor of ' || (select name from people where people.id = person_id)", ofSnapshot: "false"},
	{Table: "webhooks", Column: "secret", Org: "org_id", Name: "'the webhook to ' || split_part(split_part(address, '//', 2), '/', 1)", ofSnapshot: "false"},
	{Table: "webhooks", Column: "secret_before", Org: "org_id", Name: "'the former secret of the webhook to ' || split_part(split_part(address, '//', 2), '/', 1)", ofSnapshot: "false"},
}

// AnySecrets says whether anything sealed is kept, so that a start without the key is refused.
func AnySecrets(ctx context.Context, q querier) (bool, error) {
	for _, c := range SealedColumns {
		var any bool
		err := q.QueryRow(ctx, `/* every organization: the key is the program's, not theirs */
			select exists (select 1 from `+ident(c.Table)+` where `+ident(c.Column)+` is not null)`).Scan(&any)
		if err != nil {
			return false, mapError(fmt.Errorf("sealed: %w", err))
		}
		if any {
			return true, nil
		}
	}
	return false, nil
}

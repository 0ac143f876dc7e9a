package spec_test

import (
	"testing"

	"pleat/spec"
)

func TestRenameColumnsLeavesAloneWhatIsNoColumn(t *testing.T) {
	names := map[string]string{"age": "new_age", "Id": "other", "date": "day"}
	tests := []struct{ sql, want string }{
		{`age::text`, `"new_age"::text`},
		{`"age" + AGE`, `"new_age" + "new_age"`},
		{`age(age)`, `age("new_age")`},
		{`'age' || E'\'age' || $$age$$ || $x$ age $x$`, `'age' || E'\'age' || $$age$$ || $x$ age $x$`},
		{`"Id" = id`, `"other" = id`},
		{`date::date`, `"day"::date`},
		{`age = 'x'::public.age AND age > 1.5`, `"new_age" = 'x'::public.age AND "new_age" > 1.5`},
		{`CAST(age AS date)`, `CAST("new_age" AS "day")`},
		{`age -- age
  + age /* age */`, `"new_age" -- age
  + "new_age" /* age */`},
		{`averages + $1`, `averages + $1`},
		{``, ``}, {`'`, `'`}, {`"`, `"`}, {`$`, `$`}, {`é.age`, `é."new_age"`},
	}
	for _, test := range tests {
		if got := spec.RenameColumns(test.sql, names); got != test.want {
			t.Errorf("RenameColumns(%q) = %q, want %q", test.sql, got, test.want)
		}
	}
}

package spec_test

import (
	"testing"

	"pleat/spec"
)

func TestRenameColumnsLeavesAloneWhatIsNoColumn(t *testing.T) {
	names := map[string]string{"age": "new_age", "Id": "other", "date": "day", "time": "moment"}
	tests := []struct{ sql, want string }{
		{`age::text`, `"new_age"::text`},
		{`"age" + AGE`, `"new_age" + "new_age"`},
		{`age(age)`, `age("new_age")`},
		{`'age' || E'\'age' || $$age$$ || $x$ age $x$`, `'age' || E'\'age' || $$age$$ || $x$ age $x$`},
		{`"Id" = id`, `"other" = id`},
		{`date::date`, `"day"::date`},
		{`age = 'x'::public.age AND age > 1.5`, `"new_age" = 'x'::public.age AND "new_age" > 1.5`},
		{`CAST(age AS date)`, `CAST("new_age" AS date)`},
		{`extract(date from age)`, `extract(date from "new_age")`},
		{`date::timestamp without time zone AT TIME ZONE 'x' > time`, `"day"::timestamp without time zone AT TIME ZONE 'x' > "moment"`},
		{`date '2026-01-01' < date`, `date '2026-01-01' < "day"`},
		{`(pair).age + t . age`, `(pair).age + t . "new_age"`},
		{`CHECK ((extract(date from age) > 0)) NOT VALID`, `CHECK ((extract(date from "new_age") > 0)) NOT VALID`},
		{`btree (age, "age"(date, 1)) WITH (age='70') WHERE ("age"(date, 1) > 0)`, `btree ("new_age", "age"("day", 1)) WITH (age='70') WHERE ("age"("day", 1) > 0)`},
		{`btree (age, age(date) DESC, (time::date)) INCLUDE ("Id") WHERE (date(age) IS NOT NULL AND time = CAST(age AS date))`,
			`btree ("new_age", age("day") DESC, ("moment"::date)) INCLUDE ("other") WHERE (date("new_age") IS NOT NULL AND "moment" = CAST("new_age" AS date))`},
		{`UNIQUE (age, "Id")`, `UNIQUE ("new_age", "other")`},
		{`EXCLUDE USING gist (age WITH =)`, `EXCLUDE USING gist ("new_age" WITH =)`},
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

func TestRenameForeignKeyKeepsTheColumnsOfTwoTablesApart(t *testing.T) {
	own, referenced := map[string]string{"id": "mine", "b": "c"}, map[string]string{"id": "theirs"}
	tests := []struct{ sql, want string }{
		{`FOREIGN KEY (id) REFERENCES users(id)`, `FOREIGN KEY ("mine") REFERENCES users("theirs")`},
		{`FOREIGN KEY (id, b) REFERENCES id.id(ID, b) ON DELETE SET NULL (b) NOT VALID`, `FOREIGN KEY ("mine", "c") REFERENCES id.id("theirs", b) ON DELETE SET NULL ("c") NOT VALID`},
		{`FOREIGN KEY (" REFERENCES ", "id") REFERENCES "t("(" REFERENCES ", "id") ON UPDATE CASCADE`, `FOREIGN KEY (" REFERENCES ", "mine") REFERENCES "t("(" REFERENCES ", "theirs") ON UPDATE CASCADE`},
		{`FOREIGN KEY (id) REFERENCES users ON DELETE SET DEFAULT (id)`, `FOREIGN KEY ("mine") REFERENCES users ON DELETE SET DEFAULT ("mine")`},
		{`CONSTRAINT id FOREIGN KEY ("ID") REFERENCES users (/* ) */ id)`, `CONSTRAINT id FOREIGN KEY ("ID") REFERENCES users (/* ) */ "theirs")`},
		{`CHECK (id > 0)`, `CHECK (id > 0)`},
		{`FOREIGN KEY (id`, `FOREIGN KEY (id`},
	}
	for _, test := range tests {
		if got := spec.RenameForeignKey(test.sql, own, referenced); got != test.want {
			t.Errorf("RenameForeignKey(%q) = %q, want %q", test.sql, got, test.want)
		}
	}
}

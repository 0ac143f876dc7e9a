# Each change is an example of docs/operations.md, under its name: OPERATION or
# OPERATION__VARIANT. The tables that they meet are in operations_doc_test.go.

database "main" {
  url = "postgres://localhost/app"
}

change "create_table" {
  expand {
    create_table "teams" {
      primary_key = ["id"]
      column "id" {
        type     = "bigint"
        identity = true
      }
      column "name" {
        type    = "text"
        null    = false
        comment = "as it is shown"
      }
      column "owner" {
        type = "bigint"
      }
      unique {
        columns = ["name"]
      }
      check "named" {
        check = "name <> ''"
      }
      foreign_key {
        columns    = ["owner"]
        references = "users"
      }
      index "teams_owner" {
        columns = ["owner"]
      }
    }
  }
}

change "create_table__with_partitions" {
  expand {
    create_table "events" {
      primary_key = ["id", "at"]
      column "id" {
        type     = "bigint"
        identity = true
      }
      column "at" {
        type = "timestamptz"
        null = false
      }
      partition {
        by      = "range"
        columns = ["at"]
        table "events_2026" {
          from = ["'2026-01-01'"]
          to   = ["'2027-01-01'"]
        }
        table "events_rest" {}
      }
    }
  }
}

change "rename_table" {
  rename_table "orders" {
    to   = "purchases"
    hide = "7d"
  }
}

change "rename_column_by_views" {
  rename_column "users" "name" {
    to    = "full_name"
    serve = "views"
    hide  = "3d"
  }
}

change "rename_table_by_views" {
  rename_table "orders" {
    to    = "purchases"
    serve = "views"
    hide  = "7d"
  }
}

change "drop_table" {
  contract {
    drop_table "old_users" {
      hide = "7d"
    }
  }
}

change "add_column__constant_default" {
  expand {
    add_column "users" "visits" {
      type    = "bigint"
      null    = false
      default = "0"
    }
  }
}

change "add_column__default_of_each_row" {
  expand {
    add_column "users" "token" {
      type    = "uuid"
      null    = false
      default = "gen_random_uuid()"
    }
  }
}

change "add_column__identity" {
  expand {
    add_column "users" "number" {
      type     = "bigint"
      identity = true
    }
  }
}

change "add_column__generated_when_it_is_read" {
  expand {
    add_column "users" "lower_email" {
      type      = "text"
      generated = "lower(email)"
      stored    = false
    }
  }
}

change "sync__with_add_column_and_drop_column" {
  expand {
    add_column "users" "first" {
      type = "text"
      null = false
    }
    add_column "users" "last" {
      type = "text"
    }
    sync "users" {
      forward = {
        first = "split_part(name, ' ', 1)"
        last  = "nullif(substr(name, strpos(name || ' ', ' ') + 1), '')"
      }
      backward = {
        name = "concat_ws(' ', first, last)"
      }
    }
  }
  backfill "users" {}
  contract {
    drop_column "users" "name" {
      hide = "7d"
    }
  }
}

change "drop_column" {
  contract {
    drop_column "users" "name" {
      hide = "7d"
    }
  }
}

change "change_type" {
  change_type "users" "visits_text" {
    type = "bigint"
  }
}

change "change_type__under_a_materialized_view" {
  change_type "stock" "amount" {
    type = "bigint"
  }
}

change "change_type__of_a_partitioned_table" {
  change_type "visits" "page" {
    type = "text"
  }
}

change "change_type__of_a_partitioned_key" {
  change_type "calls" "id" {
    type = "bigint"
  }
}

change "rename_column" {
  rename_column "users" "visits_text" {
    to = "visits"
  }
}

change "split_column" {
  split_column "users" "name" {
    into "first" {
      type  = "text"
      using = "split_part(name, ' ', 1)"
      null  = false
    }
    into "last" {
      type  = "text"
      using = "nullif(substr(name, strpos(name || ' ', ' ') + 1), '')"
    }
    back = "concat_ws(' ', first, last)"
  }
}

change "merge_columns" {
  merge_columns "users" "contact" {
    type  = "text"
    using = "name || ' <' || coalesce(email, '') || '>'"
    back = {
      name  = "split_part(contact, ' <', 1)"
      email = "nullif(rtrim(split_part(contact, ' <', 2), '>'), '')"
    }
  }
}

change "set_not_null__in_expand" {
  expand {
    set_not_null "users" "email" {}
  }
}

change "set_not_null__in_contract" {
  contract {
    set_not_null "users" "status" {
      fill = "'none'"
    }
  }
}

change "drop_not_null" {
  expand {
    drop_not_null "users" "name" {}
  }
}

change "set_default" {
  expand {
    set_default "users" "status" {
      default = "'open'"
      from    = "'new'"
    }
  }
}

change "drop_default" {
  contract {
    drop_default "users" "status" {}
  }
}

change "comment_on" {
  expand {
    comment_on "users" {
      comment = "who may sign in"
    }
    comment_on "users" "email" {
      comment = "where we write to"
    }
  }
}

change "create_index" {
  expand {
    create_index "users_email" {
      table   = "users"
      columns = ["(lower(email))"]
      where   = "email is not null"
    }
  }
}

change "drop_index" {
  contract {
    drop_index "users_by_name" {}
  }
}

change "drop_index__of_a_partitioned_table" {
  contract {
    drop_index "logs_by_at" {}
  }
}

change "replace_index" {
  replace_index "users_by_name" {
    table   = "users"
    columns = ["(lower(name))"]
    unique  = true
    hide    = "1d"
  }
}

change "replace_index__of_a_partitioned_table" {
  replace_index "logs_by_at" {
    table   = "logs"
    columns = ["at DESC"]
  }
}

change "rename_index" {
  expand {
    rename_index "users_by_name" {
      to = "users_name"
    }
  }
}

change "add_check__in_expand" {
  expand {
    add_check "orders" "amount_positive" {
      check = "amount > 0"
    }
  }
}

change "add_check__in_contract" {
  contract {
    add_check "orders" "amount_positive" {
      check = "amount > 0"
    }
  }
}

change "add_foreign_key" {
  expand {
    add_foreign_key "orders" {
      columns    = ["user_id"]
      references = "users"
    }
  }
}

change "add_unique" {
  expand {
    add_unique "users" {
      columns = ["email"]
    }
  }
}

change "add_primary_key" {
  expand {
    add_primary_key "orders" {
      columns = ["id"]
    }
  }
}

change "add_exclusion" {
  expand {
    add_exclusion "bookings" "one_at_a_time" {
      elements = ["during WITH &&"]
      where    = "not cancelled"
      allow    = ["exclusion_constraint"]
    }
  }
}

change "drop_constraint__in_expand" {
  expand {
    drop_constraint "bookings" "cost_positive" {
      definition = "CHECK (cost > 0)"
    }
  }
}

change "drop_constraint__foreign_key" {
  expand {
    drop_constraint "bookings" "bookings_user_id_fkey" {
      definition = "FOREIGN KEY (user_id) REFERENCES users (id)"
    }
  }
}

change "drop_constraint__in_contract" {
  contract {
    drop_constraint "bookings" "bookings_code_key" {}
  }
}

change "rename_constraint" {
  expand {
    rename_constraint "bookings" "cost_positive" {
      to = "cost_is_positive"
    }
  }
}

change "rename_constraint__with_an_index" {
  expand {
    rename_constraint "bookings" "bookings_code_key" {
      to = "bookings_are_told_apart"
    }
  }
}

change "create_enum" {
  expand {
    create_enum "order_state" {
      values = ["new", "paid", "sent"]
    }
  }
}

change "add_enum_value" {
  expand {
    add_enum_value "mood" "fine" {
      before = "high"
    }
  }
}

change "rename_enum_value" {
  contract {
    rename_enum_value "mood" "high" {
      to = "great"
    }
  }
}

change "drop_enum" {
  contract {
    drop_enum "mood" {}
  }
}

change "attach_partition" {
  expand {
    attach_partition "events" "events_2025" {
      from = ["'2025-01-01'"]
      to   = ["'2026-01-01'"]
    }
  }
}

change "detach_partition" {
  contract {
    detach_partition "logs" "logs_2020" {
      from = ["'2020-01-01'"]
      to   = ["'2021-01-01'"]
    }
  }
}

change "detach_partition__beside_a_default_one" {
  contract {
    detach_partition "events" "events_2025" {
      from = ["'2025-01-01'"]
      to   = ["'2026-01-01'"]
    }
  }
}

change "create_partition" {
  expand {
    create_partition "events" "events_2027" {
      from = ["'2027-01-01'"]
      to   = ["'2028-01-01'"]
    }
  }
}

change "sql" {
  expand {
    sql "view" {
      up   = "create view active_users as select id, email from users where status = 'open'"
      down = "drop view active_users"
    }
  }
}

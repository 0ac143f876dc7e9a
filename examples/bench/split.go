package main

// splitSpec is the change of users(name) to users(first, last). Its back-fill
// has those arguments; its contract waits for soak.
func splitSpec(backfill string, soak string) string {
	return header + `
change "split_name" {
  expand {
    add_column "users" "first" {
      type = "text"
    }
    add_column "users" "last" {
      type = "text"
    }
    sync "users" {
      forward = {
        first = "split_part(name, ' ', 1)"
        last  = "substring(name, ' (.*)')"
      }
      backward = {
        name = "concat_ws(' ', first, last)"
      }
    }
  }
  backfill "users" {
    ` + backfill + `
  }
  contract {
    soak = "` + soak + `"
    drop_column "users" "name" {
      hide = "0s"
    }
  }
}
`
}

const (
	later  = "1h" // than any measurement
	atOnce = "0s"
)

// rollSplit is the same for pgroll.
const rollSplit = `
  - add_column:
      table: users
      column: {name: first, type: text, nullable: true}
      up: split_part(name, ' ', 1)
  - add_column:
      table: users
      column: {name: last, type: text, nullable: true}
      up: substring(name, ' (.*)')
  - drop_column:
      table: users
      column: name
      down: concat_ws(' ', first, last)
`

// bareSplit is the new shape without anything that keeps it right.
const bareSplit = "alter table users add column first text, add column last text"

const bareFill = "update users set first = split_part(name, ' ', 1), last = substring(name, ' (.*)')"

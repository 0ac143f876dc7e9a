# A service on Postgres and one schema change, from users(name) to
# users(first, last), while it runs. Built by `make build`; tried with
# `make demo`.

variable "database_url" {
  type        = string
  sensitive   = true
  description = "Postgres URL of the service's database."
}

variable "release" {
  type        = string
  default     = "2.0.2"
  description = "The release that should be live."
}

variable "agent" {
  type        = string
  default     = "unix:///run/pleat/agent.sock"
  description = "Where `pleat agent` listens."
}

variable "listen" {
  type        = string
  default     = "127.0.0.1:8080"
  description = "Where the service takes requests."
}

database "main" {
  url = var.database_url
}

orchestrator "host" "local" {
  agents = [var.agent]
}

router "proxy" "edge" {
  listen = var.listen
}

strategy "careful" {
  rolling {
    batch = 1
  }
}

service "users" {
  orchestrator = orchestrator.host.local
  router       = router.proxy.edge
  database     = database.main
  strategy     = strategy.careful
  release      = var.release

  process "web" {
    count = 3
    check "http" {
      path          = "/healthz"
      interval      = "200ms"
      healthy_after = "1s"
      start_timeout = "10s"
    }
    drain {
      timeout = "10s"
    }
  }

  # Reads leave a transaction open, and with it a lock on users.
  release "1.0.0" {
    artifact {
      path   = "bin/users-1.0.0"
      sha256 = filesha256("bin/users-1.0.0")
    }
    schema = [change.create_users]
  }

  release "1.0.1" {
    artifact {
      path   = "bin/users-1.0.1"
      sha256 = filesha256("bin/users-1.0.1")
    }
    ancestors = ["1.0.0"]
    schema    = [change.create_users]
  }

  # Adds /v2/user. Was branched off before the fix of 1.0.1, and leaves the
  # name to the trigger when first and last are updated.
  release "2.0.0" {
    artifact {
      path   = "bin/users-2.0.0"
      sha256 = filesha256("bin/users-2.0.0")
    }
    ancestors = ["1.0.0"]
    schema    = [change.split_name]
  }

  # From here on only first and last are read and written. A row without them
  # would be a user without a name; a wrong answer is worse than a later
  # start, so these releases wait for the back-fill.
  release "2.0.2" {
    artifact {
      path   = "bin/users-2.0.2"
      sha256 = filesha256("bin/users-2.0.2")
    }
    ancestors      = ["1.0.0", "1.0.1", "2.0.0"]
    schema         = [change.split_name]
    needs_backfill = [change.split_name]
  }

  # Crashes on start.
  release "2.0.3" {
    artifact {
      path   = "bin/users-2.0.3"
      sha256 = filesha256("bin/users-2.0.3")
    }
    ancestors      = ["1.0.0", "1.0.1", "2.0.0", "2.0.2"]
    schema         = [change.split_name]
    needs_backfill = [change.split_name]
  }

  # Starts, and never gets healthy.
  release "2.0.4" {
    artifact {
      path   = "bin/users-2.0.4"
      sha256 = filesha256("bin/users-2.0.4")
    }
    ancestors      = ["1.0.0", "1.0.1", "2.0.0", "2.0.2"]
    schema         = [change.split_name]
    needs_backfill = [change.split_name]
  }
}

change "create_users" {
  database = database.main

  expand {
    create_table "users" {
      primary_key = ["id"]
      column "id" {
        type     = "bigint"
        identity = true
      }
      column "name" {
        type = "text"
        null = false
      }
    }
  }
}

# The first blank splits a name. All after it, blanks and all, is last; a name
# without a blank has no last, which is not the same as an empty one. So every
# name comes back as it was: "Mary Ann Smith", "Prince", "A  B", " x ", "".
change "split_name" {
  database        = database.main
  after           = [change.create_users]
  requires_absent = [service.users.release["1.0.0"]]

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
    batch = 5000
  }

  # A row that was never filled would agree with the empty name: concat_ws
  # leaves NULLs out.
  verify "names_agree" {
    sql = <<-SQL
      select id from users
      where coalesce(first, last) is null
         or name is distinct from concat_ws(' ', first, last)
    SQL
  }

  contract {
    drop_column "users" "name" {
      hide = "2s"
    }
    soak = "3s"
  }
}

variable "database_url" {
  type      = string
  sensitive = true
}

state {                              # where runs, releases, leases are recorded; default: the only database
  url = var.database_url
}


database "main" {
  url  = var.database_url
  role = "app_owner"                 # SET LOCAL ROLE inside a step
  lock {
    timeout  = "100ms"               # one attempt's wait: the longest that anybody can wait behind us
    hold     = "500ms"               # longest time that a strong lock may be held
    patience = "5m"                  # attempts with back-off until then, afterwards: who blocks us
  }
}

orchestrator "host" "local" {        # kinds: host, nomad, kubernetes
  agents = ["unix:///run/pleat/agent.sock"]
}

router "proxy" "edge" {              # kinds: proxy (in the agent), haproxy, nginx, kubernetes gateway
  listen = "127.0.0.1:8080"
}

service "users" {
  orchestrator = orchestrator.host.local
  router       = router.proxy.edge
  database     = database.main
  strategy     = strategy.careful
  release      = "2.0.0"             # the one that should be live

  process "web" {
    count   = 3
    command = ["bin/users", "-addr", "$${ADDR}"]
    check "http" {
      path          = "/healthz"
      interval      = "1s"
      healthy_after = "3s"           # stays good this long before it counts as up
      start_timeout = "30s"
    }
    drain {
      timeout = "30s"
    }
  }

  release "1.0.1" {
    artifact {
      path   = "bin/users-1.0.1"
      sha256 = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"                   # a release is pinned: a digest, never a moving tag
    }
    schema = [change.create_users]
  }
  release "2.0.0" {
    artifact {
      path   = "bin/users-2.0.0"
      sha256 = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    }
    ancestors = ["1.0.1"]            # code lineage: a live hotfix must not get lost
    schema    = [change.split_name]  # built for the schema after this change and all before it
    env       = { FEATURE_NAMES = "on" }
  }
}

change "split_name" {
  database = database.main
  after    = [change.create_users]

  expand {
    add_column "users" "first" {
      type = "text"
    }
    add_column "users" "last" {
      type = "text"
    }
    sync "users" {                   # one trigger keeps both shapes in step; direction = which column changed
      forward = {
        first = "split_part(name, ' ', 1)"
        last  = "nullif(substr(name, strpos(name || ' ', ' ') + 1), '')"
      }
      backward = {
        name = "concat_ws(' ', first, last)"
      }
    }
  }
  backfill "users" {                 # uses the forward expressions of sync unless `set` is given
    batch = 5000
    throttle {
      replica_lag = "2s"
    }
  }
  verify "names_agree" {             # asked after backfill, during canary, before contract
    sql = "select id from users where name is distinct from concat_ws(' ', first, last)"
    max = 0
  }
  contract {
    drop_column "users" "name" {
      hide = "7d"                    # first renamed out of sight, dropped after that time
    }
    soak   = "24h"                   # after the last old instance, session and old-shape write
  }
}

strategy "careful" {
  rolling {
    batch = "25%"
    order = "stop_first"
  }
  max_start_failures = 1
  step_timeout       = "90s"
}

change "create_users" {
  expand {
    create_table "users" {
      column "id" {
        type     = "bigint"
        identity = true
      }
      column "name" {
        type    = "text"
        null    = false
        default = "''"
      }
      primary_key = ["id"]
    }
    create_index "users_name" {
      table   = "users"
      columns = ["(lower(name))"]
      where   = "name <> ''"
    }
    sql {
      up   = "comment on table users is 'people'"
      down = "comment on table users is null"
    }
    sql "grant" {
      up = "grant select on users to reader"
    }
  }
}

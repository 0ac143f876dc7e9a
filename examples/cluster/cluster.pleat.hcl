variable "state_url" {
  type      = string
  sensitive = true
}

variable "cluster_dir" {
  type    = string
  default = "/var/lib/cluster"
}

variable "release" {
  type    = string
  default = "1"
}

state {
  url = var.state_url
}

orchestrator "host" "local" {
  agents = ["unix:///run/pleat/agent.sock"]
}

strategy "replicated" {
  primary_last {
    promote {
      command = ["$${ARTIFACT}", "promote"]
    }
  }
  step_timeout = "3m"
}

service "pg" {
  strategy = strategy.replicated
  release  = var.release

  process "db" {
    count   = 3
    command = ["$${ARTIFACT}", "run"]
    env = {
      CLUSTER_DIR = var.cluster_dir
    }
    check "exec" {
      command       = ["sh", "-c", "test -s $PLEAT_ROLE"]
      start_timeout = "3m"
    }
    drain {
      kill_after = "1m"
    }
  }

  release "each" {
    for_each = toset(["1", "2"])
    artifact {
      path   = "bin/cluster-${each.key}"
      sha256 = filesha256("bin/cluster-${each.key}")
    }
  }
}

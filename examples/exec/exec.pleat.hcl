# A platform of one's own: bin/platform keeps the instances and routes to them.

variable "state_url" {
  type      = string
  sensitive = true
}
variable "dir" {
  type    = string
  default = "/tmp/pleat-exec" # what the platform knows; its name has to be short
}
variable "listen" {
  type    = string
  default = "127.0.0.1:8080"
}

state {
  url = var.state_url
}

orchestrator "exec" "here" {
  command  = ["bin/platform"]
  settings = { dir = var.dir }
}

router "exec" "edge" {
  command  = ["bin/platform"]
  settings = { dir = var.dir, listen = var.listen }
}

strategy "one_by_one" {
  rolling {
    batch = 1
  }
}

service "hello" {
  router   = router.exec.edge
  strategy = strategy.one_by_one
  release  = "1"

  process "web" {
    count = 2
    check "http" {
      path     = "/healthz"
      interval = "50ms"
    }
  }
  release "each" {
    for_each = toset(["1", "2"])
    artifact {
      path   = "bin/hello-${each.key}"
      sha256 = filesha256("bin/hello-${each.key}")
    }
  }
}

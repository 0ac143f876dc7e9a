package proxy_test

import (
	"testing"

	"pleat/providers/host/agenttest"
)

func TestMain(m *testing.M) { agenttest.Main(m) }

package conn

import (
	"fmt"
	"strings"

	"pleat/spec"
)

// postgresPort is the port that a label leaves out.
const postgresPort = 5432

// Label names a database for a person who has to say which one is meant:
// "HOST/DATABASE", with the port where it is not the usual one; a socket is on
// localhost. The error is a *URLError. It connects to nothing.
func Label(url spec.Text) (string, error) {
	config, err := parse(url)
	if err != nil {
		return "", err
	}
	host := config.Host
	if strings.HasPrefix(host, "/") {
		host = "localhost"
	}
	if config.Port != postgresPort {
		host = fmt.Sprintf("%s:%d", host, config.Port)
	}
	return host + "/" + config.Database, nil
}

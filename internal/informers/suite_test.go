package informers

import (
	"os"
	"testing"

	"registrationpolicy.dev/operator/test/apiserver"
)

var cluster *apiserver.Cluster

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m, &cluster)) }

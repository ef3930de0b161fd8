// Command lint is golangci-lint with kube-api-linter inside: what `golangci-lint custom` would generate, written down, so
// that both versions are pinned in one go.mod and building it needs nothing but Go.
package main

import (
	"os"
	"runtime/debug"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"
	_ "sigs.k8s.io/kube-api-linter" // registers the linter `kubeapilinter`
)

// golangciModule is the module whose version this command reports as its own.
const golangciModule = "github.com/golangci/golangci-lint/v2"

func main() {
	if err := commands.Execute(build()); err != nil { // it has said so itself
		os.Exit(exitcodes.Failure)
	}
}

// build tells golangci-lint which version it is: it compares that with what the configuration asks for.
func build() commands.BuildInfo {
	info := commands.BuildInfo{Version: "unknown", GoVersion: "unknown", Commit: "unknown", Date: "unknown"}
	built, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	info.GoVersion = built.GoVersion
	for _, module := range built.Deps {
		if module.Path == golangciModule {
			info.Version = module.Version
		}
	}
	return info
}

// Command lint is golangci-lint with kube-api-linter as a built-in plugin. It is a copy of what `golangci-lint custom`
// would generate. As a copy, it needs only Go to build, and both versions are pinned in one go.mod.
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
	if err := commands.Execute(build()); err != nil { // Execute has printed the error
		os.Exit(exitcodes.Failure)
	}
}

// build returns the version of golangci-lint in this program, which golangci-lint prints and compares with the version
// of its configuration.
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

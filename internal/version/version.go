// Package version holds the version of the program, and the commit from which it was built.
package version

import (
	"cmp"
	"runtime/debug"
)

// These are set at build time by -ldflags "-X registrationpolicy.dev/operator/internal/version.stamped=v1.2.3"; "" if
// they are not.
var (
	stamped string // the version
	commit  string // the full hash
	date    string // the time of the commit, in RFC 3339 and UTC
)

const (
	// unstamped is the version if neither -ldflags nor the go command recorded one.
	unstamped = "(devel)"
	// unknown stands for a commit or a date that neither -ldflags nor the go command recorded.
	unknown = "unknown"
	// hashLength is the number of digits of a commit that are printed: enough to be unique, short enough to be read.
	hashLength = 12
)

// String returns the version that -ldflags set, else the module version that the go command recorded in the program.
func String() string {
	if stamped != "" {
		return stamped
	}
	if build, found := debug.ReadBuildInfo(); found && build.Main.Version != "" {
		return build.Main.Version
	}
	return unstamped
}

// Long returns the version with the commit and its time, such as "v1.2.3 (commit 0123456789ab, 2026-11-28T00:00:00Z)".
// A part that -ldflags did not set is taken from what the go command recorded of the repository.
func Long() string {
	recorded := map[string]string{}
	if build, found := debug.ReadBuildInfo(); found {
		for _, setting := range build.Settings {
			recorded[setting.Key] = setting.Value
		}
	}
	hash := cmp.Or(commit, recorded["vcs.revision"], unknown)
	return String() + " (commit " + hash[:min(len(hash), hashLength)] + ", " + cmp.Or(date, recorded["vcs.time"], unknown) + ")"
}

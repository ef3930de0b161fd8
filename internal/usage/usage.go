// Package usage rewrites errors of libraries about flags, kubeconfigs and addresses into sentences that name the fix.
package usage

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
)

// Flag returns an error of pflag as a sentence with the fix, and any other error unchanged.
//
// In a group of one-letter flags it names only the unknown one: the rest can be a credential, as in curl's
// -uNAME:PASSWORD.
func Flag(err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if shorthands := unknown.GetSpecifiedShortnames(); shorthands != "" {
			return fmt.Errorf("there is no flag -%s", unknown.GetSpecifiedName())
		}
		return fmt.Errorf("there is no flag --%s", unknown.GetSpecifiedName())
	}
	if bare, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return fmt.Errorf("--%s has no value: write %s", bare.GetFlag().Name, example(bare.GetFlag()))
	}
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return fmt.Errorf("--%s: %q is not %s: write %s", wrong.GetFlag().Name, wrong.GetValue(), kinds[wrong.GetFlag().Value.Type()].name,
			example(wrong.GetFlag()))
	}
	if malformed, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return fmt.Errorf("%q is not a flag: write --NAME or --NAME=VALUE", malformed.GetSpecifiedFlag())
	}
	return err
}

// kinds describes the types of flags, each with an example value.
var kinds = map[string]struct{ name, example string }{
	"bool":     {"true or false", "true"},
	"duration": {"a duration", "30s"},
	"int":      {"a whole number", "10"},
}

func example(flag *pflag.Flag) string {
	value := "VALUE"
	if kind, known := kinds[flag.Value.Type()]; known {
		value = kind.example
	}
	return "--" + flag.Name + "=" + value
}

// OneOf fails if more than one of the flags is set.
func OneOf(flags *pflag.FlagSet, names ...string) error {
	var given []string
	for _, name := range names {
		if flags.Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) < 2 {
		return nil
	}
	return errors.New("give only one of " + strings.Join(given, " and "))
}

// Kubeconfig returns an error of client-go about a kubeconfig as a sentence with the fix, and any other error
// unchanged.
func Kubeconfig(err error) error {
	if missing, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s cannot be read: %w", missing.Path, missing.Err)
	}
	if strings.Contains(err.Error(), "error loading config file") {
		return errors.New("the file is not a kubeconfig: give a file that kubectl works with")
	}
	return err
}

// Listen returns an error of net.Listen as a sentence with the fix, and any other error unchanged.
func Listen(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("another process listens at %s: stop it, or give another port", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("this machine has no address %s: give one of its addresses, or :PORT for all of them", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("this user may not listen at %s: give a port from 1024 up", address)
	default:
		return err
	}
}

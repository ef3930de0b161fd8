// Package usage puts what is wrong with a command line into sentences that say what to write instead: those of the libraries
// speak of their own terms.
package usage

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
)

// Flag returns an error of pflag's as a sentence. Other errors it returns as they are.
//
// Of a cluster of one-letter flags it names the one that is wrong and not the rest, which is a credential where somebody is used to
// curl's -u.
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

// kinds are the types of flags in words, with a value for an example.
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

// OneOf says that at most one of the flags may be given, if several are.
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

// Kubeconfig returns an error about a kubeconfig without the parser's words for it.
func Kubeconfig(err error) error {
	if missing, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s cannot be read: %w", missing.Path, missing.Err)
	}
	if strings.Contains(err.Error(), "error loading config file") {
		return errors.New("the file is not a kubeconfig: give one that kubectl works with")
	}
	return err
}

// Listen returns an error of listening at an address, with the fix.
func Listen(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("another process listens at %s: stop it, or give another port", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("this machine has no address %s: give one of its own, or :PORT for all of them", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("this user may not listen at %s: give a port from 1024 on", address)
	default:
		return err
	}
}

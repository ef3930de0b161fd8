package usage

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestFlagErrorsAreSentencesWithTheFix(t *testing.T) {
	for sentence, test := range map[string]struct{ argument, want string }{
		"an unknown flag":                 {"--observ", `there is no flag --observ`},
		"an unknown flag with a value":    {"--observ=x", `there is no flag --observ`},
		"an unknown letter":               {"-usecret", `there is no flag -u`},
		"an unknown letter behind others": {"-vsecret", `there is no flag -s`},
		"no value":                        {"--timeout", `--timeout has no value: write --timeout=30s`},
		"no value of a text":              {"--name", `--name has no value: write --name=VALUE`},
		"no value of a letter":            {"-n", `--name has no value: write --name=VALUE`},
		"a number without a unit":         {"--timeout=5", `--timeout: "5" is not a duration: write --timeout=30s`},
		"a word for a number":             {"--most=x", `--most: "x" is not a whole number: write --most=10`},
		"a word for a switch":             {"--verbose=maybe", `--verbose: "maybe" is not true or false: write --verbose=true`},
		"no name":                         {"--=x", `"--=x" is not a flag: write --NAME or --NAME=VALUE`},
		"three hyphens":                   {"---name", `"---name" is not a flag: write --NAME or --NAME=VALUE`},
	} {
		t.Run(sentence, func(t *testing.T) {
			flags := pflag.NewFlagSet("", pflag.ContinueOnError)
			flags.StringP("name", "n", "", "")
			flags.Duration("timeout", time.Second, "")
			flags.Int("most", 0, "")
			flags.BoolP("verbose", "v", false, "")
			if err := Flag(flags.Parse([]string{test.argument})); err == nil || err.Error() != test.want {
				t.Errorf("%s: %v, want %s", test.argument, err, test.want)
			}
		})
	}
	if other := errors.New("other"); Flag(other) != other || Flag(pflag.ErrHelp) != pflag.ErrHelp {
		t.Error("an error of another kind is not returned as it is")
	}
}

func TestOneOf(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, name := range []string{"a", "b", "c"} {
		flags.String(name, "", "")
	}
	if err := flags.Parse([]string{"--a=", "--c=x"}); err != nil {
		t.Fatal(err)
	}
	if err := OneOf(flags, "a", "b"); err != nil {
		t.Error(err)
	}
	if err := OneOf(flags, "a", "b", "c"); err == nil || err.Error() != "give only one of --a and --c" {
		t.Error(err)
	}
}

func TestListen(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address := listener.Addr().String()
	_, err = net.Listen("tcp", address)
	if got := Listen(address, err); !strings.HasPrefix(got.Error(), "another process listens at "+address+": stop it") {
		t.Error(got)
	}
	_, err = net.Listen("tcp", "192.0.2.1:0")
	if got := Listen("192.0.2.1:0", err); !strings.HasPrefix(got.Error(), "this machine has no address 192.0.2.1:0: give") {
		t.Error(got)
	}
}

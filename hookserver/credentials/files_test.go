package credentials

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
)

func TestLoad(t *testing.T) {
	const value = "sixteen-bytes-xx"
	for sentence, test := range map[string]struct {
		files map[string]string
		want  []string // accepted
		error string   // part of it; must not hold what is in a file
	}{
		"as it is":                       {map[string]string{"a": value}, []string{"a"}, ""},
		"with a final newline":           {map[string]string{"a": value + "\n"}, []string{"a"}, ""},
		"with a final CRLF":              {map[string]string{"a": value + "\r\n"}, []string{"a"}, ""},
		"with a space inside":            {map[string]string{"a": "Basic " + value}, []string{"a"}, ""},
		"several, and hidden files":      {map[string]string{"b": value + "b", "a": value, ".hidden": "x", "..data": ""}, []string{"a", "b"}, ""},
		"1024 bytes":                     {map[string]string{"a": strings.Repeat("x", 1024)}, []string{"a"}, ""},
		"1024 bytes and a CRLF":          {map[string]string{"a": strings.Repeat("x", 1024) + "\r\n"}, []string{"a"}, ""},
		"1024 bytes, a CRLF and more":    {map[string]string{"a": strings.Repeat("x", 1024) + "\r\nx"}, nil, `file "a"`},
		"the first and last visible":     {map[string]string{"a": "!" + value + "~"}, []string{"a"}, ""},
		"a DEL":                          {map[string]string{"a": value + "\x7f"}, nil, `file "a"`},
		"a name of 253 bytes":            {map[string]string{strings.Repeat("n", 253): value}, []string{strings.Repeat("n", 253)}, ""},
		"a name of 254 bytes":            {map[string]string{strings.Repeat("n", 254): value}, nil, `name it with letters`},
		"no file":                        {map[string]string{}, nil, "no file can be used"},
		"hidden files only":              {map[string]string{".a": value}, nil, "no file can be used"},
		"15 bytes":                       {map[string]string{"a": value[1:]}, nil, `file "a"`},
		"1025 bytes":                     {map[string]string{"a": strings.Repeat("x", 1025)}, nil, `file "a"`},
		"1024 bytes and two newlines":    {map[string]string{"a": strings.Repeat("x", 1024) + "\n\n"}, nil, `file "a"`},
		"a megabyte":                     {map[string]string{"a": strings.Repeat("x", 1<<20)}, nil, `file "a"`},
		"two final newlines":             {map[string]string{"a": value + "\n\n"}, nil, `file "a"`},
		"a carriage return only":         {map[string]string{"a": value + "\r"}, nil, `file "a"`},
		"a space at the end":             {map[string]string{"a": value + " \n"}, nil, `file "a"`},
		"a space at the beginning":       {map[string]string{"a": " " + value}, nil, `file "a"`},
		"two spaces":                     {map[string]string{"a": "Basic  " + value}, nil, `file "a"`},
		"a tab":                          {map[string]string{"a": "Basic\t" + value}, nil, `file "a"`},
		"a letter beyond ASCII":          {map[string]string{"a": value + "é"}, nil, `file "a"`},
		"a NUL":                          {map[string]string{"a": value + "\x00"}, nil, `file "a"`},
		"an empty file":                  {map[string]string{"a": ""}, nil, `file "a"`},
		"a bad file beside a good one":   {map[string]string{"a": value, "b": "secret"}, []string{"a"}, ""},
		"a file whose name is no name":   {map[string]string{"a b": value}, nil, `file "a b"`},
		"every bad file is named, first": {map[string]string{"a": "secret", "b": "secret"}, nil, `file "a"`},
		"every bad file is named, last":  {map[string]string{"a": "secret", "b": "secret"}, nil, `file "b"`},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range test.files {
				writeFile(t, dir, name, content)
			}
			log := new(bytes.Buffer)
			files, err := Load(dir, jsonLogger(log))
			if test.error != "" {
				if err == nil || !strings.Contains(err.Error(), test.error) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("got %v, want %q", err, test.error)
				}
				for _, content := range test.files {
					if len(content) > 3 && strings.Contains(err.Error(), content) {
						t.Errorf("the error shows what is in the file: %v", err)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, files.Names()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for _, name := range files.Names() {
				wire := strings.TrimRight(test.files[name], "\r\n")
				if got, ok := files.Match(wire); !ok || got != name {
					t.Errorf("match: %q, %t; want %q", got, ok, name)
				}
			}
			if strings.Contains(log.String(), value) {
				t.Errorf("the log shows a value: %s", log.String())
			}
		})
	}
}

func TestLoadFromWhatIsNoFile(t *testing.T) {
	t.Run("no directory", func(t *testing.T) {
		if _, err := Load(filepath.Join(t.TempDir(), "none"), logr.Discard()); err == nil {
			t.Error("no error")
		}
	})
	t.Run("a directory in it", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "a"), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir, logr.Discard()); err == nil || !strings.Contains(err.Error(), "regular") {
			t.Error(err)
		}
	})
	t.Run("a link to nothing", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Symlink("nothing", filepath.Join(dir, "a")); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir, logr.Discard()); err == nil {
			t.Error("no error")
		}
	})
	t.Run("more than can be", func(t *testing.T) {
		dir := t.TempDir()
		for i := range maxFiles + 1 {
			writeFile(t, dir, fmt.Sprintf("c%02d", i), fmt.Sprintf("sixteen-bytes-%d", 10+i))
		}
		log := new(bytes.Buffer)
		files, err := Load(dir, jsonLogger(log))
		if err != nil || len(files.Names()) != maxFiles || !strings.Contains(log.String(), `\"c32\"`) {
			t.Errorf("%v, the log is %s", err, log.String())
		}
	})
}

// A start tolerates the same files as a running server: a bad file does not affect the good ones.
func TestABadFileDoesNotStopTheNextStart(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "good", "sixteen-bytes-xx")
	running, err := Load(dir, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "bad", "short-secret")
	running.reload()
	log := new(bytes.Buffer)
	restarted, err := Load(dir, jsonLogger(log))
	if err != nil {
		t.Fatal(err)
	}
	for sentence, files := range map[string]*Files{"running": running, "restarted": restarted} {
		if diff := cmp.Diff([]string{"good"}, files.Names()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", sentence, diff)
		}
		if _, ok := files.Match("short-secret"); ok {
			t.Errorf("%s: the bad value is accepted", sentence)
		}
		if n := files.faults.Load(); n != 1 {
			t.Errorf("%s: %d faults counted", sentence, n)
		}
	}
	if strings.Count(log.String(), `"level":"ERROR","msg":"Credentials not accepted"`) != 1 || !strings.Contains(log.String(), `file \"bad\"`) ||
		strings.Contains(log.String(), "short-secret") {
		t.Errorf("the log of the start is %s", log.String())
	}
}

func TestTheExampleOfOktasDocumentationWorksButWarns(t *testing.T) {
	dir, log := t.TempDir(), new(bytes.Buffer)
	writeFile(t, dir, "current", documentedExample)
	files, err := Load(dir, jsonLogger(log))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := files.Match(documentedExample); !ok {
		t.Error("not accepted")
	}
	const warning = `"level":"WARN","msg":"Credential is the example in Okta's documentation: replace it"`
	if strings.Count(log.String(), warning) != 1 || strings.Contains(log.String(), documentedExample) {
		t.Error(log.String())
	}
}

func TestAChangeOfTheDirectory(t *testing.T) {
	const first, second, third = "the-first-credential", "the-second-credential", "the-third-credential"
	for sentence, test := range map[string]struct {
		change   func(t *testing.T, dir string)
		accepted []string // of first (file a), second (file b), third
		faults   int64
	}{
		"nothing": {func(*testing.T, string) {}, []string{first, second}, 0},
		"another file": {func(t *testing.T, dir string) {
			writeFile(t, dir, "c", third)
		}, []string{first, second, third}, 0},
		"a file removed": {func(t *testing.T, dir string) {
			remove(t, dir, "a")
		}, []string{second}, 0},
		"every file removed": {func(t *testing.T, dir string) {
			remove(t, dir, "a")
			remove(t, dir, "b")
		}, nil, 0},
		"a value replaced": {func(t *testing.T, dir string) {
			writeFile(t, dir, "a", third)
		}, []string{second, third}, 0},
		"a value replaced by what is not fit, and another file removed": {func(t *testing.T, dir string) {
			writeFile(t, dir, "a", "short")
			remove(t, dir, "b")
		}, nil, 1},
		"an unfit file beside": {func(t *testing.T, dir string) {
			writeFile(t, dir, "c", "short")
		}, []string{first, second}, 1},
		"a file that cannot be read, and another one removed": {func(t *testing.T, dir string) {
			remove(t, dir, "a")
			if err := os.Symlink("a", filepath.Join(dir, "a")); err != nil { // a loop: ELOOP, even for root
				t.Fatal(err)
			}
			remove(t, dir, "b")
		}, []string{first}, 1},
		"a link whose target is gone": {func(t *testing.T, dir string) {
			remove(t, dir, "a")
			if err := os.Symlink("nothing", filepath.Join(dir, "a")); err != nil {
				t.Fatal(err)
			}
		}, []string{second}, 0},
		"a directory that cannot be read": {func(t *testing.T, dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}, []string{first, second}, 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "auth")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			writeFile(t, dir, "a", first)
			writeFile(t, dir, "b", second)
			log := new(bytes.Buffer)
			files, err := Load(dir, jsonLogger(log))
			if err != nil {
				t.Fatal(err)
			}
			test.change(t, dir)
			files.reload()
			files.reload() // says nothing new
			for _, value := range []string{first, second, third} {
				if _, ok := files.Match(value); ok != slices.Contains(test.accepted, value) {
					t.Errorf("%s: accepted %t", value, ok)
				}
				if strings.Contains(log.String(), value) {
					t.Errorf("the log shows a value: %s", log.String())
				}
			}
			wanted := 1 // the line of Load
			if len(test.accepted) > 0 && !slices.Equal(test.accepted, []string{first, second}) {
				wanted = 2
			}
			if got := strings.Count(log.String(), "Credentials accepted"); got != wanted {
				t.Errorf("accepted credentials are logged %d times, want %d\n%s", got, wanted, log.String())
			}
			if got := files.faults.Load(); got != test.faults {
				t.Errorf("%d faults, want %d", got, test.faults)
			}
			if got := strings.Count(log.String(), "Credentials not accepted"); int64(got) != test.faults {
				t.Errorf("%d faults in the log:\n%s", got, log.String())
			}
			if got, want := strings.Count(log.String(), "No credential is left"), len(test.accepted) == 0; (got == 1) != want {
				t.Errorf("that none is left is logged %d times; none is: %t\n%s", got, want, log.String())
			}
		})
	}
}

func TestADirectoryThatCannotBeWatchedIsLogged(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a", "the-first-credential")
	log := new(bytes.Buffer)
	files, err := Load(dir, jsonLogger(log))
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, want := range []int{0, 1} {
		if err := files.Run(ended); err != nil {
			t.Error(err)
		}
		if got := strings.Count(log.String(), "Credentials are not watched, only polled"); got != want {
			t.Errorf("logged %d times, want %d:\n%s", got, want, log.String())
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// A file that cannot be read keeps its value, but not beyond the limit.
func TestAReadErrorDoesNotExceedTheLimit(t *testing.T) {
	dir := t.TempDir()
	value := func(name string) string { return "the-credential-" + name }
	var names []string
	for i := range maxFiles {
		names = append(names, fmt.Sprintf("c%02d", i))
		writeFile(t, dir, names[i], value(names[i]))
	}
	files, err := Load(dir, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	last := names[maxFiles-1]
	remove(t, dir, last)
	if err := os.Symlink(last, filepath.Join(dir, last)); err != nil { // a loop: ELOOP, even for root
		t.Fatal(err)
	}
	files.reload()
	if diff := cmp.Diff(names, files.Names()); diff != "" {
		t.Errorf("within the limit (-want +got)\n%s", diff)
	}
	writeFile(t, dir, "a", value("a"))
	files.reload()
	if diff := cmp.Diff(append([]string{"a"}, names[:maxFiles-1]...), files.Names()); diff != "" {
		t.Errorf("beyond the limit (-want +got)\n%s", diff)
	}
	if _, ok := files.Match(value(last)); ok {
		t.Error("a value beyond the limit is accepted")
	}
}

func TestUsesAreCountedByName(t *testing.T) {
	const first, second = "the-first-credential", "the-second-credential"
	dir := t.TempDir()
	writeFile(t, dir, "a", first)
	writeFile(t, dir, "b", second)
	files, err := Load(dir, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	match := func(values ...string) {
		for _, value := range values {
			files.Match(value)
		}
	}
	match(first, first, second, "the-third-credential")
	writeFile(t, dir, "a", "the-third-credential")
	files.reload()
	match(first, "the-third-credential")
	if diff := cmp.Diff(State{Names: []string{"a", "b"}, Uses: []uint64{3, 1}}, files.State()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Two files may have the same value, such as during a rotation of names. A call then counts for the first.
func TestAValueInTwoFilesCountsForTheFirst(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a", "the-first-credential")
	writeFile(t, dir, "b", "the-first-credential")
	files, err := Load(dir, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := files.Match("the-first-credential"); !ok || name != "a" {
		t.Errorf("%q, %t; want a", name, ok)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// jsonLogger returns a logger that writes its lines to a buffer.
func jsonLogger(out *bytes.Buffer) logr.Logger {
	return logr.FromSlogHandler(slog.NewJSONHandler(out, nil))
}

func writeFile(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

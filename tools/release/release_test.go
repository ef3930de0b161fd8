package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOnlyAReleasesVersionAndImageAreTaken(t *testing.T) {
	for _, test := range []struct{ version, image, want string }{
		{"1.2.3", "operator:1.2.3", `version "1.2.3": write it as v1.2.3`},
		{"v1.2", "operator:1.2", `version "v1.2": write it as v1.2.3`},
		{"v01.2.3", "operator:01.2.3", `version "v01.2.3": write it as v1.2.3`},
		{"v1.2.3", "operator", `image "operator": write it as REPOSITORY:TAG`},
		{"v1.2.3", "registry.example.com:5000/operator", `image "registry.example.com:5000/operator": write it as REPOSITORY:TAG`},
		{"v1.2.3", "operator:1.2.4", `image "operator:1.2.4": the chart expects the tag 1.2.3`},
		{"v1.2.3-rc.1", "registry.example.com:5000/operator:1.2.3-rc.1", "no commit"},
	} {
		o := options{version: test.version, image: test.image, root: t.TempDir()}
		err := o.run(t.Context(), io.Discard)
		if test.want == "no commit" {
			if err == nil || !strings.Contains(err.Error(), "git log") {
				t.Errorf("%s in a directory without a repository: %v", test.version, err)
			}
			continue
		}
		if err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}

func TestTheRootsAreThoseThatAreTrustedWithoutConditions(t *testing.T) {
	text, err := publicRoots()
	if err != nil {
		t.Fatal(err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		t.Error("no certificate can be read")
	}
	if got := bytes.Count(text, []byte("BEGIN CERTIFICATE")); got < 80 {
		t.Errorf("%d certificates, want at least 80", got)
	}
}

func TestAnArchiveIsSortedAndHasItsDirectories(t *testing.T) {
	at := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	text, err := tarOf(map[string]file{"etc/ssl/b": {0o444, []byte("b")}, "a": {0o555, nil}, "etc/ssl/a": {0o444, nil}}, at)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for archive := tar.NewReader(bytes.NewReader(text)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(at) || header.Uid != 0 || header.Uname != "" {
			t.Errorf("%+v", header)
		}
		names = append(names, header.Name)
	}
	if want := []string{"a", "etc/", "etc/ssl/", "etc/ssl/a", "etc/ssl/b"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestAManualPageHasWhatTheHelpHas(t *testing.T) {
	helps := map[string]string{
		"": "What it does.\n.dotted\n\nUsage:\n  regpol [command]\n\n" +
			"Available Commands:\n  completion  Scripts\n  lists       Write 'lists'\n\n" +
			"Flags:\n  -h, --help   help\n\nUse \"regpol [command] --help\" for more.\n",
		"lists":      "Lists.\n\nUsage:\n  regpol lists [command]\n\nAvailable Commands:\n  sync        Write a list\n",
		"lists sync": "Sync.\n\nUsage:\n  regpol lists sync NAME\n\nFlags:\n      --max-size string   the limit (default \"32Mi\")\n",
	}
	pages, err := manualPages(func(words ...string) (string, error) { return helps[strings.Join(words, " ")], nil }, "v1.2.3",
		time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) != 3 {
		t.Errorf("%d pages, want 3", len(pages))
	}
	for page, want := range map[string]string{
		"regpol.1": ".TH REGPOL 1 2026-11-28 \"regpol v1.2.3\" \"regpol\"\n.ad l\n.SH NAME\nregpol \\- check, test, compare and explain policies " +
			"about who may sign up to an Okta org\n" +
			".SH SYNOPSIS\n.nf\n  regpol [command]\n.fi\n.SH DESCRIPTION\n.nf\nWhat it does.\n\\&.dotted\n.fi\n" +
			".SH COMMANDS\n.nf\n  completion  Scripts\n  lists       Write \\(aqlists\\(aq\n.fi\n" +
			".SH OPTIONS\n.TP\n\\fB\\-h, \\-\\-help\\fR\nhelp\n.SH SEE ALSO\n.BR regpol\\-lists (1)\n",
		"regpol-lists.1": ".SH SEE ALSO\n.BR regpol (1),\n.BR regpol\\-lists\\-sync (1)\n",
		"regpol-lists-sync.1": "\n.SH OPTIONS\n.TP\n\\fB\\-\\-max\\-size string\\fR\nthe limit (default \"32Mi\")\n.SH SEE ALSO\n" +
			".BR regpol\\-lists (1)\n",
	} {
		if !strings.HasSuffix(pages[page], want) {
			t.Errorf("%s is\n%s\nwant at its end\n%s", page, pages[page], want)
		}
	}
}

func TestTheImagesRepositoryMayHaveAPort(t *testing.T) {
	b := &build{options: &options{image: "registry.example.com:5000/okta/operator:1.2.3"}}
	if repository, tag := b.repositoryAndTag(); repository != "registry.example.com:5000/okta/operator" || tag != "1.2.3" {
		t.Errorf("%s and %s", repository, tag)
	}
}

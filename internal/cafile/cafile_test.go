package cafile

import (
	"bytes"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	block := func(kind string, content []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	one := block("CERTIFICATE", server.Certificate().Raw)
	for sentence, test := range map[string]struct {
		text  string
		count int
		want  string
	}{
		"one certificate":                        {one, 1, ""},
		"several, with remarks and other blocks": {"# Acme\n" + one + block("PRIVATE KEY", []byte("x")) + "# Beta\n" + one, 2, ""},
		"nothing":                                {"", 0, "has no certificate in PEM"},
		"only a key":                             {block("PRIVATE KEY", []byte("x")), 0, "has no certificate in PEM"},
		"a certificate that is damaged":          {one + block("CERTIFICATE", []byte("x")), 0, "certificate 2 of "},
		"a file that is too large":               {one + strings.Repeat("#", maxBytes), 0, "is larger than 1048576 bytes"},
	} {
		t.Run(sentence, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "ca.crt")
			if err := os.WriteFile(name, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Read(name)
			if len(got) != test.count || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%d certificates, %v, want %d, %q", len(got), err, test.count, test.want)
			}
			for _, certificate := range got {
				if !bytes.Equal(certificate.Raw, server.Certificate().Raw) {
					t.Error("another certificate")
				}
			}
		})
	}
	if _, err := Read(filepath.Join(t.TempDir(), "away")); !os.IsNotExist(err) {
		t.Errorf("a missing file: %v", err)
	}
}

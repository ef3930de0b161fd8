package manual

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEachPictureStandsOnItsOwn(t *testing.T) {
	pictures, err := filepath.Glob(filepath.Join(docs, "*.svg"))
	if err != nil || len(pictures) == 0 {
		t.Fatalf("no pictures: %v", err)
	}
	for _, picture := range pictures {
		t.Run(filepath.Base(picture), func(t *testing.T) { checkPicture(t, picture) })
	}
}

func checkPicture(t *testing.T, picture string) {
	text, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(strings.NewReader(string(text)))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if element.Name.Local == "script" || element.Name.Local == "image" {
			t.Errorf("<%s>: where a page shows the picture as an image, nothing runs and nothing is fetched", element.Name.Local)
		}
		for _, attribute := range element.Attr {
			if attribute.Name.Local == "fill" || attribute.Name.Local == "stroke" {
				t.Errorf("<%s %s>: give it a class, so that it has a colour in light and in dark", element.Name.Local, attribute.Name.Local)
			}
		}
	}
	for _, part := range []string{"prefers-color-scheme: dark", "<title", "<desc"} { //nolint:misspell // CSS spells it so
		if !strings.Contains(string(text), part) {
			t.Errorf("the picture has no %s", part)
		}
	}
	for _, fetched := range []string{"@import", "url(http", "@font-face"} {
		if strings.Contains(string(text), fetched) {
			t.Errorf("the picture fetches something: %s", fetched)
		}
	}
}

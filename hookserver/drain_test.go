package hookserver

import (
	"net/http"
	"strings"
	"testing"
)

func TestADrainingServerAnswersAndKeepsNoConnection(t *testing.T) {
	server := run(t)
	closes := func() bool {
		t.Helper()
		request, err := http.NewRequest(http.MethodPost, "http://"+server.address+DefaultPath, strings.NewReader(signUp("jo@example.com", "jo")))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", secret)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("status %d", response.StatusCode)
		}
		return response.Close
	}
	if closes() {
		t.Error("a connection is closed although nothing drains")
	}
	server.server.Drain()
	for range 2 {
		if !closes() {
			t.Error("a connection is kept although the server drains")
		}
	}
}

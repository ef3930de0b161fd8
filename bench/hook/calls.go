package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"registrationpolicy.dev/operator/internal/oktasim"
)

// callCase is a kind of call.
type callCase struct {
	name  string
	email string
	want  oktasim.Outcome
}

func cases() []callCase {
	return []callCase{
		{"allowed", "jo@" + domain(0), oktasim.Registered},
		{"not allowed", "jo@mail.elsewhere.example.org", oktasim.Denied},
	}
}

// check makes one call, and returns its body and the length of the answer. It fails if the answer is not the expected
// one, because a comparison would then be meaningless.
func (c callCase) check(ctx context.Context, address string) (body []byte, answerBytes int, _ error) {
	call, err := oktasim.Registration{Email: c.email, RequestID: "reqQFcZNuvhRj2VZbngrI2ZJA"}.Call()
	if err != nil {
		return nil, 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+path, bytes.NewReader(call.Body))
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", credential)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, 0, err
	}
	result := oktasim.Read(call.Shape, oktasim.Answer{
		Status: response.StatusCode, ContentType: response.Header.Get("Content-Type"), Body: answer,
	})
	if result.Outcome != c.want || len(result.Faults) > 0 {
		return nil, 0, fmt.Errorf("the call is %s, want %s; faults: %q", result.Outcome, c.want, result.Faults)
	}
	return call.Body, len(answer), nil
}

// wireRequest returns the HTTP/1.1 request of a call, as Okta sends it.
func wireRequest(address string, body []byte) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Okta-Integrations\r\n"+
		"Content-Type: application/json\r\nX-Okta-Request-Id: reqQFcZNuvhRj2VZbngrI2ZJA\r\nAuthorization: %s\r\n"+
		"Content-Length: %d\r\n\r\n%s", path, address, credential, len(body), body)
}

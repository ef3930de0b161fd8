package okta_test

import (
	"testing"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/cost"
)

// operations are what the wire format costs a call.
func operations(tb testing.TB) []cost.Operation {
	tb.Helper()
	decode := func(r oktasim.Registration) func() {
		r.EventID, r.RequestID = "04Dmt8BcT_aEgM", "reqQFcZNuvhRj2VZbngrI2ZJA"
		call, err := r.Call()
		if err != nil {
			tb.Fatal(err)
		}
		return func() {
			if _, err := okta.Decode(call.Body, emailAndLogin); err != nil {
				tb.Error(err)
			}
		}
	}
	encode := func(response okta.Response) func() {
		buffer := make([]byte, 0, 4096)
		return func() {
			if _, err := response.Encode(buffer); err != nil {
				tb.Error(err)
			}
		}
	}
	const email = "rosario.jones@example.com"
	return []cost.Operation{
		{Name: "decode/sign-up", Allocations: 2, Run: decode(oktasim.Registration{Email: email})},
		{Name: "decode/Classic", Allocations: 2, Run: decode(oktasim.Registration{Shape: oktasim.ClassicSignUp, Email: email})},
		{Name: "decode/progressive", Allocations: 2, Run: decode(oktasim.Registration{
			Shape: oktasim.ProgressiveProfile, Login: email, Update: map[string]any{"email": email},
		})},
		{Name: "answer/allowed", Allocations: 0, Run: encode(okta.Allow([]okta.Value{{Name: "userType", JSON: `"Partner"`}}))},
		{Name: "answer/denied", Allocations: 0, Run: encode(okta.Deny("Please sign up with your address.", "EMAIL_NOT_ALLOWED", "email"))},
	}
}

func BenchmarkCost(b *testing.B) { cost.Benchmark(b, operations(b)) }

func TestCost(t *testing.T) { cost.Check(t, operations(t)) }

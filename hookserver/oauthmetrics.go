package hookserver

import (
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/hookserver/oauth"
)

var (
	oauthKeysDesc = prometheus.NewDesc(metricPrefix+"oauth_keys",
		"Keys of the OAuth issuer that verify tokens now.", nil, nil)
	oauthKeysAgeDesc = prometheus.NewDesc(metricPrefix+"oauth_keys_age_seconds",
		"Time since the keys of the OAuth issuer were last fetched.", nil, nil)
	oauthFetchesDesc = prometheus.NewDesc(metricPrefix+"oauth_key_fetches_total",
		"Fetches of the keys of the OAuth issuer.", []string{"result"}, nil)
)

// collectOAuth sends the metrics of a verifier. Accepted tokens are counted by client, as credentials are by file: the
// counters show during a rotation when the old client is no longer in use.
func collectOAuth(state oauth.State, out chan<- prometheus.Metric) {
	series := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	for i, client := range state.ClientIDs {
		series(authenticationsDesc, prometheus.CounterValue, float64(state.Accepted[i]), oauthCredential+client, authAccepted)
	}
	series(oauthKeysDesc, prometheus.GaugeValue, float64(state.Keys))
	if state.Fetched > 0 {
		series(oauthKeysAgeDesc, prometheus.GaugeValue, state.Age.Seconds())
	}
	series(oauthFetchesDesc, prometheus.CounterValue, float64(state.Fetched), "fetched")
	series(oauthFetchesDesc, prometheus.CounterValue, float64(state.Failed), "failed")
}

package hookserver

import "net/http"

// healthMethods is the Allow header of the health path.
const healthMethods = http.MethodGet + ", " + http.MethodHead

// isHealthCheck reports whether a request is for Options.HealthPath.
func (s *Server) isHealthCheck(r *http.Request) bool {
	return s.options.HealthPath != "" && r.URL.Path == s.options.HealthPath && r.URL.RawPath == ""
}

// healthCheck answers 200 while the replica is ready for calls, else 503, both without a body. It is for load balancers
// that check the port to which they send calls. The answer is neither counted nor logged, because such checks would
// exceed the calls by far. Like every unauthenticated request, it closes its connection.
func (s *Server) healthCheck(w http.ResponseWriter, r *http.Request) reply {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", healthMethods)
		return s.refuse(w, r, wrongMethod)
	}
	closeAfter(w, r, true)
	if !s.options.Ready() {
		return reply{status: http.StatusServiceUnavailable, uncounted: true}
	}
	return reply{status: http.StatusOK, uncounted: true}
}

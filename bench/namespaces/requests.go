package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

// watchList is the verb of a watch with sendInitialEvents. To the API server it is a watch, but it costs as much as a
// list.
const watchList = "watch-list"

// request describes a request as RequestInfo of k8s.io/apiserver does.
type request struct {
	client string // the replica
	verb   string // list, watch, watch-list, get, create, update, patch, delete, deletecollection
	// resource includes the subresource after a slash. It is the URL path if the request is not for a resource.
	resource  string
	namespace string
}

// lists reports whether the request reads all objects of a kind in a namespace.
func (r request) lists() bool { return r.verb == "list" || r.verb == watchList }

// parseRequest describes a request by its method, path and query.
func parseRequest(client string, r *http.Request) request {
	parsed := request{client: client, verb: strings.ToLower(r.Method), resource: r.URL.Path}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api": // /api/v1/…
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis": // /apis/GROUP/VERSION/…
		parts = parts[3:]
	default:
		return parsed
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parsed.namespace, parts = parts[1], parts[2:]
	}
	parsed.resource = parts[0]
	named := len(parts) > 1
	if len(parts) > 2 {
		parsed.resource += "/" + parts[2]
	}
	query := r.URL.Query()
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		switch {
		case query.Get("watch") == "true" || query.Get("watch") == "1":
			parsed.verb = "watch"
			if query.Get("sendInitialEvents") == "true" {
				parsed.verb = watchList
			}
		case named:
			parsed.verb = "get"
		default:
			parsed.verb = "list"
		}
	case http.MethodPost:
		parsed.verb = "create"
	case http.MethodPut:
		parsed.verb = "update"
	case http.MethodDelete:
		if !named {
			parsed.verb = "deletecollection"
		}
	}
	return parsed
}

// counts counts requests. Its methods are safe for concurrent use.
type counts struct {
	mu      sync.Mutex
	made    map[request]int
	refused map[refusal]int // of those made
}

// refusal is a request with its status, 400 or more.
type refusal struct {
	request

	status int
}

func newCounts() *counts { return &counts{made: map[request]int{}, refused: map[refusal]int{}} }

func (c *counts) add(r request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made[r]++
}

func (c *counts) refuse(r request, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused[refusal{r, status}]++
}

// snapshot returns a copy of the current counts.
func (c *counts) snapshot() *counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &counts{made: maps.Clone(c.made), refused: maps.Clone(c.refused)}
}

// since returns the requests since an earlier snapshot.
func (c *counts) since(earlier *counts) *counts {
	now := c.snapshot()
	subtract(now.made, earlier.made)
	subtract(now.refused, earlier.refused)
	return now
}

func subtract[Key comparable](from, less map[Key]int) {
	for key, n := range less {
		if from[key] -= n; from[key] == 0 {
			delete(from, key)
		}
	}
}

// lists returns the number of lists.
func (c *counts) lists() int {
	sum := 0
	for r, n := range c.made {
		if r.lists() {
			sum += n
		}
	}
	return sum
}

// of returns the number of requests with a verb for a resource that were not refused.
func (c *counts) of(verb, resource string) int {
	sum := 0
	for r, n := range c.made {
		if r.verb == verb && r.resource == resource {
			sum += n
		}
	}
	for r, n := range c.refused {
		if r.verb == verb && r.resource == resource {
			sum -= n
		}
	}
	return sum
}

// print prints the number of requests, namespaces and clients for each verb and resource.
func (c *counts) print(to io.Writer) {
	type kind struct{ verb, resource string }
	type sum struct {
		made       int
		refused    map[int]int // by status
		namespaces map[string]bool
		clients    map[string]int
	}
	sums := map[kind]*sum{}
	for r, n := range c.made {
		k := kind{r.verb, r.resource}
		s, found := sums[k]
		if !found {
			s = &sum{refused: map[int]int{}, namespaces: map[string]bool{}, clients: map[string]int{}}
			sums[k] = s
		}
		s.made += n
		s.namespaces[r.namespace] = true
		s.clients[r.client] += n
	}
	for r, n := range c.refused {
		if s := sums[kind{r.verb, r.resource}]; s != nil {
			s.refused[r.status] += n
		}
	}
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, k := range slices.SortedFunc(maps.Keys(sums), func(a, b kind) int {
		return cmp.Or(cmp.Compare(sums[b].made, sums[a].made), cmp.Compare(a.verb, b.verb), cmp.Compare(a.resource, b.resource))
	}) {
		s := sums[k]
		var by []string
		for _, client := range slices.Sorted(maps.Keys(s.clients)) {
			by = append(by, fmt.Sprintf("%s %d", client, s.clients[client]))
		}
		refused := ""
		for _, status := range slices.Sorted(maps.Keys(s.refused)) {
			refused += fmt.Sprintf("; %d answered %d", s.refused[status], status)
		}
		fmt.Fprintf(table, "    %d\t%s\t%s\tof %d namespaces\t%s%s\n", s.made, k.verb, k.resource, len(s.namespaces), strings.Join(by, ", "), refused)
	}
	_ = table.Flush()
}

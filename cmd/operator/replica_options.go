package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// minFence is the smallest --fence-after. A replica reports every 10 s. With less, it would answer 503 after two
	// failed reports in a row.
	minFence = 30 * time.Second
	// minStaleness is the smallest --max-staleness. An idle watch gets a bookmark about once a minute: with less, an idle
	// replica could become unready.
	minStaleness = 2 * time.Minute
	// maxReplicaName is the longest --replica-name. A replica reports in a Lease, whose name of at most 253 characters
	// also contains --lease-name, up to 63 characters, and a suffix if another process has the same replica name.
	maxReplicaName = 180
)

func (o *options) setReplicaName() error {
	if o.replicaName != "" {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("--replica-name: required, because the host name cannot be read: %w", err)
	}
	o.replicaName = strings.ToLower(host)
	return nil
}

// validateReplica calls bad for each invalid flag about replicas in a cluster.
func (o *options) validateReplica(bad func(flag, format string, args ...any)) {
	if o.fenceAfter != 0 && o.fenceAfter < minFence {
		bad("fence-after", "%s is less than %s: a replica reports every 10s, and two reports may fail", o.fenceAfter, minFence)
	}
	if o.maxStaleness != 0 && o.maxStaleness < minStaleness {
		bad("max-staleness", "%s is less than %s: an idle watch gets a bookmark about once a minute", o.maxStaleness, minStaleness)
	}
	if o.policyDir != "" {
		for _, flag := range []struct {
			name string
			set  bool
		}{
			{"fence-after", o.fenceAfter != 0}, {"max-staleness", o.maxStaleness != 0}, {"service-name", o.serviceName != ""},
		} {
			if flag.set {
				bad(flag.name, "has no effect with --policy-dir, which runs without a cluster; leave it out")
			}
		}
		return
	}
	o.validateNames(bad)
}

// validateNames calls bad for each name that no object can have. Otherwise the API server would refuse it only after
// the start.
func (o *options) validateNames(bad func(flag, format string, args ...any)) {
	for _, label := range []struct{ flag, value string }{{"lease-name", o.leaseName}, {"service-name", o.serviceName}} {
		if label.flag == "service-name" && label.value == "" {
			continue
		}
		// Both names are also label values, so they may not exceed validation.LabelValueMaxLength: Leases have a label with
		// the lease name, EndpointSlices one with the name of the Service.
		problems := validation.IsDNS1123Subdomain(label.value)
		if len(label.value) > validation.LabelValueMaxLength {
			problems = append(problems, fmt.Sprintf("it has %d characters", len(label.value)))
		}
		if len(problems) > 0 {
			bad(label.flag, "%q: write at most %d lower-case letters, digits, - and .", label.value, validation.LabelValueMaxLength)
		}
	}
	if problems := validation.IsDNS1123Subdomain(o.replicaName); len(problems) > 0 || len(o.replicaName) > maxReplicaName {
		bad("replica-name", "%q: write at most %d lower-case letters, digits, - and ., as in a pod's name", o.replicaName, maxReplicaName)
	}
	if problems := validation.IsDNS1123Label(o.namespace); o.namespace != "" && len(problems) > 0 {
		bad("namespace", "%q is not the name of a namespace: %s", o.namespace, problems[0])
	}
}

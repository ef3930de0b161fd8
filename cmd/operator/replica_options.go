package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// minFence is the least --fence-after: a replica reports every 10 s, and two of its reports may fail.
	minFence = 30 * time.Second
	// minStaleness is the least --max-staleness: a watch of which nothing changes is heard of about once a minute.
	minStaleness = 2 * time.Minute
	// maxReplicaName leaves room in the name of an object for that of the lease before it, which has up to 63 characters, and for what
	// tells two processes of one name apart.
	maxReplicaName = 180
)

func (o *options) setReplicaName() error {
	if o.replicaName != "" {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("--replica-name: required where the host has no name: %w", err)
	}
	o.replicaName = strings.ToLower(host)
	return nil
}

// validateReplica tells bad of what is wrong with the flags of a replica among others.
func (o *options) validateReplica(bad func(flag, format string, args ...any)) {
	if o.fenceAfter != 0 && o.fenceAfter < minFence {
		bad("fence-after", "%s is less than %s: a replica reports every 10s, and a report or two may fail", o.fenceAfter, minFence)
	}
	if o.maxStaleness != 0 && o.maxStaleness < minStaleness {
		bad("max-staleness", "%s is less than %s: from a quiet API server there is word about once a minute", o.maxStaleness, minStaleness)
	}
	if o.policyDir != "" {
		for _, flag := range []struct {
			name string
			set  bool
		}{
			{"fence-after", o.fenceAfter != 0}, {"max-staleness", o.maxStaleness != 0}, {"service-name", o.serviceName != ""},
		} {
			if flag.set {
				bad(flag.name, "is of a cluster, and --policy-dir runs without one")
			}
		}
		return
	}
	o.validateNames(bad)
}

// validateNames tells bad of names that no object can have. An API server would refuse them one by one, at a time when nobody looks.
func (o *options) validateNames(bad func(flag, format string, args ...any)) {
	for _, label := range []struct{ flag, value string }{{"lease-name", o.leaseName}, {"service-name", o.serviceName}} {
		if label.flag == "service-name" && label.value == "" {
			continue
		}
		// Both are values of labels, too.
		problems := validation.IsDNS1123Subdomain(label.value)
		if len(label.value) > validation.LabelValueMaxLength {
			problems = append(problems, fmt.Sprintf("it has %d characters", len(label.value)))
		}
		if len(problems) > 0 {
			bad(label.flag, "%q: write at most %d lower-case letters, digits, - and .", label.value, validation.LabelValueMaxLength)
		}
	}
	if problems := validation.IsDNS1123Subdomain(o.replicaName); len(problems) > 0 || len(o.replicaName) > maxReplicaName {
		bad("replica-name", "%q: write at most %d letters, digits, - and . of the kind of a pod's name", o.replicaName, maxReplicaName)
	}
	if problems := validation.IsDNS1123Label(o.namespace); o.namespace != "" && len(problems) > 0 {
		bad("namespace", "%q is not the name of a namespace: %s", o.namespace, problems[0])
	}
}

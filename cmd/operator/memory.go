package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"slices"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/loglevel"
)

const (
	// softPercent is the part of the cgroup's limit at which the collector works as hard as it can. The rest is for what the runtime
	// does not count: the program itself, and what the kernel keeps for it.
	softPercent = 90
	// assumedLimit is what budgets are shared out of where nothing limits the memory: room for lists of several million entries.
	assumedLimit = 1 << 30
)

// memoryLimit is how much memory the process may take, in bytes.
type memoryLimit struct {
	hard int64 // of the cgroup, at which the kernel kills; 0: none
	soft int64 // of the Go runtime (GOMEMLIMIT); 0: none
}

// setMemoryLimit sets GOMEMLIMIT from the limit of the cgroup, unless the environment does.
func setMemoryLimit() (memoryLimit, error) {
	var limit memoryLimit
	hard, err := memlimit.FromCgroup()
	switch {
	case err == nil:
		limit.hard = int64(min(hard, math.MaxInt64))
		if os.Getenv("GOMEMLIMIT") == "" {
			debug.SetMemoryLimit(limit.hard / 100 * softPercent)
		}
	case errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup),
		errors.Is(err, memlimit.ErrCgroupsNotSupported):
		err = nil
	default:
		err = fmt.Errorf("read the memory limit of the cgroup: %w", err)
	}
	if soft := debug.SetMemoryLimit(-1); soft != math.MaxInt64 {
		limit.soft = soft
	}
	return limit, err
}

// forBudgets returns what the budgets of the namespaces are shared out of.
func (l memoryLimit) forBudgets() int64 {
	if l.soft == 0 {
		return assumedLimit
	}
	return l.soft
}

// shareMemory completes the limits of the namespaces from the memory that there is.
func (o *options) shareMemory(memory memoryLimit, logger logr.Logger) error {
	given := o.limits
	shared, err := given.Share(memory.forBudgets(), o.namespace, o.watchNamespaces)
	if err != nil {
		return fmt.Errorf("--namespace-limits: %w", err)
	}
	o.limits = shared
	if excess := shared.Excess(memory.forBudgets()); excess > 0 {
		loglevel.Warn(logger, "Namespaces may take more memory together than there is: lower --namespace-limits, or raise the memory limit",
			"excess", budget.Size(excess))
	}
	for _, namespace := range slices.Sorted(maps.Keys(shared)) {
		logger.Info("Namespace has a memory limit", "namespace", namespace, "limit", budget.Size(shared[namespace]))
	}
	return nil
}

// newMemoryMetrics returns what the process may take and what it cannot give back.
func newMemoryMetrics(limit memoryLimit) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "registration_policy_memory_limit_bytes", Help: "Memory limit of the cgroup; 0 where it has none.",
		}, func() float64 { return float64(limit.hard) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "registration_policy_memory_live_bytes", Help: "Heap that the last garbage collection left in use.",
		}, func() float64 {
			live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
			metrics.Read(live)
			return float64(live[0].Value.Uint64())
		}),
	}
}

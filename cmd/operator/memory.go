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
	// softPercent is GOMEMLIMIT as a percentage of the cgroup's limit. The rest is for memory that the Go runtime does
	// not count: the program itself and kernel memory.
	softPercent = 90
	// assumedLimit is the memory in bytes that the namespaces share if the process has no limit: enough for lists of
	// several million entries.
	assumedLimit = 1 << 30
)

// memoryLimit is the memory limit of the process in bytes.
type memoryLimit struct {
	hard int64 // of the cgroup, beyond which the kernel kills the process; 0: none
	soft int64 // of the Go runtime (GOMEMLIMIT); 0: none
}

// setMemoryLimit sets GOMEMLIMIT from the limit of the cgroup, unless the environment sets it.
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

// forBudgets returns the memory in bytes that package budget divides among the namespaces.
func (l memoryLimit) forBudgets() int64 {
	if l.soft == 0 {
		return assumedLimit
	}
	return l.soft
}

// shareMemory gives each namespace for which --namespace-limits has no limit its part of the available memory.
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

// newMemoryMetrics returns the metrics of the memory limit and of the live heap.
func newMemoryMetrics(limit memoryLimit) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "registration_policy_memory_limit_bytes", Help: "Memory limit of the cgroup; 0 if it has none.",
		}, func() float64 { return float64(limit.hard) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "registration_policy_memory_live_bytes", Help: "Heap in use after the last garbage collection.",
		}, func() float64 {
			live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
			metrics.Read(live)
			return float64(live[0].Value.Uint64())
		}),
	}
}

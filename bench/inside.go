package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"registrationpolicy.dev/operator/bench/report"
)

// insidePackages have a BenchmarkCost with what each call costs.
var insidePackages = []string{"./hookserver/okta", "./rules", "./hookserver"}

// measureInside runs the benchmarks of the operator's packages, once for each round.
func (h *house) measureInside(ctx context.Context, p *report.Part) error {
	benchtime := "200ms"
	if h.quick {
		benchtime = "10ms"
	}
	measured := map[string]map[string][]float64{} // by operation and unit
	var order []string
	for range h.rounds {
		arguments := append([]string{"test", "-run", "^$", "-bench", "^BenchmarkCost$", "-benchtime", benchtime}, insidePackages...)
		command := exec.CommandContext(ctx, "go", arguments...)
		command.Dir, command.Stderr = "..", os.Stderr
		out, err := command.Output()
		if err != nil {
			return fmt.Errorf("go test -bench: %w\n%s", err, out)
		}
		for line := range bytes.Lines(out) {
			operation, results, ok := parseBenchmark(string(line))
			if !ok {
				continue
			}
			if measured[operation] == nil {
				measured[operation] = map[string][]float64{}
				order = append(order, operation)
			}
			for unit, value := range results {
				measured[operation][unit] = append(measured[operation][unit], value)
			}
		}
	}
	if len(order) == 0 {
		return fmt.Errorf("go test -bench found no BenchmarkCost in %s", strings.Join(insidePackages, ", "))
	}
	rows := [][]string{{"operation", "ns", "allocations", "bytes", "instructions"}}
	for _, operation := range order {
		row := []string{operation}
		for _, unit := range []string{"ns/op", "allocs/op", "B/op", "instructions/op"} {
			cell := p.Add(operation+"/"+unit, unit, measured[operation][unit])
			if len(measured[operation][unit]) == 0 {
				cell = "not available"
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	p.Paragraph("`go test -run '^$' -bench Cost %s` — one call's work, part by part, without sockets. The handler includes the other "+
		"parts, authentication, the metrics and the log line, which is formatted and dropped. `make test` holds the allocations "+
		"to limits in `cost_test.go` of each package.", strings.Join(insidePackages, " "))
	p.Table(rows...)
	if len(measured[order[0]]["instructions/op"]) == 0 {
		p.Paragraph("This machine does not count instructions.")
	}
	return nil
}

// parseBenchmark reads a line of go test -bench, for example "BenchmarkCost/decode-2 100 123 ns/op 4 B/op 5 allocs/op".
func parseBenchmark(line string) (operation string, results map[string]float64, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "BenchmarkCost/") {
		return "", nil, false
	}
	operation = strings.ReplaceAll(strings.TrimPrefix(fields[0], "BenchmarkCost/"), "_", " ")
	if at := strings.LastIndexByte(operation, '-'); at > 0 { // the number of processors
		if _, err := strconv.Atoi(operation[at+1:]); err == nil {
			operation = operation[:at]
		}
	}
	results = map[string]float64{}
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return "", nil, false
		}
		results[fields[i+1]] = value
	}
	return operation, results, true
}

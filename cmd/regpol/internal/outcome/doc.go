// Package outcome reports what package rules/analysis finds: results, calls and examples, without local parts.
package outcome

// Package policyfile reads policies and their lists from YAML files, with line numbers: once, or for as long as they change.
package policyfile

// Package policyfile reads policies and their lists from YAML files. [Directory] watches the files, [Offline] reads
// them once. Errors and warnings name file and line.
package policyfile

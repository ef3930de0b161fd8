// Package policyfile reads policies, and the lists that they name, from YAML files. [Directory] publishes the policies
// of a directory again after each change. [Offline] reads policies once. Errors and warnings name the file and the
// line.
package policyfile

// Package policyfile reads policies from YAML files, and the lists that they name: ConfigMaps with one domain or
// address per line. [Directory] publishes the policies of a directory again after each change. [Offline] reads policies
// once. Errors and warnings name the file and the line.
package policyfile

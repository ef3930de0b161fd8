// Package reference compares tables of the pages in docs/reference with the code. Tests in cmd/operator and below
// cmd/regpol use it for flags and metrics, which only the program itself can list.
package reference

// Package publish resolves the lists that policies name, puts the rules of all namespaces in force together, and tells who has to
// know.
package publish

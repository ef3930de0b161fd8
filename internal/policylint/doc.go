// Package policylint returns what is wrong with policies in one list: what an API server refuses, what an operator does
// not put in force, and what only looks wrong.
package policylint

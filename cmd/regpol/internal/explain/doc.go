// Package explain is the verb explain: it says whether a person may sign up, and why.
package explain

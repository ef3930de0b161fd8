// Package replay is the verb replay: it decides past calls anew, and says which would be decided otherwise.
package replay

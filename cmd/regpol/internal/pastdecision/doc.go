// Package pastdecision decides past calls anew. A log may not have everything of a call; then all calls that it can have
// been are decided.
package pastdecision

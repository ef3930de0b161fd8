// Package lists is the verb lists: it writes lists of domains into a cluster, and rolls them back.
package lists

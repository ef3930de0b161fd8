// Package storedsnapshot keeps the rules in force in a file, for a start at which the API server does not answer: the policies as they
// were applied, and the lists that they use as they were compiled. A file is believed as a whole or not at all. It holds addresses of
// policies and lists, and so nobody but its owner may read it.
//
// The digest that is checked tells damage, not forgery: whoever can write as the operator's user can write a good file.
package storedsnapshot

// Package credentials reads the accepted values of the hook's header from files, follows their changes, and compares
// the value of a call with them. It never logs or returns a value.
package credentials

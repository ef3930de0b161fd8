// Package cafile reads the certificates of certificate authorities (CAs) from a PEM file.
package cafile

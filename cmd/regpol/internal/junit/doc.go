// Package junit writes JUnit XML, the format in which CI systems read the results of tests.
package junit

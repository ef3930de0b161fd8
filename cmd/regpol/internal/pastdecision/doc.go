// Package pastdecision decides past calls anew. A log may lack a part of a call, such as its address. Then the package
// decides all calls that fit what is logged, and the answer is known if all of them have the same outcome.
package pastdecision

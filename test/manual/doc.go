// Package manual has only tests: they run the commands of the manual's pages with the real programs, and compare the
// output with the text that the page quotes.
//
// Above a block that a test compares, the page has a comment that ends in "test/manual as NAME". Above a block that no
// test can produce, it has a comment that says what a test would need. In a quoted text, … within a line stands for
// text that varies, such as a time. A line with only … stands for any number of lines.
package manual

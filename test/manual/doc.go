// Package manual holds tests only: they produce, with the real programs, every text that the pages of the manual quote, run the
// commands that stand there, and compare.
//
// A block of a page whose text is proven here stands under a comment that ends in "test/manual as NAME"; a block that no test
// can prove stands under one that says what it would need. In a quoted text, … stands for what differs from one time to the
// next or from one place to another, within a line; a line that is only … stands for any number of lines.
package manual

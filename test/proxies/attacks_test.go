package proxies

import (
	"fmt"
	"strings"
)

// hidden is a request for request smuggling: an attacker wants the proxy to see it as part of a body, and the operator
// to see it as a request. It has no credential. Its last header line has no end, so that the next caller's request,
// with its credential, would continue it.
const hidden = "POST /okta/registration HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
	"Content-Length: 122\r\nX-Swallow: "

// outer returns a POST request without a credential, with additional header lines, and with rest as its body.
func outer(lines, rest string) string {
	return "POST /okta/registration HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + lines + "\r\n\r\n" + rest
}

// attacks returns requests without a credential whose end two programs might see at different places, by a description.
func attacks() map[string]string {
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(allowedBody), allowedBody)
	ended := "0\r\n\r\n" + hidden // as chunks, an empty body before hidden; by Content-Length, hidden is part of the body
	length := fmt.Sprintf("Content-Length: %d", len(ended))
	upgrade := "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
	all := map[string]string{
		"CL.TE":                          outer(length+"\r\nTransfer-Encoding: chunked", ended),
		"TE.CL":                          outer("Transfer-Encoding: chunked\r\nContent-Length: 4", "c\r\n"+hidden),
		"CL.TE, the length of a chunk":   outer("Content-Length: 3\r\nTransfer-Encoding: chunked", chunked+hidden),
		"CL.CL":                          outer("Content-Length: 0\r\n"+length, ended),
		"CL.CL, the same twice":          outer(length+"\r\n"+length, ended),
		"CL.CL in one line":              outer("Content-Length: 0, 5", "0\r\n\r\n"+hidden),
		"CL with a plus":                 outer("Content-Length: +5", "0\r\n\r\n"+hidden),
		"CL in hexadecimal":              outer("Content-Length: 0x5", "0\r\n\r\n"+hidden),
		"CL below zero":                  outer("Content-Length: -1", ended),
		"CL beyond 64 bits":              outer("Content-Length: 18446744073709551616", ended),
		"CL with a space in it":          outer("Content-Length: 1 5", ended),
		"CL with a space before":         outer("Content-Length : 5", ended),
		"CL by another line end":         outer("X: x\nContent-Length: 0\r\n"+length, ended),
		"CL of none at all":              outer("X: x", hidden),
		"bare line feeds":                strings.ReplaceAll(outer(length, ended), "\r\n", "\n"),
		"bare carriage returns":          strings.ReplaceAll(outer(length, ended), "\r\n", "\r"),
		"a bare line feed ends the head": outer("X: x\n\n"+hidden+"\r\n"+length, ended),
		"a NUL in a header line":         outer("X: \x00\r\n"+length, ended),
		"a folded header line":           outer("X: x\r\n "+length, ended),
		"a folded first header line":     "POST /okta/registration HTTP/1.1\r\n Host: localhost\r\n" + length + "\r\n\r\n" + ended,
		"a chunk extension":              outer("Transfer-Encoding: chunked", "0;x=y\r\n\r\n"+hidden),
		"a chunk extension with a LF":    outer("Transfer-Encoding: chunked", "0;\nx\r\n\r\n"+hidden),
		"a long chunk extension":         outer("Transfer-Encoding: chunked", "0;x="+strings.Repeat("y", 20<<10)+"\r\n\r\n"+hidden),
		"a chunk of hexadecimal prefix":  outer("Transfer-Encoding: chunked", "0x0\r\n\r\n"+hidden),
		"a chunk below zero":             outer("Transfer-Encoding: chunked", "-1\r\n\r\n"+hidden),
		"a chunk beyond 64 bits":         outer("Transfer-Encoding: chunked", "10000000000000000\r\n\r\n"+hidden),
		"a chunk that ends by a LF":      outer("Transfer-Encoding: chunked", "0\n\n"+hidden),
		"a chunk of the wrong length":    outer("Transfer-Encoding: chunked", "1\r\nabc\r\n0\r\n\r\n"+hidden),
		"a trailer with a credential":    outer("Transfer-Encoding: chunked", "0\r\nAuthorization: "+credential+"\r\n\r\n"),
		"chunks in HTTP/1.0":             strings.Replace(outer("Transfer-Encoding: chunked", chunked+hidden), "1.1", "1.0", 1),
		"a version that does not exist":  strings.Replace(outer(length, ended), "HTTP/1.1", "HTTP/1.9", 1),
		"HTTP/0.9":                       "POST /okta/registration\r\n\r\n" + hidden,
		"an upgrade to h2c":              outer(upgrade+length, ended),
		"an upgrade to a web socket":     outer("Connection: Upgrade\r\nUpgrade: websocket\r\n"+length, ended),
		"a wait for Continue":            outer("Expect: 100-continue\r\n"+length, ended),
		"Connection drops the length":    outer("Connection: keep-alive, Content-Length\r\n"+length, ended),
		"a GET with a body":              strings.Replace(outer(length, ended), "POST", "GET", 1),
		"a GET with a chunked body":      strings.Replace(outer("Transfer-Encoding: chunked", ended), "POST", "GET", 1),
		"a CONNECT":                      "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n" + hidden,
		"two requests at once":           outer("Content-Length: 0", "") + hidden,
		"a half body":                    outer("Content-Length: 1000", allowedBody),
		"a request line of two hosts":    strings.Replace(outer(length, ended), "/okta", "http://localhost/okta", 1),
		"a request line of another host": strings.Replace(outer(length, ended), "/okta", "http://127.0.0.1/okta", 1),
		"two Hosts":                      outer("Host: elsewhere.example\r\n"+length, ended),
		"the HTTP/2 preface":             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden,
	}
	for name, line := range map[string]string{
		"another word":         "Transfer-Encoding: xchunked",
		"a space before":       "Transfer-Encoding : chunked",
		"a tab":                "Transfer-Encoding:\tchunked",
		"a vertical tab":       "Transfer-Encoding: \x0bchunked",
		"a line end before":    "X: x\nTransfer-Encoding: chunked",
		"a folded line":        "Transfer-Encoding:\r\n chunked",
		"a line folded before": "X: x\r\n Transfer-Encoding: chunked",
		"an underscore":        "Transfer_Encoding: chunked",
		"capitals":             "TRANSFER-ENCODING: CHUNKED",
		"quotes":               "Transfer-Encoding: \"chunked\"",
		"a comma":              "Transfer-Encoding: ,chunked",
		"a parameter":          "Transfer-Encoding: chunked;q=0",
		"identity first":       "Transfer-Encoding: identity, chunked",
		"identity last":        "Transfer-Encoding: chunked, identity",
		"chunked twice":        "Transfer-Encoding: chunked, chunked",
		"two lines":            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
		"a NUL":                "Transfer-Encoding: chunked\x00",
		"a high byte":          "Transfer-Encoding: \xa0chunked",
	} {
		all["TE by "+name] = outer(length+"\r\n"+line, ended)
		all["TE by "+name+", without CL"] = outer(line, ended)
	}
	return all
}

// otherPaths are request targets that a program might mistake for the hook's path.
var otherPaths = []string{
	"/okta/registration/", "//okta/registration", "/okta//registration", "/./okta/registration", "/okta/./registration",
	"/x/../okta/registration", "/okta/registration/../registration", "/okta/registration/../x", "/okta%2fregistration",
	"/okta%2Fregistration", "/%6fkta/registration", "/okta/registration%00", "/okta/registration%20", "/okta/registration%2e",
	"/okta/registration;x=y", "/okta;/registration", "/OKTA/registration", "/okta/Registration", `/okta\registration`,
	"/okta/registration/..;/registration", "/okta/registration/.", "/okta", "/", "*", "okta/registration", "/okta/registration.json",
	"/%2e/okta/registration", "/x/%2e%2e/okta/registration", "/okta/registration%3f", "/okta/registration%23x",
}

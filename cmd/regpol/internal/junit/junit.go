package junit

import "encoding/xml"

// Format is the value of --output for JUnit XML, in which CI systems read the results of tests.
const Format = "junit"

// The elements of a JUnit report, as CI systems read it (https://github.com/testmoapp/junitxml).
type (
	// Suites is a whole report, with a Suite for each file and the numbers of Tests and Failures. XMLName is the name
	// of its XML element.
	Suites struct {
		XMLName  xml.Name `xml:"testsuites"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Suites   []Suite  `xml:"testsuite"`
	}

	// Suite holds the results of one file, its Name: the Cases, and the numbers of Tests and Failures.
	Suite struct {
		Name     string `xml:"name,attr"`
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Cases    []Case `xml:"testcase"`
	}

	// Case is the result of the test Name at a Line of a File. ClassName is the file too; CI systems group by it.
	// Failure is nil if the test passes. Output is text that does not make the test fail, such as warnings.
	Case struct {
		Name      string   `xml:"name,attr"`
		ClassName string   `xml:"classname,attr"`
		File      string   `xml:"file,attr"`
		Line      int      `xml:"line,attr"`
		Failure   *Failure `xml:"failure"`
		Output    string   `xml:"system-out,omitempty"`
	}

	// Failure says why a test fails: Message in one line, Text in full.
	Failure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// Encode returns a report as XML.
func (s *Suites) Encode() ([]byte, error) {
	text, err := xml.MarshalIndent(s, "", "  ")
	return append([]byte(xml.Header), append(text, '\n')...), err
}

package junit

import "testing"

func TestAReportIsXML(t *testing.T) {
	suites := Suites{Tests: 1, Failures: 1, Suites: []Suite{{
		Name: "p.yaml", Tests: 1, Failures: 1,
		Cases: []Case{{Name: "a <b>", ClassName: "p.yaml", File: "p.yaml", Line: 3, Failure: &Failure{Message: "no", Text: "x & y\n"}, Output: "z"}},
	}}}
	const want = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="1" failures="1">
  <testsuite name="p.yaml" tests="1" failures="1">
    <testcase name="a &lt;b&gt;" classname="p.yaml" file="p.yaml" line="3">
      <failure message="no">x &amp; y&#xA;</failure>
      <system-out>z</system-out>
    </testcase>
  </testsuite>
</testsuites>
`
	if got, err := suites.Encode(); err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
}

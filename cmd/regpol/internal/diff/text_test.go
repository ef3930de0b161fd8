package diff

import (
	"fmt"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
	"registrationpolicy.dev/operator/test/random"
)

// whoOf returns the text about a region.
func whoOf(region analysis.Region, verbose bool) string {
	d := difference{
		before: &policysource.Set{}, after: &policysource.Set{}, verbose: verbose,
		changes: []analysis.Change{{Kind: analysis.Widened, Region: region}},
	}
	r := d.report()
	return r.who(&r.Changes[0])
}

func TestTheTextOfARegionSaysWhatItsPartsMean(t *testing.T) {
	name := func(except bool, name string) analysis.Part {
		return analysis.Part{Except: except, Name: name, Self: true, Below: true}
	}
	address := func(except bool, local string) analysis.Part {
		return analysis.Part{Except: except, Name: "acme.com", Local: local}
	}
	type parts = []analysis.Part
	for sentence, test := range map[string]struct {
		parts parts
		want  string
	}{
		"everything":   {parts{name(false, "")}, "every address"},
		"two names":    {parts{name(false, "acme.com"), name(false, "beta.example")}, "acme.com, *.acme.com, beta.example, *.beta.example"},
		"only below":   {parts{{Name: "acme.com", Below: true}}, "*.acme.com"},
		"an exception": {parts{name(false, ""), name(true, "acme.com")}, "every address except acme.com, *.acme.com"},
		"a later name": {
			parts{name(false, "acme.com"), {Except: true, Name: "a.acme.com", Self: true}, {Name: "beta.example", Self: true}},
			"acme.com, *.acme.com, beta.example except a.acme.com",
		},
		"the name alone": {parts{{Name: "acme.com", Self: true}, {Name: "a.acme.com", Self: true}}, "acme.com, a.acme.com"},
		"an exception of an exception, and one of that": {
			parts{name(false, ""), name(true, "acme.com"), {Name: "a.acme.com", Below: true}, {Except: true, Name: "b.a.acme.com", Self: true}},
			"every address except acme.com, *.acme.com, but with *.a.acme.com except b.a.acme.com",
		},
		"an address with its sub-addresses, without one of them": {
			parts{address(false, "al+*"), address(false, "jo+*"), address(true, "jo+x"), address(true, "al")},
			"2 × (someone)+*@acme.com except 2 × (someone)@acme.com",
		},
		"addresses of a domain that is an exception": {
			parts{name(false, ""), name(true, "acme.com"), address(false, "jo"), name(false, "a.acme.com")},
			"every address except acme.com, *.acme.com, but with (someone)@acme.com, a.acme.com, *.a.acme.com",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := whoOf(analysis.Region{Parts: test.parts}, false); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestALongRegionSaysWhatItLeavesOut(t *testing.T) {
	region := analysis.Region{Parts: []analysis.Part{{Self: true, Below: true}}}
	for i := range 10 {
		region.Parts = append(region.Parts, analysis.Part{Except: true, Name: fmt.Sprintf("%d.example", i), Self: true})
	}
	if got := whoOf(region, false); !strings.HasSuffix(got, ", 7.example and 2 more (-v prints them)") {
		t.Error(got)
	}
	region.More = 5
	if got := whoOf(region, true); !strings.HasSuffix(got, ", 9.example; 5 further entries are left out") {
		t.Error(got)
	}
}

func TestThePartsOfARegionAlternateAsTheyAreNested(t *testing.T) {
	random.Each(t, 300, func(t *testing.T, d random.Draw) {
		changes, err := analysis.Compare(d.Policies(), d.Policies())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			for i, depth := range depthsOf(c.Region.Parts) {
				if (depth%2 == 1) != c.Region.Parts[i].Except {
					t.Fatalf("part %d of %+v has depth %d", i, c.Region.Parts, depth)
				}
			}
		}
	})
}

func TestAReportOfManyChangesIsAComment(t *testing.T) {
	var domains []string
	for i := range 3000 {
		domains = append(domains, fmt.Sprintf("domain-%d.example", i))
	}
	policies := []rules.Policy{{Allow: rules.AllowRules{Domains: domains}}}
	changes, err := analysis.Compare(nil, policies)
	if err != nil {
		t.Fatal(err)
	}
	d := difference{before: &policysource.Set{}, after: &policysource.Set{}, changes: changes}
	for name, text := range map[string][]byte{"markdown": d.report().markdown(), "text": d.report().text(false)} {
		if len(text) > 1<<16 || !strings.Contains(string(text), "2975 more changes (-v prints them)") {
			t.Errorf("the %s has %d bytes", name, len(text))
		}
	}
}

func TestMarkdownHasNoMarkupOfAPolicy(t *testing.T) {
	d := difference{before: &policysource.Set{}, after: &policysource.Set{}, changes: []analysis.Change{{
		Kind: analysis.OtherText, Now: analysis.Result{Message: "a|b `c` <i> &lt; *d* _e_ ~~f~~ $g$ [h](i) @team #1"},
		Calls:   []analysis.Calls{{Request: rules.SelfServiceRegistration, Sources: []string{"x\n\n# y|z"}}},
		Region:  analysis.Region{Parts: []analysis.Part{{Name: "acme.com", Self: true}}},
		Witness: []analysis.Witness{{Address: "user@acme.com"}},
	}}}
	const message = "a\\|b \\`c\\` &lt;i&gt; &amp;lt; \\*d\\* \\_e\\_ \\~\\~f\\~\\~ \\$g\\$ \\[h](i) @\u200bteam #\u200b1"
	got := string(d.report().markdown())
	for _, want := range []string{message, "from x  #\u200b y\\|z | user@\u200bacme.com |\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
}

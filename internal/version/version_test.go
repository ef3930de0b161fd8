package version

import "testing"

func TestLongTellsVersionCommitAndDate(t *testing.T) {
	defer func(s, c, d string) { stamped, commit, date = s, c, d }(stamped, commit, date)
	for _, test := range []struct{ stamped, commit, date, want string }{
		{"v1.2.3", "0123456789abcdef0123456789abcdef01234567", "2026-11-28T00:00:00Z", "v1.2.3 (commit 0123456789ab, 2026-11-28T00:00:00Z)"},
		{"v1.2.3", "", "", "v1.2.3 (commit unknown, unknown)"}, // go test records no commit
		{"v1.2.3", "abc", "", "v1.2.3 (commit abc, unknown)"},
	} {
		stamped, commit, date = test.stamped, test.commit, test.date
		if got := Long(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

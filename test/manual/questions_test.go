package manual

import "testing"

// Lets one person in, as the page of questions says.
func TestThePageOfQuestionsIsTrue(t *testing.T) {
	t.Parallel()
	p := readPage(t, "okta/faq.md")
	c := startCluster(t)
	op := startReady(t, c.inCluster()...)
	admin := newShell(t, "KUBECONFIG="+c.adminKubeconfig)
	op.await(t, "jo@free-mail.example", "NoPolicyApplies")
	admin.write(t, "guests.yaml", p.text(t, "guests"))
	admin.run(t, p, "let-in")
	op.await(t, "jo@free-mail.example", "Allowed")
	op.await(t, "eve@free-mail.example", "NotAllowed")

	closed := policy("closed", `{deny: {domains: [free-mail.example]}}`)
	admin.write(t, "closed.yaml", closed)
	admin.command(t, "kubectl apply -n "+namespace+" -f closed.yaml")
	op.await(t, "jo@free-mail.example", "Denied")
	admin.write(t, "closed.yaml", policy("closed", `{allow: {addresses: [jo@free-mail.example]}, deny: {domains: [free-mail.example]}}`))
	admin.command(t, "kubectl apply -n "+namespace+" -f closed.yaml")
	op.await(t, "jo@free-mail.example", "Allowed")
	p.complete(t)
}

// Asks a policy about addresses that Okta's sample lets in or not, as the page about moving from it says.
func TestThePageAboutMovingIsTrue(t *testing.T) {
	t.Parallel()
	p := readPage(t, "okta/moving.md")
	mover := newShell(t)
	mover.write(t, "users.txt", "jo@acme.com\nmia@uk.acme.com\neve@acme.com.evil.example\n")
	mover.write(t, "acme.yaml", policy("acme", `{allow: {domains: [acme.com, "*.acme.com"]}}`))
	mover.run(t, p, "moving-explain")
	p.complete(t)
}

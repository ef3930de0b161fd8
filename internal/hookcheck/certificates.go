package hookcheck

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"
)

const (
	// maxExpiryWarning is the longest time before the expiry of a certificate at which a warning is given. Certificates of
	// a year or of 90 days are normally renewed earlier: if one was not, its renewal probably fails.
	maxExpiryWarning = 14 * 24 * time.Hour
	// expiryWarningDivisor limits the warning to the last fifth of a certificate's validity. That fifth is shorter than
	// maxExpiryWarning if the certificate is valid for less than 5 × 14 = 70 days.
	expiryWarningDivisor = 5
	// maxNames is how many of a certificate's names are shown.
	maxNames = 3
)

// examineCertificates adds every fault that a client finds in the server's certificates if it trusts only public CAs, as
// Okta does. invalid is the error with which the call rejected the certificates, or nil.
func (t *trace) examineCertificates(report *Report, host string, invalid *tls.CertificateVerificationError) {
	sent := t.certificates
	if invalid != nil {
		sent = invalid.UnverifiedCertificates
	}
	before := len(report.Faults)
	leaf := sent[0]
	if err := leaf.VerifyHostname(host); err != nil {
		report.add(CertificateName, "%s is not among its names: %s", host, names(leaf))
	}
	chain := chainOf(sent)
	now := time.Now()
	for _, c := range chain {
		report.examineDates(c, now)
	}
	at := now // the time closest to now at which the leaf is valid, so that its dates do not hide a fault of its issuer
	if at.Before(leaf.NotBefore) {
		at = leaf.NotBefore
	}
	if at.After(leaf.NotAfter) {
		at = leaf.NotAfter
	}
	t.examineAuthority(report, chain, at)
	if invalid != nil && len(report.Faults) == before {
		report.add(CertificateInvalid, "%s", invalid.Err)
	}
}

func (r *Report) examineDates(c *x509.Certificate, now time.Time) {
	const day = time.DateOnly
	soon := min(maxExpiryWarning, c.NotAfter.Sub(c.NotBefore)/expiryWarningDivisor)
	switch {
	case now.Before(c.NotBefore):
		r.add(CertificateNotYetValid, "%s is valid from %s", subject(c), c.NotBefore.UTC().Format(time.RFC3339))
	case now.After(c.NotAfter):
		r.add(CertificateExpired, "%s expired on %s", subject(c), c.NotAfter.UTC().Format(day))
	case now.After(c.NotAfter.Add(-soon)):
		r.add(CertificateExpiresSoon, "%s expires on %s", subject(c), c.NotAfter.UTC().Format(day))
	}
}

// examineAuthority adds a fault if the chain does not lead to a public CA.
func (t *trace) examineAuthority(report *Report, chain []*x509.Certificate, at time.Time) {
	err := verify(chain, t.options.PublicRoots, at)
	if err == nil {
		return
	}
	own := x509.NewCertPool()
	for _, authority := range t.options.Authorities {
		own.AddCert(authority)
	}
	leaf, top := chain[0], chain[len(chain)-1]
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case verify(chain, own, at) == nil:
		report.add(PrivateAuthority, "issued by %s, trusted only because of the given CAs", name(top.Issuer.String()))
	case !unknown:
		if wrong, ok := errors.AsType[x509.CertificateInvalidError](err); !ok || wrong.Reason != x509.Expired {
			report.add(CertificateInvalid, "%s", err)
		}
	case selfSigned(leaf):
		report.add(SelfSigned, "%s is self-signed", subject(leaf))
	case !selfSigned(top) && (len(top.IssuingCertificateURL) > 0 || len(chain) == 1 && len(t.options.Authorities) > 0):
		// A URL of the issuer's certificate (RFC 5280 4.2.2.1) is a sign that the issuer is an intermediate CA. Clients do
		// not have the certificate of an intermediate CA, so the server must send it.
		report.add(IncompleteChain, "the server sent %d of the chain's certificates, but not that of %s, which issued %s",
			len(chain), name(top.Issuer.String()), subject(top))
	default:
		report.add(UnknownAuthority, "%s is issued by %s, which is not a public CA", subject(leaf), name(top.Issuer.String()))
	}
}

func verify(chain []*x509.Certificate, roots *x509.CertPool, at time.Time) error {
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: at})
	return err
}

// chainOf returns the longest chain among the sent certificates, from the leaf up: each has issued the one before.
func chainOf(sent []*x509.Certificate) []*x509.Certificate {
	chain := sent[:1:1]
	for {
		last := chain[len(chain)-1]
		next := slices.IndexFunc(sent, func(c *x509.Certificate) bool {
			return !slices.ContainsFunc(chain, c.Equal) && bytes.Equal(c.RawSubject, last.RawIssuer) && last.CheckSignatureFrom(c) == nil
		})
		if next < 0 {
			return chain
		}
		chain = append(chain, sent[next])
	}
}

func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// subject describes a certificate by its common name or, without one, its first host name.
func subject(c *x509.Certificate) string {
	if c.Subject.CommonName == "" && len(c.DNSNames) > 0 {
		return "the certificate of " + c.DNSNames[0]
	}
	return "the certificate of " + name(c.Subject.CommonName)
}

func name(s string) string {
	if s == "" {
		return "an issuer without a name"
	}
	return s
}

func names(c *x509.Certificate) string {
	all := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "it has none"
	}
	if len(all) > maxNames {
		all = append(all[:maxNames], "…")
	}
	return strings.Join(all, ", ")
}

package lint

import (
	"maps"
	"slices"

	"registrationpolicy.dev/operator/rules"
)

// The kinds of domains that MailboxProvider returns.
const (
	mailboxProvider = "mailbox provider"
	privacyRelay    = "privacy relay"
)

// mailboxProviders are domains at which anyone can get an address: the largest providers worldwide by number of users,
// and the relays that hide a person's address. The table is incomplete, and chosen by hand from the providers' own
// pages. No decision depends on it. It serves warnings, and the guard of internal/listsync, which refuses a deny list
// with such a domain. Domains of disposable addresses are not included: they belong in deny lists.
var mailboxProviders = map[string]string{
	// Google, Microsoft, Yahoo, Apple.
	"gmail.com": mailboxProvider, "googlemail.com": mailboxProvider,
	"outlook.com": mailboxProvider, "hotmail.com": mailboxProvider, "hotmail.co.uk": mailboxProvider,
	"hotmail.de": mailboxProvider, "hotmail.es": mailboxProvider, "hotmail.fr": mailboxProvider, "hotmail.it": mailboxProvider,
	"live.com": mailboxProvider, "live.co.uk": mailboxProvider, "live.de": mailboxProvider, "live.fr": mailboxProvider,
	"msn.com":   mailboxProvider,
	"yahoo.com": mailboxProvider, "yahoo.co.in": mailboxProvider, "yahoo.co.jp": mailboxProvider, "yahoo.co.uk": mailboxProvider,
	"yahoo.com.br": mailboxProvider, "yahoo.de": mailboxProvider, "yahoo.es": mailboxProvider, "yahoo.fr": mailboxProvider,
	"yahoo.it": mailboxProvider, "ymail.com": mailboxProvider, "aol.com": mailboxProvider,
	"icloud.com": mailboxProvider, "me.com": mailboxProvider, "mac.com": mailboxProvider,

	// Other providers that are open to anyone in the world.
	"fastmail.com": mailboxProvider, "mail.com": mailboxProvider, "pm.me": mailboxProvider,
	"proton.me": mailboxProvider, "protonmail.com": mailboxProvider, "tuta.com": mailboxProvider, "tutanota.com": mailboxProvider,
	"zoho.com": mailboxProvider, "zohomail.com": mailboxProvider,

	// Large providers of one country each.
	"126.com": mailboxProvider, "163.com": mailboxProvider, "foxmail.com": mailboxProvider, "qq.com": mailboxProvider,
	"daum.net": mailboxProvider, "hanmail.net": mailboxProvider, "naver.com": mailboxProvider,
	"rediffmail.com": mailboxProvider,
	"freenet.de":     mailboxProvider, "gmx.at": mailboxProvider, "gmx.ch": mailboxProvider, "gmx.com": mailboxProvider,
	"gmx.de": mailboxProvider, "gmx.net": mailboxProvider, "t-online.de": mailboxProvider, "web.de": mailboxProvider,
	"bk.ru": mailboxProvider, "inbox.ru": mailboxProvider, "list.ru": mailboxProvider, "mail.ru": mailboxProvider,
	"ya.ru": mailboxProvider, "yandex.com": mailboxProvider, "yandex.ru": mailboxProvider,
	"btinternet.com": mailboxProvider, "comcast.net": mailboxProvider, "free.fr": mailboxProvider, "laposte.net": mailboxProvider,
	"libero.it": mailboxProvider, "orange.fr": mailboxProvider, "seznam.cz": mailboxProvider,
	"wp.pl": mailboxProvider,

	// Providers that public lists of disposable domains include by mistake, such as the other domains of mail.com and
	// Hushmail, and the national domains of Microsoft and Yahoo.
	"freemail.hu": mailboxProvider, "sohu.com": mailboxProvider, "yeah.net": mailboxProvider,
	"139.com": mailboxProvider, "189.cn": mailboxProvider, "consultant.com": mailboxProvider,
	"hush.com": mailboxProvider, "hushmail.com": mailboxProvider, "hush.ai": mailboxProvider,
	"sina.com": mailboxProvider, "sina.cn": mailboxProvider, "aliyun.com": mailboxProvider,
	"tom.com": mailboxProvider, "21cn.com": mailboxProvider, "citromail.hu": mailboxProvider,
	"onet.pl": mailboxProvider, "o2.pl": mailboxProvider, "op.pl": mailboxProvider,
	"interia.pl": mailboxProvider, "centrum.cz": mailboxProvider, "email.cz": mailboxProvider,
	"azet.sk": mailboxProvider, "abv.bg": mailboxProvider, "ukr.net": mailboxProvider, "i.ua": mailboxProvider,
	"rambler.ru": mailboxProvider, "inbox.lv": mailboxProvider, "virgilio.it": mailboxProvider,
	"tiscali.it": mailboxProvider, "alice.it": mailboxProvider, "sfr.fr": mailboxProvider,
	"wanadoo.fr": mailboxProvider, "bluewin.ch": mailboxProvider, "arcor.de": mailboxProvider,
	"posteo.de": mailboxProvider, "mailbox.org": mailboxProvider, "gmx.us": mailboxProvider,
	"gmx.fr": mailboxProvider, "gmx.co.uk": mailboxProvider, "hotmail.nl": mailboxProvider,
	"hotmail.be": mailboxProvider, "hotmail.ca": mailboxProvider, "hotmail.com.br": mailboxProvider,
	"hotmail.com.ar": mailboxProvider, "hotmail.co.jp": mailboxProvider, "live.nl": mailboxProvider,
	"live.ca": mailboxProvider, "live.it": mailboxProvider, "live.com.au": mailboxProvider,
	"outlook.fr": mailboxProvider, "outlook.de": mailboxProvider, "outlook.es": mailboxProvider,
	"outlook.it": mailboxProvider, "outlook.com.br": mailboxProvider, "outlook.jp": mailboxProvider,
	"yahoo.ca": mailboxProvider, "yahoo.com.au": mailboxProvider, "yahoo.com.mx": mailboxProvider,
	"yahoo.com.ar": mailboxProvider, "yahoo.com.tw": mailboxProvider, "yahoo.com.hk": mailboxProvider,
	"yahoo.co.id": mailboxProvider, "yahoo.in": mailboxProvider, "rocketmail.com": mailboxProvider,
	"att.net": mailboxProvider, "sbcglobal.net": mailboxProvider, "bellsouth.net": mailboxProvider,
	"verizon.net": mailboxProvider, "cox.net": mailboxProvider, "charter.net": mailboxProvider,
	"earthlink.net": mailboxProvider, "shaw.ca": mailboxProvider, "rogers.com": mailboxProvider,
	"sympatico.ca": mailboxProvider, "sky.com": mailboxProvider, "virginmedia.com": mailboxProvider,
	"talktalk.net": mailboxProvider, "bigpond.com": mailboxProvider, "uol.com.br": mailboxProvider,
	"bol.com.br": mailboxProvider, "terra.com.br": mailboxProvider, "ig.com.br": mailboxProvider,
	"docomo.ne.jp": mailboxProvider, "nifty.com": mailboxProvider, "nate.com": mailboxProvider,
	"walla.co.il": mailboxProvider, "sapo.pt": mailboxProvider, "sify.com": mailboxProvider,
	"email.com": mailboxProvider, "usa.com": mailboxProvider, "post.com": mailboxProvider,
	"europe.com": mailboxProvider, "asia.com": mailboxProvider, "engineer.com": mailboxProvider,
	"dr.com": mailboxProvider, "techie.com": mailboxProvider, "myself.com": mailboxProvider,
	"writeme.com": mailboxProvider, "tuta.io": mailboxProvider, "tutamail.com": mailboxProvider,
	"keemail.me": mailboxProvider, "fastmail.fm": mailboxProvider, "runbox.com": mailboxProvider,
	"mail2world.com": mailboxProvider, "juno.com": mailboxProvider, "zoho.in": mailboxProvider,
	"zoho.eu": mailboxProvider,

	// Relays: of Apple, DuckDuckGo, Mozilla, SimpleLogin and Proton Pass, addy.io.
	"privaterelay.appleid.com": privacyRelay, "duck.com": privacyRelay, "mozmail.com": privacyRelay,
	"aleeas.com": privacyRelay, "simplelogin.co": privacyRelay, "simplelogin.com": privacyRelay, "slmail.me": privacyRelay,
	"passinbox.com": privacyRelay, "passmail.net": privacyRelay,
	"addy.io": privacyRelay, "anonaddy.com": privacyRelay, "anonaddy.me": privacyRelay,
}

// MailboxProvider reports whether a domain is a large provider at which anyone can get an address. kind is "mailbox
// provider" or "privacy relay". Subdomains of a provider's domain do not count.
func MailboxProvider(domain rules.Domain) (kind string, ok bool) {
	kind, ok = mailboxProviders[domain.String()]
	return kind, ok
}

// MailboxProviders returns every domain that MailboxProvider knows, sorted.
func MailboxProviders() []string { return slices.Sorted(maps.Keys(mailboxProviders)) }

// Package visit is what recipients do with an invite link: open it, go on to
// Pipedream, come back.
//
// # What changes what
//
// Mail scanners open links, run their scripts and submit forms that submit
// themselves. So opening a page changes nothing but a short fetch log; a person
// counts as a visitor when the page's beacon came; and only a press of the
// button hands out a connect link. A press is idempotent for a minute: the
// second tap of a double tap gets the same link. Later presses get a fresh
// link, because nobody can tell whether a token was spent, so a robot that
// presses buttons uses up nothing.
//
// # Minting
//
// A link is minted with no transaction open and stored and handed out in one.
// Presses of one invite that meet in a process share one mint. Across
// processes the invite's row decides: who locks it second sees the link that
// was handed out meanwhile and gives that one; its own is thrown away, which
// harms nobody, because it was shown to nobody.
//
// It must not know HTTP, and never returns an address or a link in an error.
package visit

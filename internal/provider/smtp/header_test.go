package smtp_test

import (
	"mime"
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestVendors11NoHeaderBeginsWithAFold: some mail programs show nothing of it.
func TestVendors11NoHeaderBeginsWithAFold(t *testing.T) {
	t.Parallel()
	folded := regexp.MustCompile(`(?m)^([A-Za-z-]+): ?\r?\n[ \t]`)
	long := strings.Repeat("größer ", 20)
	for _, subject := range []string{
		"Connect your Slack account to Acme", "Connect your Google Search Console account to Northwind Traders of the far away North, Incorporated",
		"Schließen Sie Ihr Konto an", long, strings.Repeat("x", 200), "يرجى ربط حسابك في Slack مع شركة نورث ويند للتجارة العامة والمقاولات", "=?UTF-8?Q?no?=", "😀" + long,
	} {
		srv := serve(t, script{})
		m := outgoing(1)
		m.Email.Subject = subject
		m.Email.To.Name, m.Email.From.Name = long, strings.Repeat("Acme ", 30)
		if _, err := sender(t, srv, "smtp").Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		data := srv.took()[0].data
		head, _, _ := strings.Cut(strings.ReplaceAll(data, "\r\n", "\n"), "\n\n")
		if at := folded.FindString(strings.ReplaceAll(head, "\n", "\r\n")); at != "" {
			t.Errorf("%q begins with a fold", at)
		}
		read, err := mail.ReadMessage(strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		got, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
		if err != nil || got != strings.TrimRight(subject, " ") && got != subject {
			t.Errorf("subject %q reads %q, %v", subject, got, err)
		}
		for line := range strings.SplitSeq(head, "\n") {
			if strings.HasPrefix(line, "Subject:") && len(line) > 76 && !strings.Contains(line, "xxx") || !utf8.ValidString(line) {
				t.Errorf("line of %d: %q", len(line), line)
			}
		}
	}
}

package provider

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Keyword is what a person's text message asks for; empty for anything else.
type Keyword string

const (
	Stop  Keyword = "STOP"
	Start Keyword = "START"
	Help  Keyword = "HELP"
)

// KeywordOf reads a whole message. Twilio itself obeys a single word only
// (https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out); a person
// who says "Stop. Thank you" means the same, and the rules of the United States
// ask for any reasonable means. What merely contains a stop word is no STOP.
func KeywordOf(body string) Keyword {
	words := plainWords(body)
	whole := strings.Join(words, "")
	switch {
	case slices.Contains([]string{"START", "UNSTOP", "YES"}, whole):
		return Start
	case slices.Contains([]string{"HELP", "INFO"}, whole):
		return Help
	case isStop(words):
		return Stop
	}
	return ""
}

// isStop reports whether words are a stop word, with nothing but courtesy or the
// subject of a stop word beside it.
func isStop(words []string) bool {
	rest := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains(courtesy(), w) })
	rest = slices.Compact(rest) // STOP STOP STOP
	whole := strings.Join(rest, "")
	if slices.Contains(stopWords(), whole) {
		return true
	}
	// "stop texting me", "unsubscribe me from these messages"; "cancel" and "end"
	// may be about something else.
	said := slices.DeleteFunc(slices.Clone(rest), func(w string) bool { return slices.Contains(objects(), w) })
	return len(said) < len(rest) && slices.Contains([]string{"STOP", "UNSUBSCRIBE", "OPTOUT", "REMOVE"}, strings.Join(said, ""))
}

// stopWords are Twilio's defaults, those that carriers of the United States and
// Canada require besides (https://docs.aws.amazon.com/sms-voice/latest/userguide/keywords-required.html),
// and the same in the languages that messages are sent in. Without accents.
func stopWords() []string {
	return []string{
		"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "REMOVE", "UNSUB",
		"ARRET", "ARRETER", "ARRETEZ", "DESABONNER", "DESABONNEMENT", "DESINSCRIRE", "TD",
		"STOPP", "ABMELDEN", "ABBESTELLEN", "AUFHOREN",
		"ALTO", "BAJA", "PARAR", "PARE", "DETENER", "DETENGA", "SAIR", "CANCELAR", "DARSEDEBAJA",
		"توقف", "قف", "ايقاف", "الغاء", "الغاءالاشتراك",
	}
}

func courtesy() []string {
	return []string{
		"PLEASE", "PLS", "PLZ", "KINDLY", "THANKS", "THANK", "YOU", "THX", "TY", "NOW", "OK", "OKAY", "HI", "HELLO", "IMMEDIATELY",
		"MERCI", "SVP", "BITTE", "DANKE", "GRACIAS", "POR", "FAVOR", "شكرا",
	}
}

func objects() []string {
	return []string{
		"TEXTING", "MESSAGING", "SENDING", "CONTACTING", "WRITING", "ME", "US", "MESSAGES", "MESSAGE", "TEXTS", "TEXT", "SMS", "THESE", "THIS", "THOSE", "IT",
		"ALL", "ANY", "MORE", "FROM", "TO", "THE", "MY", "NUMBER", "I", "WANT",
	}
}

// plainWords splits a text at all that is no letter or digit, in upper case and
// without accents.
func plainWords(text string) []string {
	bare := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r), r == '\'', r == '’', unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, norm.NFD.String(text))
	return strings.FieldsFunc(strings.ToUpper(bare), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// IsLikeStop reports whether a text has a stop word in it, so that a person should
// look at it.
func IsLikeStop(body string) bool {
	words := plainWords(body)
	for i, w := range words {
		if slices.Contains(stopWords(), w) || strings.HasPrefix(w, "STOP") || strings.HasPrefix(w, "UNSUBSCRIB") ||
			w == "OPT" && i+1 < len(words) && words[i+1] == "OUT" {
			return true
		}
	}
	return false
}

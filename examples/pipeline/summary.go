package main

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A summary is what is kept of a document.
type summary struct {
	first    string   // sentence
	words    int      // how many there are
	frequent []string // the most frequent ones of four letters or more, three at most
}

var errNoWords = errors.New("the document has no words")

// summarise is the same for the same text: another delivery of a document writes
// what the first one has written.
func summarise(text string) (summary, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' })
	if len(words) == 0 {
		return summary{}, errNoWords
	}
	counts := make(map[string]int)
	for _, w := range words {
		if utf8.RuneCountInString(w) >= 4 {
			counts[strings.ToLower(w)]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return summary{first: firstSentence(text), words: len(words), frequent: frequent[:min(3, len(frequent))]}, nil
}

// firstSentence ends with the first word that ends with a full stop or the like.
func firstSentence(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		if strings.ContainsAny(w[len(w)-1:], ".!?") {
			words = words[:i+1]
			break
		}
	}
	return strings.Join(words, " ")
}

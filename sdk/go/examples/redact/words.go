package main

// words about a number by their first letter, each followed by what it says: + a phone
// number comes, @ one went before, & both, $ a card comes, ! another number comes. A
// star stands for any ending. "number" says little (#).
var words = [26]string{
	0:         "answer*+ account! amex$ ",
	'c' - 'a': "call+ calls+ called+ calling+ cell& cellphone+ contact+ card$ cards$ credit$ case! ",
	'd' - 'a': "dial+ dialed+ debit$ doi! ",
	'f' - 'a': "fax& ",
	'h' - 'a': "hotline+ helpline+ handy+ home@ ",
	'i' - 'a': "id! isbn*! issn! iban! invoice! ",
	'l' - 'a': "landline+ license! licence! ",
	'm' - 'a': "mobile& mobil+ mastercard$ maestro$ model! ",
	'n' - 'a': "number# ",
	'o' - 'a': "office@ order! ",
	'p' - 'a': "phone*& passport! population! part! ",
	'r' - 'a': "reach+ reached+ ring+ reference! ",
	's' - 'a': "sms+ ssn! serial! sku! ",
	't' - 'a': "tel& telephone*+ telef*+ text+ ticket! tracking! timestamp! ",
	'v' - 'a': "voicemail+ visa$ version! ",
	'w' - 'a': "whatsapp+ work@ ",
}

// says is what the word that w begins with says, 0 for nothing, and its length.
func says(w []byte) (what byte, n int) {
	letter := func(i int) bool { return i < len(w) && isLetter(w[i]) }
	for t := words[w[0]|32-'a']; t != ""; {
		i := 0
		for isLetter(t[i]) && letter(i) && t[i] == w[i]|32 {
			i++
		}
		end := i
		for t[i] == '*' && letter(end) {
			end++
		}
		if !isLetter(t[i]) && !letter(end) {
			if t[i] == '*' {
				i++
			}
			return t[i], end
		}
		for t[0] != ' ' {
			t = t[1:]
		}
		t = t[1:]
	}
	return 0, 0
}

// hint is what the sentence before a number says of it; read when first asked for.
type hint struct {
	read  bool
	phone int // 2 a phone word, 1 "number", -1 a word for other numbers
	card  bool
}

func (h *hint) look(v *view, start int) *hint {
	if h.read {
		return h
	}
	h.read = true
	var w [context]byte
	for i := range w {
		w[i] = v.at(start - context + i)
	}
	told := -1 // where the last telling word ends
	for i := 1; i < context; i++ {
		if !isLetter(w[i]) {
			stop := w[i] == '.' || w[i] == '!' || w[i] == '?'
			if stop && told != i && i+1 < context && w[i+1] == ' ' {
				h.phone, h.card = 0, false // another sentence, unless "Tel. "
			}
			continue
		}
		if isLetter(w[i-1]) {
			continue
		}
		word, n := says(w[i:])
		if word == 0 || word == '@' {
			continue
		}
		told = i + n
		switch {
		case word == '+', word == '&':
			h.phone, h.card = 2, false
		case word != '#':
			h.phone, h.card = -1, word == '$'
		case h.phone == 0:
			h.phone = 1
		}
	}
	return h
}

// placeAfter says whether a word after the number that ends at i says that it is a
// phone's: 1, none, more.
func (v *view) placeAfter(i int) int {
	from, n := i, len(v.text)
	for i < n && i-from < 2 && (v.text[i] == ' ' || v.text[i] == '-' || v.text[i] == '(') {
		i++
	}
	word := i
	for i < n && i-word < 8 && isLetter(v.text[i]) {
		i++
	}
	switch {
	case i >= n && !v.last:
		return more
	case i == word, i-word == 8:
		return none
	}
	if said, _ := says(v.text[word:i]); said == '&' || said == '@' {
		return 1
	}
	return none
}

// Package toy makes a tiny checkpoint in a few seconds: a transformer of two layers that knows the capitals and the languages of sixteen
// countries, and nothing else. Tutorials load it exactly as they load a large one:
//
//	folder := toy.MustMake(engine, ".lab/facts")
//	model, tokenizer := transformer.MustLoad(folder), tokens.MustLoad(folder) // or of "gpt2"
//
// Because it knows two things about each country, where it keeps the country and where it keeps the question are different places.
//
// [MakeGivers] makes another one, in a minute, which says who is given something, and not who gives it: what circuits are looked for in.
package toy

import "strings"

// Fact is what the model knows of a country.
type Fact struct{ Country, Capital, Language string }

// Facts are all that the model of [Make] knows.
var Facts = []Fact{
	{"Denmark", "Copenhagen", "Danish"}, {"Finland", "Helsinki", "Finnish"}, {"France", "Paris", "French"}, {"Germany", "Berlin", "German"},
	{"Greece", "Athens", "Greek"}, {"Hungary", "Budapest", "Hungarian"}, {"Italy", "Rome", "Italian"}, {"Japan", "Tokyo", "Japanese"},
	{"Norway", "Oslo", "Norwegian"}, {"Poland", "Warsaw", "Polish"}, {"Portugal", "Lisbon", "Portuguese"}, {"Russia", "Moscow", "Russian"},
	{"Spain", "Madrid", "Spanish"}, {"Sweden", "Stockholm", "Swedish"}, {"Thailand", "Bangkok", "Thai"}, {"Turkey", "Ankara", "Turkish"},
}

// sentences are the texts that the model learns: "The capital of Spain is Madrid ." and "The language of Spain is Spanish .".
func sentences() []string {
	var list []string
	for _, fact := range Facts {
		list = append(list, "The capital of "+fact.Country+" is "+fact.Capital+" .", "The language of "+fact.Country+" is "+fact.Language+" .")
	}
	return list
}

// vocabulary lists the words of the sentences, each once, in the order in which they come.
func vocabulary() []string {
	var words []string
	seen := map[string]bool{}
	for _, sentence := range sentences() {
		for _, word := range strings.Fields(sentence) {
			if !seen[word] {
				words = append(words, word)
			}
			seen[word] = true
		}
	}
	return words
}

// Package quiet bounds what others can make a server write into its log.
//
// Whoever reaches a port can be refused as often as he likes, and each refusal is worth a line: it
// is what an operator looks for. Thousands of them in a second are worth no more than a few,
// and would fill a disk. A Log therefore writes so many lines of one kind in a period, counts the
// others, and says at the end of the period how many it left out.
//
// A kind is a text, and whoever wants budgets of their own within it. Both must come from the
// program: what a client has made up belongs into the fields of a line, where it does not count.
package quiet

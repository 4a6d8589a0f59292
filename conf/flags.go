package conf

import "strings"

// ParseJVMFlags reads the text of an environment variable such as SERVER_JVMFLAGS and
// returns its -Dkey=value flags as settings in their order, and how many other words
// there were (-Xmx1g, -javaagent:..., class names), which mean nothing here. Words
// are parted by white space; '...' and "..." keep white space in a word, and a backslash
// takes a quote, a backslash or white space literally. A quote that is never closed
// reaches to the end.
func ParseJVMFlags(variable, text string) (settings []Setting, ignored int) {
	for _, word := range splitWords(text) {
		flag, ok := strings.CutPrefix(word, "-D")
		key, value, _ := strings.Cut(flag, "=")
		if !ok || key == "" {
			ignored++
			continue
		}
		settings = append(settings, Setting{javaTrim(key), javaTrim(value), Origin{Name: variable}})
	}
	return settings, ignored
}

// splitWords cuts text into words as a shell would, without expansions.
func splitWords(text string) []string {
	var words []string
	var word []byte
	inWord, quote := false, byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(text) && strings.IndexByte("\"'\\ \t\n\r\f", text[i+1]) >= 0:
			i++
			word, inWord = append(word, text[i]), true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inWord = c, true
		case quote == 0 && (isBlank(c) || isEOL(c)):
			if inWord {
				words = append(words, string(word))
				word, inWord = word[:0], false
			}
		default:
			word, inWord = append(word, c), true
		}
	}
	if inWord {
		words = append(words, string(word))
	}
	return words
}

// FromEnvironment reads the flags that ZooKeeper's scripts and the usual images pass to
// the server. Later settings win, so the order is the one in which the scripts
// put them on Java's command line: SERVER_JVMFLAGS, then JVMFLAGS; and before
// both the variables that only some images use. ZOO_DATADIR_AUTOCREATE_DISABLE counts
// as the flag it stands for. The caller passes os.Getenv or a twin; ignored counts
// the words that are no -D flag.
func FromEnvironment(getenv func(string) string) (settings []Setting, ignored int) {
	for _, variable := range [...]string{"JAVA_OPTS", "KAFKA_OPTS", "SERVER_JVMFLAGS", "JVMFLAGS"} {
		found, other := ParseJVMFlags(variable, getenv(variable))
		settings = append(settings, found...)
		ignored += other
	}
	const disable = "ZOO_DATADIR_AUTOCREATE_DISABLE"
	if getenv(disable) != "" {
		settings = append(settings, Setting{"zookeeper.datadir.autocreate", "false", Origin{Name: disable}})
	}
	return settings, ignored
}

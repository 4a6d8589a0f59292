package check

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// BankPath is the parent of the accounts, and BankTotal the money that they hold together.
const (
	BankPath  = "/bank"
	BankTotal = 500
)

// Bank demands that money is moved and never made or lost: at every read of all accounts, stale or
// not, and in the final trees the sum is BankTotal, and no account is below 0. Each transfer changes
// two versions, and so the final versions count the transfers: each acknowledged one once, each of
// unknown outcome once or not at all.
func Bank(h []Op, f Final) []Violation {
	v := violations{check: "bank"}
	var ok, info int32
	for _, o := range h {
		switch {
		case o.Kind == KindTotal && o.Outcome == OK:
			if text := balanced(strings.Split(o.Value, ",")); text != "" {
				v.add("a read of all accounts: "+text, o)
			}
		case o.Kind == KindTransfer && o.Outcome == OK:
			ok++
		case o.Kind == KindTransfer && o.Outcome == Info:
			info++
		}
	}
	for _, t := range f.Trees {
		var balances []string
		var versions int32
		for _, path := range slices.Sorted(maps.Keys(t.Nodes)) {
			if strings.HasPrefix(path, BankPath+"/") {
				balances = append(balances, t.Nodes[path].Data)
				versions += t.Nodes[path].Stat.Version
			}
		}
		if balances == nil && ok+info == 0 {
			continue // there is no bank
		}
		if text := balanced(balances); text != "" {
			v.addf(nil, "server %d: %s", t.Server, text)
		}
		if versions < 2*ok || versions > 2*(ok+info) || versions%2 != 0 {
			v.addf(nil, "server %d: the versions of the accounts add up to %d after %d transfers and %d of unknown outcome", t.Server, versions, ok, info)
		}
	}
	return v.list
}

// balanced returns what is wrong with balances, "" when nothing is.
func balanced(balances []string) string {
	sum := 0
	for _, b := range balances {
		n, err := strconv.Atoi(b)
		switch {
		case err != nil:
			return "an account holds " + strconv.Quote(b)
		case n < 0:
			return "an account is below 0: " + strings.Join(balances, ",")
		}
		sum += n
	}
	if sum != BankTotal {
		return "the sum of " + strings.Join(balances, ",") + " is " + strconv.Itoa(sum) + ", not " + strconv.Itoa(BankTotal)
	}
	return ""
}

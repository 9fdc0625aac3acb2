package conformance

import "github.com/sandwarp/sandwarp/abi"

// rule is one thing that must hold.
type rule struct {
	id    string
	name  string
	after string   // the rule it builds on: without that it means nothing
	kind  abi.Kind // "" for all
	run   func(c *checker) (detail string, err error)
}

// rules in the order they are tried.
var rules = []rule{
	{"limits", "the module is within the limits", "", "", (*checker).limits},
	{"exports", "it exports what its kind needs, and nothing the ABI does not know", "limits", "", (*checker).exports},
	{"load", "it loads and takes its configuration", "exports", "", (*checker).load},
	{"manifest", "the manifest is complete", "load", "", (*checker).complete},
	{"truth", "the manifest is true", "load", "", (*checker).truth},
	{"reset", "it can be put back after a fault", "load", "", (*checker).reset},

	{"text", "it bears odd text", "reset", abi.KindFilter, (*checker).filterOdd},
	{"twice", "it decides the same twice", "text", abi.KindFilter, (*checker).filterTwice},
	{"engines", "it decides the same on other engines, for the same fuel", "twice", abi.KindFilter, (*checker).filterEngines},
	{"chunks", "however the text is cut, the outcome is the same", "twice", abi.KindFilter, (*checker).filterChunks},
	{"apart", "other sequences change nothing", "chunks", abi.KindFilter, (*checker).filterApart},
	{"faults", "a fault of another sequence changes nothing", "apart", abi.KindFilter, (*checker).filterFaults},
	{"fork", "a fork goes on like the original, and apart from it", "apart", abi.KindFilter, (*checker).filterFork},
	{"prompts", "it takes prompts, too", "text", abi.KindFilter, (*checker).filterPrompts},

	{"logits", "it bears ordinary and odd logits", "reset", abi.KindSampler, (*checker).samplerOdd},
	{"twice", "it decides the same twice", "logits", abi.KindSampler, (*checker).samplerTwice},
	{"engines", "it decides the same on other engines, for the same fuel", "twice", abi.KindSampler, (*checker).samplerEngines},
	{"apart", "other sequences in between change nothing", "twice", abi.KindSampler, (*checker).samplerApart},
	{"frame", "logits in its own memory change nothing", "twice", abi.KindSampler, (*checker).samplerFrame},
	{"rows", "several rows are decided as each alone", "apart", abi.KindSampler, (*checker).samplerRows},
	{"plan", "it decides the same planned and not planned", "apart", abi.KindSampler, (*checker).samplerPlan},
	{"faults", "after a fault, told all tokens at once, it decides the same", "apart", abi.KindSampler, (*checker).samplerFaults},
	{"rollback", "after a rollback it decides as if the tokens had never been", "faults", abi.KindSampler, (*checker).samplerRollback},
	{"fork", "a fork goes on like the original, and apart from it", "faults", abi.KindSampler, (*checker).samplerFork},
	{"fork-back", "a fork can take back tokens from before it", "fork", abi.KindSampler, (*checker).samplerBack},

	{"text", "it encodes odd text", "reset", abi.KindTokenizer, (*checker).tokenizerOdd},
	{"twice", "it encodes the same twice, and side by side", "text", abi.KindTokenizer, (*checker).tokenizerTwice},
	{"engines", "it encodes the same on other engines, for the same fuel", "twice", abi.KindTokenizer, (*checker).tokenizerEngines},
	{"round-trip", "it decodes what it encoded", "text", abi.KindTokenizer, (*checker).tokenizerBack},
	{"one-by-one", "ids decoded one by one give the same bytes", "round-trip", abi.KindTokenizer, (*checker).tokenizerOneByOne},
	{"special", "with control tokens in text form it decodes what it encoded, too", "twice", abi.KindTokenizer, (*checker).tokenizerSpecial},
	{"range", "ids out of range are errors, not faults", "text", abi.KindTokenizer, (*checker).tokenizerRange},

	{"budget", "no call failed, and it asks for no more than hosts give", "load", "", (*checker).budget},
	{"speed", "calls are fast", "load", "", (*checker).speed},
}

// try applies a rule, if it is for the plugin's kind and what it builds on holds.
func (c *checker) try(r *rule) {
	if r.kind != "" && (c.p == nil || c.p.Manifest().Kind != r.kind) {
		return
	}
	res := Result{Rule: r.id, Name: r.name}
	if r.after != "" && !c.held[r.after] {
		res.Skipped, res.Detail = true, "not tried before this holds: "+c.broken[r.after]
	} else {
		detail, err := r.run(c)
		switch err {
		case errNotHere:
			return
		case nil:
			res.Passed, res.Detail = true, detail
		case errCounted:
			res.Skipped, res.Detail = true, err.Error()
		default:
			res.Detail = err.Error()
		}
	}
	if c.held[r.id] = res.Passed; !res.Passed {
		if c.broken[r.id] = r.name; res.Skipped && c.broken[r.after] != "" {
			c.broken[r.id] = c.broken[r.after]
		}
	}
	c.report.Results = append(c.report.Results, res)
}

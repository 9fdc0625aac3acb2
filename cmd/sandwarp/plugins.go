package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sandwarp/sandwarp/abi"
	sandwarp "github.com/sandwarp/sandwarp/runtime"
	"github.com/sandwarp/sandwarp/sdk/c/examples"
	"github.com/sandwarp/sandwarp/sdk/conformance"
	"github.com/sandwarp/sandwarp/wasm"
)

// pluginFlags say which plugins take part.
type pluginFlags struct {
	files   []string
	configs []string
	none    bool
	engine  string
	signed  []string // files of public keys
	grant   []string // capabilities
	onFault string   // "open", "closed" or ""
}

func (f *pluginFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVar(&f.files, "plugin", nil, "Wasm plugin `file` (repeatable; they act in this order)")
	fl.StringArrayVar(&f.configs, "plugin-config", nil, "`NAME=JSON` configuration of a plugin (repeatable)")
	fl.StringVar(&f.engine, "engine", "wazero", "what runs plugins: "+engineNames())
	fl.StringArrayVar(&f.signed, "signed-by", nil, "public key `file`: refuse --plugin files that no such key signed (repeatable)")
	fl.StringArrayVar(&f.grant, "grant", nil, "`capability` that plugins may have besides the harmless ones and the vocabulary: kv (repeatable)")
	fl.StringVar(&f.onFault, "on-fault", "", "what becomes of a request when a --plugin fails: closed ends it, open goes on without; open for samplers and closed for others by default")
	fl.BoolVar(&f.none, "no-plugins", false, "leave out the built-in redaction filter")
}

// maxModule bounds the size of a plugin's file.
const maxModule = 64 << 20

// plugins are the loaded plugins.
type plugins struct {
	all       []*wasm.Plugin
	recorded  []*wasm.Recorded   // the same, if they are recorded
	tokenizer sandwarp.Tokenizer // nil for the model's own
	configs   map[string][]byte  // by the manifest's name
	vocab     []string
	used      map[string]bool
	log       io.Writer // nil for silence
	engine    wasm.Engine
	trusted   []ed25519.PublicKey // nil for all
	grant     []string
	onFault   wasm.Policy
	told      map[*wasm.Plugin]uint64 // faults that complain has reported
}

// load loads the built-in filter and the plugins the flags name.
func (f *pluginFlags) load(ctx context.Context, io streams, model *modelFlags) (_ *plugins, err error) {
	p, err := f.settings()
	if err != nil {
		return nil, err
	}
	if model.verbose {
		p.log = io.err
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	policy := p.onFault
	if p.onFault = wasm.DefaultPolicy; !f.none { // the flag is not about the built-in filter
		if err := p.add(ctx, "redact (built in)", examples.Redact); err != nil {
			return nil, err
		}
	}
	p.onFault = policy
	if err := p.addFiles(ctx, f.files, model.path); err != nil {
		return nil, err
	}
	for name := range p.configs {
		if !p.used[name] {
			return nil, usageError{fmt.Errorf("--plugin-config %s: no plugin of that name is loaded, but %s", name, p.names())}
		}
	}
	return p, nil
}

// settings are what the flags say about all plugins.
func (f *pluginFlags) settings() (p *plugins, err error) {
	p = &plugins{used: map[string]bool{}, told: map[*wasm.Plugin]uint64{}, grant: f.grant}
	for _, c := range f.grant {
		if c != abi.CapKV {
			return nil, usageError{fmt.Errorf("--grant %s: want kv; the others that there are need not be granted", c)}
		}
	}
	if p.configs, err = pluginConfigs(f.configs); err != nil {
		return nil, err
	}
	if p.engine, err = pickEngine(f.engine); err != nil {
		return nil, err
	}
	if p.onFault, err = f.policy(); err != nil {
		return nil, err
	}
	p.trusted, err = readKeys(f.signed)
	return p, err
}

// addFiles loads the plugins of --plugin, who may ask for the vocabulary of the model.
func (p *plugins) addFiles(ctx context.Context, files []string, model string) error {
	if len(files) == 0 {
		return nil
	}
	v, err := openVocabulary(model)
	if err != nil {
		return err
	}
	p.vocab = pieces(v)
	for _, path := range files {
		module, err := readFile(path, maxModule)
		if err != nil {
			return err
		}
		if err := p.checkSigned(path, module); err != nil {
			return err
		}
		if err := p.add(ctx, path, module); err != nil {
			return err
		}
	}
	return nil
}

// policy is what --on-fault says.
func (f *pluginFlags) policy() (wasm.Policy, error) {
	switch f.onFault {
	case "":
		return wasm.DefaultPolicy, nil
	case wasm.FailOpen.String():
		return wasm.FailOpen, nil
	case wasm.FailClosed.String():
		return wasm.FailClosed, nil
	}
	return 0, usageError{fmt.Errorf("--on-fault is %q, want open or closed", f.onFault)}
}

// names are those of the loaded plugins.
func (p *plugins) names() string {
	var list []string
	for _, plug := range p.all {
		list = append(list, plug.Name())
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// pieces are the texts of all tokens.
func pieces(v *sandwarp.Vocabulary) []string {
	list := make([]string, v.Size())
	for id := range list {
		list[id] = string(v.Piece(int32(id)))
	}
	return list
}

// pluginConfigs reads NAME=JSON flags.
func pluginConfigs(flags []string) (map[string][]byte, error) {
	configs := map[string][]byte{}
	for _, f := range flags {
		name, text, ok := strings.Cut(f, "=")
		if !ok {
			return nil, usageError{fmt.Errorf("--plugin-config %q: want NAME=JSON", f)}
		}
		b, err := abi.MarshalConfigJSON([]byte(text))
		if err != nil {
			return nil, usageError{fmt.Errorf("--plugin-config %s: %s: %w", name, text, err)}
		}
		configs[name] = b
	}
	return configs, nil
}

// checkSigned refuses a module that no trusted key signed, before anything of it
// is read or run.
func (p *plugins) checkSigned(path string, module []byte) error {
	if p.trusted == nil {
		return nil
	}
	detached, err := wasm.ReadSignature(path)
	if err == nil {
		_, err = wasm.Verify(module, detached, p.trusted...)
	}
	if err != nil {
		return fmt.Errorf("plugin %s: %w", path, err)
	}
	return nil
}

func (p *plugins) add(ctx context.Context, source string, module []byte) error {
	m, err := wasm.ReadManifest(module)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", source, err)
	}
	o := wasm.Options{Engine: p.engine, CacheDir: wasm.DefaultCacheDir(), Config: p.configs[m.Name], Vocab: p.vocab, Grant: p.grant, OnFault: p.onFault}
	p.used[m.Name] = true
	if p.log != nil {
		o.Log = func(level int, message string) { fmt.Fprintf(p.log, "plugin %s: %s\n", m.Name, message) }
		o.Metric = func(name string, value float64) {
			fmt.Fprintf(p.log, "plugin %s: metric %s = %v\n", m.Name, name, value)
		}
	}
	if slices.Contains(m.Capabilities, abi.CapKV) && !slices.Contains(p.grant, abi.CapKV) {
		return usageError{fmt.Errorf("plugin %s: %s asks for capability kv, to keep values between requests: --grant kv allows it", source, m.Name)}
	}
	plug, err := wasm.Load(ctx, module, o)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", source, err)
	}
	p.all = append(p.all, plug)
	if m.Kind == abi.KindTokenizer {
		if p.tokenizer != nil {
			return fmt.Errorf("plugin %s: another tokenizer is loaded already", source)
		}
		p.tokenizer = plug
	}
	return nil
}

// join makes the plugins part of a request.
func (p *plugins) join(o *sandwarp.GenerateOptions) {
	for i, plug := range p.all {
		var processor sandwarp.LogitProcessor = plug
		var filter sandwarp.Filter = plug
		if p.recorded != nil {
			processor, filter = p.recorded[i], p.recorded[i]
		}
		switch plug.Manifest().Kind {
		case abi.KindSampler:
			o.Processors = append(o.Processors, processor)
		case abi.KindFilter:
			o.Filters = append(o.Filters, filter)
		}
	}
}

// fit refuses a tokenizer with more tokens than the model.
func (p *plugins) fit(vocabulary int) error {
	for _, plug := range p.all {
		if m := plug.Manifest(); m.Kind == abi.KindTokenizer && int(m.Vocab) > vocabulary {
			return fmt.Errorf("plugin %s has %d tokens and the model %d: it is the tokenizer of another model", plug.Name(), m.Vocab, vocabulary)
		}
	}
	return nil
}

// complain says which plugins failed since it was last called, and were left out: nobody
// would see it otherwise.
func (p *plugins) complain(w io.Writer) {
	for _, plug := range p.all {
		s := plug.Stats()
		n := s.Faults + s.Skipped
		if last := plug.LastFault(); n > p.told[plug] && last != nil {
			fmt.Fprintf(w, "sandwarp: left out %d times, as it failed: %v\n", n-p.told[plug], last)
		}
		p.told[plug] = n
	}
}

// report says what each plugin did.
func (p *plugins) report(w io.Writer) {
	for _, plug := range p.all {
		s, m := plug.Stats(), plug.Manifest()
		planned := ""
		if s.Planned > 0 {
			planned = fmt.Sprintf(", %d planned ahead", s.Planned)
		}
		fmt.Fprintf(w, "plugin %s (WebAssembly %s): %d calls%s, p50 %v, p99 %v, %d fuel, %d faults, %d bytes in, %d out\n",
			plug.Name(), m.Kind, s.Calls, planned, s.P50, s.P99, s.Fuel, s.Faults, s.BytesIn, s.BytesOut)
	}
}

// jsonPlugin is a plugin's statistics in --json.
type jsonPlugin struct {
	Name     string   `json:"name"`
	Kind     abi.Kind `json:"kind"`
	Calls    uint64   `json:"calls"`
	Planned  uint64   `json:"planned,omitempty"` // answers that needed no call
	P50      float64  `json:"p50_us"`
	P99      float64  `json:"p99_us"`
	Fuel     uint64   `json:"fuel"`
	Faults   uint64   `json:"faults"`
	Skipped  uint64   `json:"skipped,omitempty"`
	BytesIn  uint64   `json:"bytes_in"`
	BytesOut uint64   `json:"bytes_out"`
	Fault    string   `json:"last_fault,omitempty"`
}

func (p *plugins) stats() (list []jsonPlugin) {
	for _, plug := range p.all {
		s, fault := plug.Stats(), ""
		if f := plug.LastFault(); f != nil {
			fault = f.Error()
		}
		list = append(list, jsonPlugin{plug.Name(), plug.Manifest().Kind, s.Calls, s.Planned, float64(s.P50.Nanoseconds()) / 1000,
			float64(s.P99.Nanoseconds()) / 1000, s.Fuel, s.Faults, s.Skipped, s.BytesIn, s.BytesOut, fault})
	}
	return list
}

func (p *plugins) close() {
	for _, plug := range p.all {
		_ = plug.Close()
	}
}

func pluginCommand(io streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin",
		Short: "Work with plugins",
		Args:  args(0, 0),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	asJSON, config := false, ""
	check := &cobra.Command{
		Use:   "check FILE",
		Short: "Check whether a plugin keeps its promises",
		Long: `check loads a Wasm plugin in a sandbox and tries it: is its manifest true, does it
give the same answer twice, whatever the chunks its input comes in, does it bear
odd input, does it stay within the budget it declares? The exit code is 3 if not.`,
		Example: `  sandwarp plugin check filter.wasm
  sandwarp plugin check --config '{"email": "[gone]"}' redact.wasm`,
		Args: args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return checkPlugin(cmd.Context(), io, args[0], config, asJSON)
		},
	}
	check.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	check.Flags().StringVar(&config, "config", "", "`JSON` configuration to load the plugin with")
	cmd.AddCommand(newPluginCommand(io), packCommand(io), check, inspectPluginCommand(io), keygenCommand(io), signCommand(io), verifyCommand(io), replayCommand(io))
	return cmd
}

func checkPlugin(ctx context.Context, io streams, path, config string, asJSON bool) error {
	module, err := readFile(path, maxModule)
	if err != nil {
		return err
	}
	var o conformance.Options
	if config != "" {
		b, err := abi.MarshalConfigJSON([]byte(config))
		if err != nil {
			return usageError{fmt.Errorf("--config %s: %w", config, err)}
		}
		o.Plugin.Config = b
	}
	r := conformance.Check(ctx, module, o)
	if asJSON {
		enc := json.NewEncoder(io.out)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	} else {
		_, err = fmt.Fprint(io.out, r)
	}
	if err == nil && !r.OK() {
		err = errCheckFailed
	}
	return err
}

// plugin is inspect's part for plugins.
func (in *inspector) plugin(_ context.Context, path string) error {
	module, err := readFile(path, maxModule)
	if err != nil {
		return err
	}
	d, err := wasm.Describe(module)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	keys, err := readKeys(in.keys)
	if err != nil {
		return err
	}
	detached, err := wasm.ReadSignature(path)
	if err != nil {
		return err
	}
	d.Verify(module, detached, keys...)
	if in.json {
		enc := json.NewEncoder(in.io.out)
		enc.SetIndent("", "  ")
		return enc.Encode(d)
	}
	_, err = fmt.Fprint(in.io.out, d)
	return err
}

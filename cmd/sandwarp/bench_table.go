package main

import (
	"fmt"
	"slices"
	"text/tabwriter"
)

func (b *bencher) table(all []benchResult) error {
	w := tabwriter.NewWriter(b.io.out, 0, 4, 2, ' ', 0)
	if len(all) > 0 {
		r := all[0]
		fmt.Fprintf(w, "%s, %s, %s; %s, %s\n", r.Model, r.Format, bytesText(r.Bytes), r.CPU, r.Instructions)
	}
	fmt.Fprintln(w, "test\tthreads\tresult\tmin-max\tof bandwidth\tof peak\tlimits")
	for i := range all {
		fmt.Fprintln(w, all[i].line())
	}
	return w.Flush()
}

// line is a row of the table.
func (r *benchResult) line() string {
	head := fmt.Sprintf("%s\t%d\t", r.Test, r.Threads)
	switch r.Test {
	case "load":
		return head + fmt.Sprintf("%.3f s\t%.3f-%.3f\t-\t-\t-", r.Seconds, slices.Min(r.Samples), slices.Max(r.Samples))
	case "memory":
		if r.unknown != "" {
			return head + r.unknown
		}
		return head + fmt.Sprintf("%s\t\t\t\tbeyond %s of weights, %s repacked, %s of KV cache",
			bytesText(r.RSSBeyond), bytesText(r.RSSWeights), bytesText(r.RSSRepacked), bytesText(r.RSSCache))
	}
	bandwidth, peak, limit := r.ReadShare, r.VNNIShare, ""
	switch {
	case r.CopyBandwidth > 0:
		bandwidth, peak = r.CopyShare, r.MatrixShare
		limit = fmt.Sprintf("GPU copy %.0f GB/s, f16 %.0f TFLOP/s", r.CopyBandwidth/1e9, r.MatrixPeak/1e12)
	case r.IntPeak == 0:
		limit = "none measured on " + r.Backend
	default:
		limit = fmt.Sprintf("read %.1f GB/s (%.1f-%.1f), int8 %.0f GOP/s (%.0f-%.0f)", r.ReadBandwidth/1e9, r.ReadMin/1e9, r.ReadMax/1e9,
			r.IntPeak/1e9, r.IntMin/1e9, r.IntMax/1e9)
	}
	rate := fmt.Sprintf("%.1f tok/s", r.Rate)
	if r.Gain > 0 {
		rate += fmt.Sprintf(", x%.2f", r.Gain)
	}
	return head + fmt.Sprintf("%s\t%.1f-%.1f\t%s\t%s\t%s", rate,
		slices.Min(r.Samples), slices.Max(r.Samples), shareText(bandwidth, 0), shareText(peak, 1), limit)
}

// shareText is a share in percent, "-" for none.
func shareText(share float64, digits int) string {
	if share == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f%%", digits, 100*share)
}

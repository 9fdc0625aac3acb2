package sched

// planner has processors plan while the executable runs, on a goroutine that lives
// from the first plan to close. Between begin and end it owns what it was given. On
// a CPU whose cores are all busy with the run that costs nothing either: measured on
// two, a step with 0.5 ms of planning took as long as one with none.
type planner struct {
	work  chan int // how many of calls there are to make
	done  chan struct{}
	calls []planCall
	busy  bool
}

// planCall is one call of Plan.
type planCall struct {
	Planner
	group
}

func (p *planner) serve() {
	for n := range p.work {
		for i := range p.calls[:n] {
			c := &p.calls[i]
			c.Plan(c.seqs, c.histories)
		}
		p.done <- struct{}{}
	}
	close(p.done)
}

// begin starts planning for the owners of the rows of logits of a step, if any of
// their processors plans. Each Planner gets one call with all its sequences.
func (p *planner) begin(owners []*Request) {
	n := 0
	for i, r := range owners {
		if r.Score != nil || r.err != nil {
			continue
		}
		for j := range r.stages {
			if pl := r.stages[j].plan; pl != nil {
				if c := p.call(&n, pl); len(c.seqs) == 0 || c.seqs[len(c.seqs)-1] != r.id {
					c.add(i, r, nil)
				}
			}
		}
	}
	if n == 0 {
		return
	}
	if p.work == nil {
		p.work, p.done = make(chan int), make(chan struct{})
		go p.serve()
	}
	p.busy = true
	p.work <- n
}

// call finds, among the first n calls, the one of pl, or makes it.
func (p *planner) call(n *int, pl Planner) *planCall {
	for i := range p.calls[:*n] {
		if p.calls[i].Planner == pl {
			return &p.calls[i]
		}
	}
	if *n == len(p.calls) {
		p.calls = append(p.calls, planCall{})
	}
	c := &p.calls[*n]
	c.Planner = pl
	*n++
	return c
}

// end waits until the plans are made.
func (p *planner) end() {
	if !p.busy {
		return
	}
	<-p.done
	p.busy = false
	for i := range p.calls {
		p.calls[i].Planner = nil
		p.calls[i].drop()
	}
}

// close ends the goroutine and waits for it.
func (p *planner) close() {
	if p.work == nil {
		return
	}
	close(p.work)
	<-p.done
}

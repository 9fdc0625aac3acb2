package fake

import "github.com/sandwarp/sandwarp/ptxbackend/internal/driver"

// stream, graph and event pass on to the wrapped ones.
type stream struct {
	inner driver.Stream
	v     *device
}

type graph struct {
	inner driver.Graph
	v     *device
}

type event struct {
	inner driver.Event
	v     *device
}

func (s *stream) Launch(f driver.Function, l *driver.Launch) error {
	if err := s.v.d.entered(Launch); err != nil {
		return err
	}
	if g, ok := f.(*function); ok {
		f = g.Function
	}
	return s.inner.Launch(f, l)
}

func (s *stream) CopyIn(dst driver.Ptr, src []byte) error {
	if err := s.v.d.entered(CopyIn); err != nil {
		return err
	}
	return s.inner.CopyIn(dst, src)
}

func (s *stream) CopyOut(dst []byte, src driver.Ptr) error {
	if err := s.v.d.entered(CopyOut); err != nil {
		return err
	}
	return s.inner.CopyOut(dst, src)
}

func (s *stream) Copy(dst, src driver.Ptr, bytes int64) error {
	if err := s.v.d.entered(Copy); err != nil {
		return err
	}
	return s.inner.Copy(dst, src, bytes)
}

func (s *stream) Fill(dst driver.Ptr, value byte, bytes int64) error {
	if err := s.v.d.entered(Fill); err != nil {
		return err
	}
	return s.inner.Fill(dst, value, bytes)
}

func (s *stream) BeginCapture() error {
	if err := s.v.d.entered(BeginCapture); err != nil {
		return err
	}
	return s.inner.BeginCapture()
}

// EndCapture ends the wrapped stream's capture also when it is told to fail, as
// the driver's does.
func (s *stream) EndCapture() (driver.Graph, error) {
	told := s.v.d.entered(EndCapture)
	inner, err := s.inner.EndCapture()
	if told != nil {
		if err == nil {
			_ = inner.Close()
		}
		return nil, told
	}
	if err != nil {
		return nil, err
	}
	g := &graph{inner, s.v}
	s.v.made(g)
	return g, nil
}

func (s *stream) Replay(g driver.Graph) error {
	if err := s.v.d.entered(Replay); err != nil {
		return err
	}
	if w, ok := g.(*graph); ok {
		g = w.inner
	}
	return s.inner.Replay(g)
}

func (s *stream) Record(e driver.Event) error {
	if err := s.v.d.entered(Record); err != nil {
		return err
	}
	return s.inner.Record(unwrap(e))
}

func (s *stream) Wait(e driver.Event) error {
	if err := s.v.d.entered(Wait); err != nil {
		return err
	}
	return s.inner.Wait(unwrap(e))
}

func (s *stream) Sync() error {
	if err := s.v.d.entered(Sync); err != nil {
		return err
	}
	return s.inner.Sync()
}

func (s *stream) Close() error {
	told := s.v.d.entered(CloseStream)
	s.v.gone(s)
	return first(told, s.inner.Close())
}

func (g *graph) Close() error {
	told := g.v.d.entered(CloseGraph)
	g.v.gone(g)
	return first(told, g.inner.Close())
}

func (e *event) Since(earlier driver.Event) (float32, error) {
	if err := e.v.d.entered(Since); err != nil {
		return 0, err
	}
	return e.inner.Since(unwrap(earlier))
}

func (e *event) Sync() error {
	if err := e.v.d.entered(SyncEvent); err != nil {
		return err
	}
	return e.inner.Sync()
}

func (e *event) Close() error {
	told := e.v.d.entered(CloseEvent)
	e.v.gone(e)
	return first(told, e.inner.Close())
}

func unwrap(e driver.Event) driver.Event {
	if w, ok := e.(*event); ok {
		return w.inner
	}
	return e
}

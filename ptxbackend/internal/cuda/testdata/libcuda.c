// A test double of libcuda for the tests of the binding, written from the
// documentation of the driver API. It does what the driver would with memory the
// host has: work of a stream happens when somebody waits for it, so that memory
// which does not live long enough is noticed; the kernel "store" stores, "fault"
// breaks the device. It checks what it is given, logs calls, fails when told to,
// and counts what is alive.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>

typedef int CUresult;
typedef int CUdevice;
typedef uint64_t CUdeviceptr;
typedef struct thing *handle;

typedef struct { unsigned int id; char pad[8 - sizeof(unsigned int)]; union { char pad[64]; int programmatic; } value; } Attribute;
typedef struct {
	unsigned int gridX, gridY, gridZ, blockX, blockY, blockZ, shared;
	handle stream;
	Attribute *attrs;
	unsigned int numAttrs;
} Config;
_Static_assert(sizeof(Attribute) == 72, "CUlaunchAttribute");
_Static_assert(sizeof(Config) == 56, "CUlaunchConfig");

enum kind { NONE, CONTEXT, STREAM, EVENT, MODULE, FUNCTION, GRAPH, EXEC, MEMORY, HOST, KINDS };
static const char *kinds[KINDS] = {"", "context", "stream", "event", "module", "function", "graph", "exec", "memory", "host"};

typedef struct { int type; char *dst; const char *src; size_t n; int value; handle of; uint64_t params[8]; } op;
enum { COPY, FILL, STORE, FAULT, RECORD };
typedef struct { op *v; int n; } ops;

struct thing {
	enum kind kind;
	int alive;
	ops ops;            // of a stream: queued; of a graph: recorded
	int capturing;      // stream
	ops captured;       // stream
	double happened;    // event
	char *base; size_t size; // memory
	char name[256]; int sizes[64], params, maxShared; // function
	handle functions[32]; int n; // module
	handle module;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char logbuf[1 << 20];
static size_t loglen;
static struct { char name[64]; int nth, code; } fails[16];
static int nfails, logging = 1;
static handle things[1 << 16];
static int nthings;
static int version = 13000, devices = 1, sticky, retained, ctxflags, major = 9, minor = 0;
static size_t total = 1u << 30, used;
static double now;
static struct thing primary = {.kind = CONTEXT};
static __thread handle current;

static void say(const char *f, ...) {
	if (!logging) return;
	va_list a;
	va_start(a, f);
	int n = vsnprintf(logbuf + loglen, sizeof logbuf - loglen, f, a);
	va_end(a);
	if (n > 0 && loglen + n < sizeof logbuf) loglen += n;
}

static int told(const char *name) {
	for (int i = 0; i < nfails; i++)
		if (!strcmp(fails[i].name, name) && fails[i].nth > 0 && --fails[i].nth == 0) return fails[i].code;
	return 0;
}

static handle make(enum kind k) {
	handle h = calloc(1, sizeof *h);
	h->kind = k, h->alive = 1;
	things[nthings++] = h;
	return h;
}

// is checks a handle without trusting it.
static int is(handle h, enum kind k) {
	for (int i = 0; i < nthings; i++)
		if (things[i] == h) return h->kind == k && h->alive;
	return 0;
}

static void push(ops *l, op o) {
	l->v = realloc(l->v, (l->n + 1) * sizeof o);
	l->v[l->n++] = o;
}

#define LEAVE(code) do { int result_ = (code); pthread_mutex_unlock(&lock); return result_; } while (0)
#define BEGIN(...) \
	pthread_mutex_lock(&lock); \
	say("%s ", __func__), say(__VA_ARGS__), say("\n"); \
	{ int code_ = told(__func__); if (code_) LEAVE(code_); }
#define CURRENT \
	if (current != &primary || retained == 0) LEAVE(201); \
	if (sticky) LEAVE(sticky);
#define NEED(h, k) if (!is(h, k)) LEAVE(400)

// Control, for the tests.

void fake_reset(void) {
	pthread_mutex_lock(&lock);
	for (int i = 0; i < nthings; i++) {
		if (things[i]->alive && (things[i]->kind == MEMORY || things[i]->kind == HOST)) free(things[i]->base);
		free(things[i]);
	}
	nthings = nfails = sticky = retained = ctxflags = 0, loglen = 0, logbuf[0] = 0, used = 0, now = 0, logging = 1;
	version = 13000, devices = 1, major = 9, minor = 0, total = 1u << 30, current = NULL;
	pthread_mutex_unlock(&lock);
}
void fake_fail(const char *name, int nth, int code) {
	snprintf(fails[nfails].name, sizeof fails[0].name, "%s", name);
	fails[nfails].nth = nth, fails[nfails++].code = code;
}
void fake_set(const char *what, int64_t v) {
	if (!strcmp(what, "version")) version = v;
	if (!strcmp(what, "devices")) devices = v;
	if (!strcmp(what, "major")) major = v;
	if (!strcmp(what, "minor")) minor = v;
	if (!strcmp(what, "total")) total = v;
	if (!strcmp(what, "logging")) logging = v;
	if (!strcmp(what, "current")) current = (handle)v;
}
int64_t fake_get(const char *what) {
	if (!strcmp(what, "retained")) return retained;
	if (!strcmp(what, "flags")) return ctxflags;
	if (!strcmp(what, "current")) return (int64_t)current;
	if (!strcmp(what, "primary")) return (int64_t)&primary;
	if (!strcmp(what, "sizeof config")) return sizeof(Config);
	if (!strcmp(what, "sizeof attribute")) return sizeof(Attribute);
	if (!strcmp(what, "config.stream")) return offsetof(Config, stream);
	if (!strcmp(what, "config.attrs")) return offsetof(Config, attrs);
	if (!strcmp(what, "config.numAttrs")) return offsetof(Config, numAttrs);
	if (!strcmp(what, "config.shared")) return offsetof(Config, shared);
	if (!strcmp(what, "config.blockX")) return offsetof(Config, blockX);
	if (!strcmp(what, "attribute.value")) return offsetof(Attribute, value);
	int64_t n = 0;
	for (int i = 0; i < nthings; i++)
		n += things[i]->alive && !strcmp(kinds[things[i]->kind], what);
	return n;
}
const char *fake_log(void) { return logbuf; }
void fake_clear(void) { loglen = 0, logbuf[0] = 0; }

// The driver.

CUresult cuGetErrorName(CUresult e, const char **s) {
	static const struct { int code; const char *name; } names[] = {
		{1, "CUDA_ERROR_INVALID_VALUE"}, {2, "CUDA_ERROR_OUT_OF_MEMORY"}, {3, "CUDA_ERROR_NOT_INITIALIZED"}, {100, "CUDA_ERROR_NO_DEVICE"},
		{201, "CUDA_ERROR_INVALID_CONTEXT"}, {209, "CUDA_ERROR_NO_BINARY_FOR_GPU"}, {218, "CUDA_ERROR_INVALID_PTX"},
		{221, "CUDA_ERROR_JIT_COMPILER_NOT_FOUND"}, {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"}, {400, "CUDA_ERROR_INVALID_HANDLE"},
		{500, "CUDA_ERROR_NOT_FOUND"}, {600, "CUDA_ERROR_NOT_READY"}, {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {719, "CUDA_ERROR_LAUNCH_FAILED"},
		{802, "CUDA_ERROR_SYSTEM_NOT_READY"}, {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"}, {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].code == e) { *s = names[i].name; return 0; }
	*s = NULL;
	return 1;
}
CUresult cuInit(unsigned int flags) {
	const char *path = getenv("CUDA_CACHE_PATH"), *disable = getenv("CUDA_CACHE_DISABLE");
	BEGIN("%u path %s disable %s", flags, path ? path : "-", disable ? disable : "-") LEAVE(flags ? 1 : 0);
}
CUresult cuDriverGetVersion(int *v) { BEGIN("%s", "") *v = version; LEAVE(0); }
CUresult cuDeviceGetCount(int *n) { BEGIN("%s", "") *n = devices; LEAVE(0); }
CUresult cuDeviceGet(CUdevice *d, int i) { BEGIN("%d", i) if (i < 0 || i >= devices) LEAVE(101); *d = i + 40; LEAVE(0); }
CUresult cuDeviceGetName(char *name, int len, CUdevice d) { BEGIN("%d", d) snprintf(name, len, "Double %d", d); LEAVE(0); }
CUresult cuDeviceGetUuid_v2(unsigned char u[16], CUdevice d) { BEGIN("%d", d) for (int i = 0; i < 16; i++) u[i] = 16 * i + d - 40; LEAVE(0); }
CUresult cuDeviceTotalMem_v2(size_t *n, CUdevice d) { BEGIN("%d", d) *n = total; LEAVE(0); }
CUresult cuDeviceGetAttribute(int *v, int a, CUdevice d) {
	BEGIN("%d %d", a, d)
	switch (a) {
	case 13: *v = 1980000; break; case 16: *v = 132; break; case 36: *v = 3201000; break; case 37: *v = 6144; break;
	case 38: *v = 60 << 20; break; case 75: *v = major; break; case 76: *v = minor; break; case 81: *v = 233472; break; case 97: *v = 232448; break;
	default: LEAVE(1);
	}
	LEAVE(0);
}
CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice d, unsigned int f) { BEGIN("%d %u", d, f) ctxflags = f; LEAVE(0); }
CUresult cuDevicePrimaryCtxRetain(handle *c, CUdevice d) { BEGIN("%d", d) retained++; *c = &primary; LEAVE(0); }
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice d) { BEGIN("%d", d) if (!retained) LEAVE(201); if (!--retained) sticky = 0; LEAVE(0); }
CUresult cuCtxGetCurrent(handle *c) { BEGIN("%s", "") *c = current; LEAVE(0); }
CUresult cuCtxSetCurrent(handle c) { BEGIN("%s", c == &primary ? "primary" : c ? "other" : "none") current = c; LEAVE(0); }

static double happen(ops *l) { // with the lock held
	for (int i = 0; i < l->n && !sticky; i++) {
		op *o = &l->v[i];
		switch (o->type) {
		case COPY: memcpy(o->dst, o->src, o->n); break;
		case FILL: memset(o->dst, o->value, o->n); break;
		case STORE: *(uint32_t *)o->params[0] = (uint32_t)o->params[1]; break;
		case FAULT: sticky = 700; break;
		case RECORD: o->of->happened = ++now; break;
		}
	}
	free(l->v);
	l->v = NULL, l->n = 0;
	return now;
}
static CUresult all(void) {
	for (int i = 0; i < nthings; i++)
		if (things[i]->alive && things[i]->kind == STREAM) happen(&things[i]->ops);
	return sticky;
}
CUresult cuCtxSynchronize(void) { BEGIN("%s", "") CURRENT LEAVE(all()); }

CUresult cuMemGetInfo_v2(size_t *f, size_t *t) { BEGIN("%s", "") CURRENT *f = total - used, *t = total; LEAVE(0); }
static handle block(enum kind k, size_t n) {
	handle h = make(k);
	h->size = n;
	if (posix_memalign((void **)&h->base, k == HOST ? 4096 : 256, n)) abort();
	memset(h->base, 0xab, n);
	return h;
}
static handle within(enum kind k, const char *p, size_t n) {
	for (int i = 0; i < nthings; i++)
		if (things[i]->alive && things[i]->kind == k && p >= things[i]->base && p + n <= things[i]->base + things[i]->size) return things[i];
	return NULL;
}
CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t n) {
	BEGIN("%zu", n) CURRENT
	if (n == 0) LEAVE(1);
	if (n > total - used) LEAVE(2);
	used += n;
	*p = (CUdeviceptr)block(MEMORY, n)->base;
	LEAVE(0);
}
CUresult cuMemFree_v2(CUdeviceptr p) {
	BEGIN("%s", "") CURRENT
	all();
	handle h = within(MEMORY, (char *)p, 0);
	if (!h || h->base != (char *)p) LEAVE(1);
	h->alive = 0, used -= h->size, free(h->base);
	LEAVE(0);
}
CUresult cuMemHostAlloc(void **p, size_t n, unsigned int flags) { BEGIN("%zu %u", n, flags) CURRENT *p = block(HOST, n)->base; LEAVE(0); }
CUresult cuMemFreeHost(void *p) {
	BEGIN("%s", "") CURRENT
	all();
	handle h = within(HOST, p, 0);
	if (!h || h->base != p) LEAVE(1);
	h->alive = 0, free(h->base);
	LEAVE(0);
}

static CUresult enqueue(handle s, op o) { push(s->capturing ? &s->captured : &s->ops, o); return 0; }
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr d, const void *h, size_t n, handle s) {
	BEGIN("%zu", n) CURRENT NEED(s, STREAM);
	if (!within(MEMORY, (char *)d, n) || !within(HOST, h, n)) LEAVE(1);
	LEAVE(enqueue(s, (op){.type = COPY, .dst = (char *)d, .src = h, .n = n}));
}
CUresult cuMemcpyDtoHAsync_v2(void *h, CUdeviceptr d, size_t n, handle s) {
	BEGIN("%zu", n) CURRENT NEED(s, STREAM);
	if (!within(MEMORY, (char *)d, n) || !within(HOST, h, n)) LEAVE(1);
	LEAVE(enqueue(s, (op){.type = COPY, .dst = h, .src = (char *)d, .n = n}));
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr d, CUdeviceptr f, size_t n, handle s) {
	BEGIN("%zu", n) CURRENT NEED(s, STREAM);
	if (!within(MEMORY, (char *)d, n) || !within(MEMORY, (char *)f, n)) LEAVE(1);
	LEAVE(enqueue(s, (op){.type = COPY, .dst = (char *)d, .src = (char *)f, .n = n}));
}
CUresult cuMemsetD8Async(CUdeviceptr d, unsigned char v, size_t n, handle s) {
	BEGIN("%u %zu", v, n) CURRENT NEED(s, STREAM);
	if (!within(MEMORY, (char *)d, n)) LEAVE(1);
	LEAVE(enqueue(s, (op){.type = FILL, .dst = (char *)d, .value = v, .n = n}));
}

// Options as cuModuleLoadDataEx has them.
static char *errlog; static size_t errsize; static void **errsizeat;
static int options(unsigned int n, unsigned int *o, void **v) {
	errlog = NULL;
	say("options");
	for (unsigned int i = 0; i < n; i++) {
		say(" %u", o[i]);
		if (o[i] == 5) errlog = v[i];
		if (o[i] == 4 || o[i] == 12) say("=%u", (unsigned)(uintptr_t)v[i]);
		if (o[i] == 6) errsize = (unsigned)(uintptr_t)v[i], errsizeat = &v[i], say("=%u", (unsigned)errsize);
		if (o[i] == 3) snprintf(v[i], 64, "ptxas info    : Compiling");
	}
	say("\n");
	return errlog != NULL;
}
static void complain(const char *f, ...) {
	va_list a;
	va_start(a, f);
	int n = vsnprintf(errlog, errsize, f, a);
	va_end(a);
	*(unsigned *)errsizeat = n;
}
static int typesize(const char *t) { return !strncmp(t, ".pred", 5) ? 1 : atoi(t + 2) / 8; } // ".u64"
// parse finds the kernels of a text and the sizes of their parameters.
static CUresult parse(handle m, const char *t) {
	int isa = 0, lo = 0, line = 1;
	const char *bad = strstr(t, "bad.");
	if (bad) {
		for (const char *p = t; p < bad; p++) line += *p == '\n';
		complain("ptxas application ptx input, line %d; error   : Unexpected instruction 'bad.u32'\nptxas fatal   : Ptx assembly aborted due to errors", line);
		return 218;
	}
	if (sscanf(t, ".version %d.%d", &isa, &lo) != 2) return 200;
	for (const char *e = strstr(t, ".entry "); e; e = strstr(e + 1, ".entry ")) {
		handle f = make(FUNCTION);
		f->module = m;
		sscanf(e, ".entry %255[^(]", f->name);
		const char *end = strchr(e, ')');
		for (const char *p = strstr(e, ".param "); p && p < end; p = strstr(p + 1, ".param ")) {
			int align, bytes;
			char type[16];
			if (sscanf(p, ".param .align %d %15s %*[^[][%d]", &align, type, &bytes) == 3) f->sizes[f->params++] = bytes * typesize(type);
			else if (sscanf(p, ".param %15s", type) == 1) f->sizes[f->params++] = typesize(type);
		}
		m->functions[m->n++] = f;
	}
	return 0;
}
CUresult cuModuleLoadDataEx(handle *m, const void *image, unsigned int n, unsigned int *o, void **v) {
	BEGIN("%s", "text") CURRENT
	if (!options(n, o, v)) LEAVE(1);
	*m = make(MODULE);
	CUresult r = parse(*m, image);
	if (r) (*m)->alive = 0, *m = NULL;
	LEAVE(r);
}
CUresult cuModuleUnload(handle m) {
	BEGIN("%s", "") CURRENT NEED(m, MODULE);
	m->alive = 0;
	for (int i = 0; i < m->n; i++) m->functions[i]->alive = 0;
	LEAVE(0);
}
CUresult cuModuleGetFunction(handle *f, handle m, const char *name) {
	BEGIN("%s", name) CURRENT NEED(m, MODULE);
	for (int i = 0; i < m->n; i++)
		if (!strcmp(m->functions[i]->name, name)) { *f = m->functions[i]; LEAVE(0); }
	LEAVE(500);
}
CUresult cuFuncGetAttribute(int *v, int a, handle f) { BEGIN("%d", a) CURRENT NEED(f, FUNCTION); *v = a == 4 ? 32 : a == 1 ? 1024 : a == 3 ? 8 : -1; LEAVE(0); }
CUresult cuFuncSetAttribute(handle f, int a, int v) { BEGIN("%d %d", a, v) CURRENT NEED(f, FUNCTION);
	if (a == 9 && v >= -1 && v <= 100) LEAVE(0);
	if (a != 8 || v < 0 || v > 232448 - 1024) LEAVE(1);
	f->maxShared = v;
	LEAVE(0);
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, handle f, int threads, size_t shared) { BEGIN("%d %zu", threads, shared) CURRENT NEED(f, FUNCTION); *n = 2048 / threads; LEAVE(0); }

static CUresult launch(handle s, handle f, void **params) { // with the lock held
	op o = {.type = !strcmp(f->name, "fault") ? FAULT : STORE};
	say(" params");
	for (int i = 0; i < f->params; i++) {
		say(" ");
		for (int b = 0; b < f->sizes[i]; b++) say("%02x", ((unsigned char *)params[i])[b]);
		if (i < 8) memcpy(&o.params[i], params[i], f->sizes[i] < 8 ? f->sizes[i] : 8);
	}
	say("\n");
	if (!strcmp(f->name, "idle")) return 0;
	return enqueue(s, o);
}
#ifndef OLD
CUresult cuLaunchKernelEx(const Config *c, handle f, void **params, void **extra) {
	BEGIN("%s grid %u %u %u block %u %u %u shared %u attrs %u", is(f, FUNCTION) ? f->name : "?", c->gridX, c->gridY, c->gridZ, c->blockX, c->blockY, c->blockZ, c->shared, c->numAttrs) CURRENT
	NEED(f, FUNCTION);
	NEED(c->stream, STREAM);
	if (extra || c->numAttrs > 1 || (c->numAttrs == 0 && c->attrs)) LEAVE(1);
	if (c->numAttrs) {
		say(" attr %u=%d", c->attrs[0].id, c->attrs[0].value.programmatic);
		if (c->attrs[0].id != 6) LEAVE(1);
	}
	LEAVE(launch(c->stream, f, params));
}
#endif
CUresult cuLaunchKernel(handle f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, handle s, void **params, void **extra) {
	BEGIN("%s grid %u %u %u block %u %u %u shared %u", is(f, FUNCTION) ? f->name : "?", gx, gy, gz, bx, by, bz, shared) CURRENT
	NEED(f, FUNCTION);
	NEED(s, STREAM);
	if (extra) LEAVE(1);
	LEAVE(launch(s, f, params));
}

CUresult cuStreamCreate(handle *s, unsigned int flags) { BEGIN("%u", flags) CURRENT *s = make(STREAM); LEAVE(0); }
CUresult cuStreamDestroy_v2(handle s) { BEGIN("%s", "") CURRENT NEED(s, STREAM); happen(&s->ops); s->alive = 0; LEAVE(0); }
CUresult cuStreamSynchronize(handle s) { BEGIN("%s", "") CURRENT NEED(s, STREAM); if (s->capturing) LEAVE(900); happen(&s->ops); LEAVE(sticky); }
CUresult cuStreamWaitEvent(handle s, handle e, unsigned int flags) { BEGIN("%u", flags) CURRENT NEED(s, STREAM); NEED(e, EVENT); LEAVE(0); }
CUresult cuStreamBeginCapture_v2(handle s, int mode) { BEGIN("%d", mode) CURRENT NEED(s, STREAM); if (s->capturing) LEAVE(1); s->capturing = 1; LEAVE(0); }
CUresult cuStreamEndCapture(handle s, handle *g) { BEGIN("%s", "") CURRENT NEED(s, STREAM); if (!s->capturing) LEAVE(1); s->capturing = 0; *g = make(GRAPH); (*g)->ops = s->captured; s->captured = (ops){0}; LEAVE(0); }
CUresult cuGraphInstantiateWithFlags(handle *e, handle g, unsigned long long flags) {
	BEGIN("%llu", flags) CURRENT NEED(g, GRAPH);
	*e = make(EXEC);
	for (int i = 0; i < g->ops.n; i++) push(&(*e)->ops, g->ops.v[i]);
	LEAVE(0);
}
CUresult cuGraphUpload(handle e, handle s) { BEGIN("%s", "") CURRENT NEED(e, EXEC); NEED(s, STREAM); LEAVE(0); }
CUresult cuGraphLaunch(handle e, handle s) { BEGIN("%s", "") CURRENT NEED(e, EXEC); NEED(s, STREAM); for (int i = 0; i < e->ops.n; i++) push(&s->ops, e->ops.v[i]); LEAVE(0); }
CUresult cuGraphDestroy(handle g) { BEGIN("%s", "") CURRENT NEED(g, GRAPH); g->alive = 0; LEAVE(0); }
CUresult cuGraphExecDestroy(handle g) { BEGIN("%s", "") CURRENT NEED(g, EXEC); g->alive = 0; LEAVE(0); }
CUresult cuEventCreate(handle *e, unsigned int flags) { BEGIN("%u", flags) CURRENT *e = make(EVENT); LEAVE(0); }
CUresult cuEventDestroy_v2(handle e) { BEGIN("%s", "") CURRENT NEED(e, EVENT); all(); e->alive = 0; LEAVE(0); }
CUresult cuEventRecord(handle e, handle s) { BEGIN("%s", "") CURRENT NEED(e, EVENT); NEED(s, STREAM); e->happened = 0; LEAVE(enqueue(s, (op){.type = RECORD, .of = e})); }
CUresult cuEventSynchronize(handle e) { BEGIN("%s", "") CURRENT NEED(e, EVENT); LEAVE(all()); }
CUresult cuEventElapsedTime(float *ms, handle a, handle b) {
	BEGIN("%s", "") CURRENT NEED(a, EVENT); NEED(b, EVENT);
	if (!a->happened || !b->happened) LEAVE(600);
	*ms = 1.5f * (b->happened - a->happened);
	LEAVE(0);
}

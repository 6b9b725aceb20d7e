/* A CUDA driver in host memory: the functions that latentsr's device calls, as libcuda.so.1.
 *
 * Work in streams is done at once, except between begin and end of a capture: that is kept, and a
 * launch does it. Memory is bounded by what was allocated; copies that leave it, unknown handles
 * and double frees are errors, as on a GPU under compute-sanitizer. Loaded by cuda-python, so that
 * our calls go through NVIDIA's own bindings.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID_VALUE = 1, INVALID_HANDLE = 400, OUT_OF_MEMORY = 2, UNSUPPORTED = 900, NO_CONTEXT = 201 };
enum { MANY = 4096 };

typedef struct { char *begin; size_t size; int live; } Block;
typedef struct { void *to; const void *from; size_t bytes; } Copy;
typedef struct { Copy copies[MANY]; int count; } Work;
typedef struct { int capturing; Work *work; } Stream;

static Block blocks[MANY];
static int block_count;
int imitation_streams, imitation_events, imitation_graphs, imitation_pinned;

/* The first members of CUDA_MEMCPY2D_v2, in the order of cuda.h. */
typedef struct {
    size_t srcX, srcY; unsigned srcType; const void *srcHost; uint64_t srcDevice; void *srcArray;
    size_t srcPitch, dstX, dstY; unsigned dstType; void *dstHost; uint64_t dstDevice;
    void *dstArray; size_t dstPitch, width, height;
} Copy2D;

static int inside(const void *address, size_t bytes) {
    const char *a = address;
    for (int i = 0; i < block_count; i++)
        if (blocks[i].live && a >= blocks[i].begin && a + bytes <= blocks[i].begin + blocks[i].size)
            return 1;
    return 0;
}

static int put(Stream *stream, void *to, const void *from, size_t bytes) {
    if (!stream) return INVALID_HANDLE;
    if (!stream->capturing) { memcpy(to, from, bytes); return OK; }
    Work *work = stream->work;
    if (work->count == MANY) return OUT_OF_MEMORY;
    work->copies[work->count++] = (Copy){to, from, bytes};
    return OK;
}

int cuInit(unsigned flags) { return flags ? INVALID_VALUE : OK; }
int cuDriverGetVersion(int *version) { *version = 13000; return OK; }
int cuDeviceGetCount(int *count) { *count = 1; return OK; }
int cuDeviceGet(int *device, int index) { *device = index; return index ? 101 : OK; }
int cuDeviceGetName(char *name, int length, int device) {
    (void)device; snprintf(name, (size_t)length, "Imitation GPU"); return OK;
}
int cuDeviceGetAttribute(int *value, int which, int device) {
    (void)device; *value = which == 75 ? 9 : which == 76 ? 0 : -1; return OK;
}
int cuDevicePrimaryCtxRetain(void **context, int device) {
    *context = (void *)(intptr_t)(device + 1); return OK;
}
static _Thread_local void *current; /* as on a GPU, threads have it each for themselves */
int cuCtxSetCurrent(void *context) {
    if (context != (void *)1) return NO_CONTEXT;
    current = context; return OK;
}
int cuGetErrorName(int error, const char **text) { (void)error; *text = "IMITATION"; return OK; }

int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    if (!current) return NO_CONTEXT;
    if (!bytes || block_count == MANY) return INVALID_VALUE;
    if (bytes > (size_t)1 << 32) return OUT_OF_MEMORY;
    char *begin = malloc(bytes);
    memset(begin, 0xA5, bytes);
    blocks[block_count++] = (Block){begin, bytes, 1};
    *address = (uint64_t)(uintptr_t)begin;
    return OK;
}
int cuMemFree_v2(uint64_t address) {
    if (!current) return NO_CONTEXT;
    for (int i = 0; i < block_count; i++)
        if (blocks[i].live && (uint64_t)(uintptr_t)blocks[i].begin == address) {
            blocks[i].live = 0; free(blocks[i].begin); return OK;
        }
    return INVALID_VALUE;
}
int imitation_live(void) {
    int live = 0;
    for (int i = 0; i < block_count; i++) live += blocks[i].live;
    return live;
}
int cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
    if (!current) return NO_CONTEXT;
    (void)flags; *address = malloc(bytes); imitation_pinned++; return OK;
}
int cuMemFreeHost(void *address) {
    if (!current) return NO_CONTEXT;
    free(address); imitation_pinned--; return OK;
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, Stream *stream) {
    void *target = (void *)(uintptr_t)to;
    return inside(target, bytes) ? put(stream, target, from, bytes) : INVALID_VALUE;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, Stream *stream) {
    const void *source = (const void *)(uintptr_t)from;
    return inside(source, bytes) ? put(stream, to, source, bytes) : INVALID_VALUE;
}
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, Stream *stream) {
    void *target = (void *)(uintptr_t)to;
    const void *source = (const void *)(uintptr_t)from;
    if (!inside(target, bytes) || !inside(source, bytes)) return INVALID_VALUE;
    return put(stream, target, source, bytes);
}
int cuMemcpy2DAsync_v2(const Copy2D *what, Stream *stream) {
    if (what->srcType != 2 || what->dstType != 2) return INVALID_VALUE;
    for (size_t row = 0; row < what->height; row++) {
        uint64_t to = what->dstDevice + row * what->dstPitch;
        uint64_t from = what->srcDevice + row * what->srcPitch;
        int status = cuMemcpyDtoDAsync_v2(to, from, what->width, stream);
        if (status) return status;
    }
    return OK;
}

int cuStreamCreate(Stream **stream, unsigned flags) {
    if (flags != 1) return INVALID_VALUE;
    *stream = calloc(1, sizeof **stream); imitation_streams++; return OK;
}
int cuStreamDestroy_v2(Stream *stream) { free(stream); imitation_streams--; return OK; }
int cuStreamSynchronize(Stream *stream) { return stream->capturing ? UNSUPPORTED : OK; }
int cuStreamWaitEvent(Stream *stream, void *event, unsigned flags) {
    (void)flags; return stream && event ? OK : INVALID_HANDLE;
}
int cuStreamBeginCapture_v2(Stream *stream, int mode) {
    if (stream->capturing || mode != 1) return INVALID_VALUE;
    stream->capturing = 1; stream->work = calloc(1, sizeof *stream->work); return OK;
}
int cuStreamEndCapture(Stream *stream, Work **graph) {
    if (!stream->capturing) return INVALID_VALUE;
    stream->capturing = 0; *graph = stream->work; imitation_graphs++; return OK;
}
int cuGraphInstantiateWithFlags(Work **made, Work *graph, uint64_t flags) {
    if (flags) return INVALID_VALUE;
    *made = malloc(sizeof **made); memcpy(*made, graph, sizeof **made); imitation_graphs++;
    return OK;
}
int cuGraphLaunch(Work *graph, Stream *stream) {
    for (int i = 0; i < graph->count; i++) {
        Copy *copy = &graph->copies[i];
        int status = put(stream, copy->to, copy->from, copy->bytes);
        if (status) return status;
    }
    return OK;
}
int cuGraphDestroy(Work *graph) { free(graph); imitation_graphs--; return OK; }
int cuGraphExecDestroy(Work *graph) { free(graph); imitation_graphs--; return OK; }

int cuEventCreate(int **event, unsigned flags) {
    (void)flags; *event = calloc(1, sizeof **event); imitation_events++; return OK;
}
int cuEventDestroy_v2(int *event) { free(event); imitation_events--; return OK; }
int cuEventRecord(int *event, Stream *stream) { (void)stream; ++*event; return OK; }
int cuEventSynchronize(int *event) { return event ? OK : INVALID_HANDLE; }
int cuEventElapsedTime_v2(float *ms, int *begin, int *end) {
    if (!*begin || !*end) return INVALID_HANDLE;
    *ms = 1.5f; return OK;
}
int cuEventElapsedTime(float *ms, int *begin, int *end) {
    return cuEventElapsedTime_v2(ms, begin, end);
}

/* How the bindings find everything: the newest form of a function by its plain name. */
int cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *found) {
    (void)version; (void)flags;
    const char *forms[] = {"_v2", ""};
    char whole[128];
    *function = 0;
    for (int i = 0; i < 2 && !*function; i++) {
        snprintf(whole, sizeof whole, "%s%s", name, forms[i]);
        *function = dlsym(RTLD_DEFAULT, whole);
    }
    if (!strcmp(name, "cuGraphInstantiate")) *function = (void *)cuGraphInstantiateWithFlags;
    if (found) *found = *function ? 0 : 1;
    return *function ? OK : 500;
}
int cuGetProcAddress(const char *name, void **function, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, function, version, flags, 0);
}

/* diptych: Core ML programs on Linux, as a C library.
 *
 * Opens a Core ML model that holds an ML Program (.mlpackage, .mlmodelc, .mlmodel) or an ExecuTorch
 * program whose delegates do (.pte), and runs its functions on this machine's CPU:
 *
 *   diptych_model* model;
 *   diptych_function* function;
 *   diptych_error* error = diptych_model_open("model.mlpackage", NULL, &model);
 *   if (!error) error = diptych_function_load(model, NULL, &function);
 *   if (!error) error = diptych_function_bind_input(function, 0, x, sizeof x);
 *   if (!error) error = diptych_function_bind_output(function, 0, y, sizeof y);
 *   if (!error) error = diptych_function_run(function);
 *   if (error) fprintf(stderr, "%s\n", diptych_error_message(error));
 *
 * Errors are values: a function that can fail returns NULL on success, else an error that the
 * caller frees. Results by pointer are written on success only. No function throws, exits or
 * aborts.
 *
 * Threads: different threads may use one model at once. A function is used by one thread at a time;
 * load it once per thread, which shares the model's weights and compiled code. Functions keep their
 * model alive, so either may be freed first.
 *
 * Text is UTF-8 and ends with NUL. What is returned as `const char*`, or in a diptych_feature,
 * belongs to the object that was asked and lives as long as that.
 */
#ifndef DIPTYCH_DIPTYCH_H_
#define DIPTYCH_DIPTYCH_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DIPTYCH_API __attribute__((visibility("default")))

typedef struct diptych_error diptych_error;
typedef struct diptych_model diptych_model;
typedef struct diptych_function diptych_function;

/* --- Errors --- */

typedef enum diptych_code {
  DIPTYCH_INVALID_DATA = 1,     /* a file is damaged or contradicts itself */
  DIPTYCH_UNSUPPORTED = 2,      /* well formed, but outside what diptych implements */
  DIPTYCH_NOT_FOUND = 3,        /* a file, function or feature does not exist */
  DIPTYCH_INVALID_ARGUMENT = 4, /* the caller asked for something impossible */
  DIPTYCH_IO = 5,               /* the operating system refused, or memory ended */
  DIPTYCH_INTERNAL = 6          /* a bug of diptych's */
} diptych_code;

DIPTYCH_API diptych_code diptych_error_code(const diptych_error* error);
/* One line, which may be followed by a list of indented lines. */
DIPTYCH_API const char* diptych_error_message(const diptych_error* error);
/* NULL is allowed, here and in the other functions that free. */
DIPTYCH_API void diptych_error_free(diptych_error* error);

/* --- Models --- */

/* How results of fp16 operations are rounded (docs/engine.md). */
typedef enum diptych_numerics {
  DIPTYCH_PRECISE = 0, /* in fp32; outputs alone are rounded to their types */
  DIPTYCH_FAST = 1,    /* as precise, but quantised weights meet activations of 8 bits */
  DIPTYCH_TYPED = 2    /* every operation's result is rounded to its type */
} diptych_numerics;

typedef struct diptych_options {
  size_t size; /* sizeof(diptych_options): later versions may add members behind it */
  diptych_numerics numerics;
  int threads; /* 0: as many as the process may use CPUs */
} diptych_options;

/* `options` may be NULL: precise numerics, all threads. The file is mapped and must not change
 * while the model or one of its functions lives. */
DIPTYCH_API diptych_error* diptych_model_open(const char* path, const diptych_options* options,
                                              diptych_model** model);
DIPTYCH_API void diptych_model_free(diptych_model* model);

DIPTYCH_API size_t diptych_model_function_count(const diptych_model* model);
/* NULL where there is no such function. */
DIPTYCH_API const char* diptych_model_function_name(const diptych_model* model, size_t index);
DIPTYCH_API const char* diptych_model_default_function(const diptych_model* model);
/* Core ML's, 6 to 10; 0 for a .pte. */
DIPTYCH_API int diptych_model_specification_version(const diptych_model* model);

/* --- Functions --- */

typedef enum diptych_dtype {
  DIPTYCH_BOOL = 1, /* a byte, 0 or 1 */
  DIPTYCH_INT8 = 2,
  DIPTYCH_INT16 = 3,
  DIPTYCH_INT32 = 4,
  DIPTYCH_INT64 = 5,
  DIPTYCH_UINT8 = 6,
  DIPTYCH_UINT16 = 7,
  DIPTYCH_UINT32 = 8,
  DIPTYCH_UINT64 = 9,
  DIPTYCH_FLOAT16 = 10,
  DIPTYCH_FLOAT32 = 11,
  DIPTYCH_FLOAT64 = 12
} diptych_dtype;

/* An input or output: a dense array in row-major order. Those of a .pte are called "input_0",
 * "output_0" and so on. */
typedef struct diptych_feature {
  const char* name;
  diptych_dtype dtype;
  size_t rank; /* 0: one element */
  const int64_t* shape;
  size_t bytes; /* of all elements */
  int optional; /* 1 for an input that has a default value, which holds while none is bound */
} diptych_feature;

/* `name` may be NULL: the model's default function. Compiles it when it is loaded first. */
DIPTYCH_API diptych_error* diptych_function_load(const diptych_model* model, const char* name,
                                                 diptych_function** function);
DIPTYCH_API void diptych_function_free(diptych_function* function);

DIPTYCH_API size_t diptych_function_input_count(const diptych_function* function);
DIPTYCH_API size_t diptych_function_output_count(const diptych_function* function);
DIPTYCH_API diptych_error* diptych_function_input(const diptych_function* function, size_t index,
                                                  diptych_feature* feature);
DIPTYCH_API diptych_error* diptych_function_output(const diptych_function* function, size_t index,
                                                   diptych_feature* feature);

/* What a classifier tells apart. Two of its outputs are `label`, an int32 that is the number of the
 * likeliest class, and `probabilities`, a float32 for each class. */
typedef struct diptych_classes {
  size_t count;                /* 0: the function is no classifier */
  const char* const* names;    /* of the classes, by their numbers */
  int integers;                /* 1: the names are decimal numbers */
  size_t label, probabilities; /* which outputs; SIZE_MAX for one that is not given */
} diptych_classes;

DIPTYCH_API void diptych_function_classes(const diptych_function* function,
                                          diptych_classes* classes);

/* Says where an input is read or an output is written by later runs. The memory stays the caller's,
 * may lie at any address, and must stay valid until it is no longer bound; nothing is copied where
 * the function can compute in place. `bytes` must be the feature's; NULL and 0 give an optional
 * input its default value again. */
DIPTYCH_API diptych_error* diptych_function_bind_input(diptych_function* function, size_t index,
                                                       const void* data, size_t bytes);
DIPTYCH_API diptych_error* diptych_function_bind_output(diptych_function* function, size_t index,
                                                        void* data, size_t bytes);

/* Computes all outputs; all outputs, and all inputs but optional ones, must be bound. After an
 * error the contents of the outputs are unspecified. */
DIPTYCH_API diptych_error* diptych_function_run(diptych_function* function);

/* The version of the library, "0.1.0". */
DIPTYCH_API const char* diptych_version(void);

#ifdef __cplusplus
}
#endif

#endif /* DIPTYCH_DIPTYCH_H_ */

/* A host in C: argv[1] is the sample package (test/host/sample_package.h). Prints "ok". */
#include <diptych/diptych.h>
#include <stdio.h>
#include <string.h>

static int failed(const char* what, diptych_error* error) {
  if (error == NULL) return 0;
  fprintf(stderr, "%s: %s\n", what, diptych_error_message(error));
  diptych_error_free(error);
  return 1;
}

/* Whether `error` is of this kind and its message has this part. */
static int is_error(diptych_error* error, diptych_code code, const char* part) {
  const int fits = error != NULL && diptych_error_code(error) == code &&
                   strstr(diptych_error_message(error), part) != NULL;
  if (!fits) fprintf(stderr, "expected an error with \"%s\"\n", part);
  diptych_error_free(error);
  return fits;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  diptych_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.threads = 2;
  diptych_model* model = NULL;
  if (failed("open", diptych_model_open(argv[1], &options, &model))) return 1;
  if (diptych_model_function_count(model) != 2 ||
      strcmp(diptych_model_function_name(model, 1), "scaled") != 0 ||
      diptych_model_function_name(model, 2) != NULL ||
      strcmp(diptych_model_default_function(model), "main") != 0 ||
      diptych_model_specification_version(model) != 9 || strlen(diptych_version()) == 0) {
    return 1;
  }
  diptych_function* function = NULL;
  if (failed("load", diptych_function_load(model, NULL, &function))) return 1;
  if (diptych_function_input_count(function) != 2 || diptych_function_output_count(function) != 2) {
    return 1;
  }
  diptych_feature feature;
  if (failed("output", diptych_function_output(function, 1, &feature))) return 1;
  if (strcmp(feature.name, "product") != 0 || feature.dtype != DIPTYCH_FLOAT32 ||
      feature.rank != 2 || feature.shape[0] != 2 || feature.shape[1] != 3 || feature.bytes != 24) {
    return 1;
  }
  diptych_classes classes;
  diptych_function_classes(function, &classes);
  if (classes.count != 0) return 1; /* it is no classifier */
  const float x[6] = {1, 2, 3, 4, 5, 6}, y[6] = {3, 3, 3, 3, 3, 3};
  float sum[6], product[6];
  if (failed("x", diptych_function_bind_input(function, 0, x, sizeof x)) ||
      failed("y", diptych_function_bind_input(function, 1, y, sizeof y)) ||
      failed("sum", diptych_function_bind_output(function, 0, sum, sizeof sum)) ||
      failed("product", diptych_function_bind_output(function, 1, product, sizeof product))) {
    return 1;
  }
  diptych_model_free(model); /* the function keeps what it needs */
  if (failed("run", diptych_function_run(function))) return 1;
  for (int i = 0; i < 6; ++i) {
    if (sum[i] != x[i] + 3 || product[i] != x[i] * 3) return 1;
  }
  if (!is_error(diptych_function_bind_input(function, 0, x, 4), DIPTYCH_INVALID_ARGUMENT, "24") ||
      !is_error(diptych_function_input(function, 9, &feature), DIPTYCH_INVALID_ARGUMENT, "9") ||
      !is_error(diptych_model_open("/no/such.mlpackage", NULL, &model), DIPTYCH_NOT_FOUND,
                "/no/such.mlpackage")) {
    return 1;
  }
  options.size = 1;
  if (!is_error(diptych_model_open(argv[1], &options, &model), DIPTYCH_INVALID_ARGUMENT,
                "options")) {
    return 1;
  }
  diptych_function_free(function);
  puts("ok");
  return 0;
}

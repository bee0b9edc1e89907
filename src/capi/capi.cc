// The C library: host::Model behind plain functions (include/diptych/diptych.h).
#include <new>
#include <optional>

#include "diptych/diptych.h"
#include "host/model.h"

using diptych::DType;
using diptych::Error;
using diptych::ErrorCode;
using diptych::Result;
using diptych::Status;

struct diptych_error {
  diptych_code code;
  std::string message;
};

struct diptych_model {
  std::shared_ptr<const diptych::host::Model> model;
  std::vector<std::string> functions;
  std::string default_function;
};

struct diptych_function {
  // A feature whose parts C can see.
  struct Feature {
    std::string name;
    diptych_dtype dtype;
    std::vector<int64_t> shape;
    size_t bytes;
    bool optional;
  };
  // The classes of a classifier, likewise.
  struct Classes {
    std::vector<const char*> names;  // of the signature's
    bool integers = false;
    size_t label = SIZE_MAX, probabilities = SIZE_MAX;
  };
  std::unique_ptr<diptych::host::Function> function;
  std::vector<Feature> inputs, outputs;
  Classes classes;
};

namespace {

// What is returned when there is no memory for an error.
diptych_error* no_memory() {
  static diptych_error error{DIPTYCH_IO, "out of memory"};
  return &error;
}

diptych_code code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidData:
      return DIPTYCH_INVALID_DATA;
    case ErrorCode::Unsupported:
      return DIPTYCH_UNSUPPORTED;
    case ErrorCode::NotFound:
      return DIPTYCH_NOT_FOUND;
    case ErrorCode::InvalidArgument:
    case ErrorCode::Usage:
      return DIPTYCH_INVALID_ARGUMENT;
    case ErrorCode::Io:
      return DIPTYCH_IO;
    case ErrorCode::Cancelled:
    case ErrorCode::Internal:
      break;
  }
  return DIPTYCH_INTERNAL;
}

// Runs body() -> Status. No exception leaves the library.
template <class Body>
diptych_error* guarded(const Body& body) {
  try {
    const Status status = body();
    if (status) return nullptr;
    return new diptych_error{code_of(status.error().code), status.error().to_string()};
  } catch (const std::bad_alloc&) {
    return no_memory();
  } catch (const std::exception& exception) {
    try {
      return new diptych_error{DIPTYCH_INTERNAL, exception.what()};
    } catch (...) {
      return no_memory();
    }
  }
}

std::optional<diptych_dtype> dtype_of(DType dtype) {
  switch (dtype) {
    case DType::Bool:
      return DIPTYCH_BOOL;
    case DType::Int8:
      return DIPTYCH_INT8;
    case DType::Int16:
      return DIPTYCH_INT16;
    case DType::Int32:
      return DIPTYCH_INT32;
    case DType::Int64:
      return DIPTYCH_INT64;
    case DType::UInt8:
      return DIPTYCH_UINT8;
    case DType::UInt16:
      return DIPTYCH_UINT16;
    case DType::UInt32:
      return DIPTYCH_UINT32;
    case DType::UInt64:
      return DIPTYCH_UINT64;
    case DType::F16:
      return DIPTYCH_FLOAT16;
    case DType::F32:
      return DIPTYCH_FLOAT32;
    case DType::F64:
      return DIPTYCH_FLOAT64;
    default:
      return std::nullopt;
  }
}

Result<std::vector<diptych_function::Feature>> features_of(
    const std::vector<diptych::host::Feature>& features) {
  std::vector<diptych_function::Feature> all;
  for (const auto& feature : features) {
    const auto dtype = dtype_of(feature.type.dtype);
    if (!dtype) {
      return diptych::unsupported("\"{}\": arrays of {} cannot be passed", feature.name,
                                  diptych::name(feature.type.dtype));
    }
    const uint64_t bytes = TRY(diptych::packed_size(feature.type));
    all.push_back({feature.name, *dtype, feature.type.shape, bytes, feature.optional});
  }
  return all;
}

diptych_function::Classes classes_of(const diptych::host::Signature& signature) {
  diptych_function::Classes classes;
  if (!signature.classes) return classes;
  for (const std::string& name : signature.classes->names) classes.names.push_back(name.c_str());
  classes.integers = signature.classes->integers;
  for (size_t i = 0; i < signature.outputs.size(); ++i) {
    const std::string& name = signature.outputs[i].name;
    if (name == signature.classes->label) classes.label = i;
    if (name == signature.classes->probabilities) classes.probabilities = i;
  }
  return classes;
}

Result<diptych::host::Options> options_from(const diptych_options* given) {
  diptych::host::Options options;
  if (given == nullptr) return options;
  if (given->size < sizeof(diptych_options)) {
    return diptych::invalid_argument("options of {} bytes, expected {} or more", given->size,
                                     sizeof(diptych_options));
  }
  switch (given->numerics) {
    case DIPTYCH_PRECISE:
      options.numerics = diptych::engine::Numerics::Precise;
      break;
    case DIPTYCH_FAST:
      options.numerics = diptych::engine::Numerics::Fast;
      break;
    case DIPTYCH_TYPED:
      options.numerics = diptych::engine::Numerics::Typed;
      break;
    default:
      return diptych::invalid_argument("numerics {}: expected precise, fast or typed",
                                       static_cast<int>(given->numerics));
  }
  constexpr int kMostThreads = 1024;
  if (given->threads < 0 || given->threads > kMostThreads) {
    return diptych::invalid_argument("threads: expected 0 to {}, found {}", kMostThreads,
                                     given->threads);
  }
  options.threads = given->threads;
  return options;
}

diptych_error* describe(const std::vector<diptych_function::Feature>& features, size_t index,
                        const char* side, diptych_feature* feature) {
  return guarded([&]() -> Status {
    if (index >= features.size()) {
      return diptych::invalid_argument("{} {} does not exist: there are {}", side, index,
                                       features.size());
    }
    const auto& found = features[index];
    *feature = {found.name.c_str(), found.dtype, found.shape.size(),
                found.shape.data(), found.bytes, found.optional};
    return {};
  });
}

}  // namespace

extern "C" {

diptych_code diptych_error_code(const diptych_error* error) { return error->code; }
const char* diptych_error_message(const diptych_error* error) { return error->message.c_str(); }
void diptych_error_free(diptych_error* error) {
  if (error != no_memory()) delete error;
}

diptych_error* diptych_model_open(const char* path, const diptych_options* options,
                                  diptych_model** model) {
  return guarded([&]() -> Status {
    if (path == nullptr) return diptych::invalid_argument("no path");
    auto made = std::make_unique<diptych_model>();
    made->model = TRY(diptych::host::Model::open(path, TRY(options_from(options))));
    made->functions = made->model->functions();
    made->default_function = made->model->default_function();
    *model = made.release();
    return {};
  });
}
void diptych_model_free(diptych_model* model) { delete model; }

size_t diptych_model_function_count(const diptych_model* model) { return model->functions.size(); }
const char* diptych_model_function_name(const diptych_model* model, size_t index) {
  return index < model->functions.size() ? model->functions[index].c_str() : nullptr;
}
const char* diptych_model_default_function(const diptych_model* model) {
  return model->default_function.c_str();
}
int diptych_model_specification_version(const diptych_model* model) {
  return model->model->specification_version();
}

diptych_error* diptych_function_load(const diptych_model* model, const char* name,
                                     diptych_function** function) {
  return guarded([&]() -> Status {
    auto made = std::make_unique<diptych_function>();
    made->function = TRY(model->model->load(name == nullptr ? "" : name));
    made->inputs = TRY(features_of(made->function->signature().inputs));
    made->outputs = TRY(features_of(made->function->signature().outputs));
    made->classes = classes_of(made->function->signature());
    *function = made.release();
    return {};
  });
}
void diptych_function_free(diptych_function* function) { delete function; }

size_t diptych_function_input_count(const diptych_function* function) {
  return function->inputs.size();
}
size_t diptych_function_output_count(const diptych_function* function) {
  return function->outputs.size();
}
diptych_error* diptych_function_input(const diptych_function* function, size_t index,
                                      diptych_feature* feature) {
  return describe(function->inputs, index, "input", feature);
}
diptych_error* diptych_function_output(const diptych_function* function, size_t index,
                                       diptych_feature* feature) {
  return describe(function->outputs, index, "output", feature);
}

void diptych_function_classes(const diptych_function* function, diptych_classes* classes) {
  const diptych_function::Classes& found = function->classes;
  *classes = {found.names.size(), found.names.data(), found.integers, found.label,
              found.probabilities};
}

diptych_error* diptych_function_bind_input(diptych_function* function, size_t index,
                                           const void* data, size_t bytes) {
  return guarded([&] {
    return function->function->bind_input(index, {static_cast<const std::byte*>(data), bytes});
  });
}
diptych_error* diptych_function_bind_output(diptych_function* function, size_t index, void* data,
                                            size_t bytes) {
  return guarded([&] {
    return function->function->bind_output(index, {static_cast<std::byte*>(data), bytes});
  });
}

diptych_error* diptych_function_run(diptych_function* function) {
  return guarded([&] { return function->function->run(); });
}

const char* diptych_version(void) { return DIPTYCH_VERSION; }

}  // extern "C"
